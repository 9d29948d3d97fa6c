"""Label maps of well-known data sets, in the format of `--label_map`."""

from __future__ import annotations

__all__ = ["CITYSCAPES_NAMES", "PRESETS"]

# Of the values 0 to 33 of its *_labelIds.png.
CITYSCAPES_NAMES = (
    "unlabeled", "ego vehicle", "rectification border", "out of roi", "static",
    "dynamic", "ground", "road", "sidewalk", "parking", "rail track",
    "building", "wall", "fence", "guard rail", "bridge", "tunnel", "pole",
    "polegroup", "traffic light", "traffic sign", "vegetation", "terrain",
    "sky", "person", "rider", "car", "truck", "bus", "caravan", "trailer",
    "train", "motorcycle", "bicycle",
)  # fmt: skip

# Black and white, as tools that mark one object write it.
_BINARY = """
background: 0 #000000
object: 255 #ffffff
"""

# Pascal VOC: palette index and colour (the bits of the index, spread over the
# three channels); borders are void.
_VOC = """
background: 0 #000000
aeroplane: 1 #800000
bicycle: 2 #008000
bird: 3 #808000
boat: 4 #000080
bottle: 5 #800080
bus: 6 #008080
car: 7 #808080
cat: 8 #400000
chair: 9 #c00000
cow: 10 #408000
diningtable: 11 #c08000
dog: 12 #400080
horse: 13 #c00080
motorbike: 14 #408080
person: 15 #c08080
pottedplant: 16 #004000
sheep: 17 #804000
sofa: 18 #00c000
train: 19 #80c000
tvmonitor: 20 #004080
void: 255 #e0e0c0
"""

# Cityscapes: the values of *_gtFine_labelIds.png and the colours of
# *_gtFine_color.png. Its benchmark scores 19 classes. Pole groups have the
# colour of poles, licence plates that of cars.
_CITYSCAPES = """
road: 7 #804080
sidewalk: 8 #f423e8
building: 11 #464646
wall: 12 #66669c
fence: 13 #be9999
pole: 17 #999999
traffic light: 19 #faaa1e
traffic sign: 20 #dcdc00
vegetation: 21 #6b8e23
terrain: 22 #98fb98
sky: 23 #4682b4
person: 24 #dc143c
rider: 25 #ff0000
car: 26 #00008e
truck: 27 #000046
bus: 28 #003c64
train: 31 #005064
motorcycle: 32 #0000e6
bicycle: 33 #770b20
void: 0 1 2 3 4 5 6 9 10 14 15 16 18 29 30 255
void: #000000 #6f4a00 #510051 #faaaa0 #e6968c #b4a5b4 #966464
void: #96785a #00005a #00006e
"""

# The 32 colours of CamVid's own labels (LabeledApproved_full), as the 11
# classes that SegNet's authors made of them.
_CAMVID = """
sky: #808080
building: #800000 #008040 #40c000 #400040 #c00080
pole: #c0c080 #000040
road: #804080 #8000c0 #c00040
pavement: #0000c0 #40c080 #8080c0
tree: #808000 #c0c000
sign: #c08080 #808040 #004040
fence: #404080
car: #400080 #4080c0 #c080c0 #c04080 #804040
pedestrian: #404000 #c08040 #4000c0 #408040
bicyclist: #0080c0 #c000c0
void: #000000
"""

PRESETS = {
    "binary": _BINARY,
    "camvid": _CAMVID,
    "cityscapes": _CITYSCAPES,
    "voc": _VOC,
}
