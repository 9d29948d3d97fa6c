"""CamVid's own labels have 32 colours, of which SegNet made 11 classes."""

from __future__ import annotations

import numpy as np
import picture_files as files
from PIL import Image

from segnet.records.verify import verify_split
from tools import convert_to_tfrecord as convert

# The list of CamVid's authors, with the class of SegNet's behind it; -1: void.
LABEL_COLORS = """
64 128 64 Animal 9
192 0 128 Archway 1
0 128 192 Bicyclist 10
0 128 64 Bridge 1
128 0 0 Building 1
64 0 128 Car 8
64 0 192 CartLuggagePram 9
192 128 64 Child 9
192 192 128 Column_Pole 2
64 64 128 Fence 7
128 0 192 LaneMkgsDriv 3
192 0 64 LaneMkgsNonDriv 3
128 128 64 Misc_Text 6
192 0 192 MotorcycleScooter 10
128 64 64 OtherMoving 8
64 192 128 ParkingBlock 4
64 64 0 Pedestrian 9
128 64 128 Road 3
128 128 192 RoadShoulder 4
0 0 192 Sidewalk 4
192 128 128 SignSymbol 6
128 128 128 Sky 0
64 128 192 SUVPickupTruck 8
0 0 64 TrafficCone 2
0 64 64 TrafficLight 6
192 64 128 Train 8
128 128 0 Tree 5
192 128 192 Truck_Bus 8
64 0 64 Tunnel 1
192 192 0 VegetationMisc 5
0 0 0 Void -1
64 192 0 Wall 1
"""


def test_32_colours_become_11_classes(tmp_path):
    lines = [line.split() for line in LABEL_COLORS.split("\n") if line]
    colours = np.array([line[:3] for line in lines], np.uint8)
    classes = np.array([int(line[4]) for line in lines]) % 256
    assert len(set(map(tuple, colours))) == 32
    for name in ("images", "annotations"):
        (tmp_path / name).mkdir()
    expected = np.zeros([256], int)
    for number in range(3):
        index = files.labels(number, 32).copy()
        index.reshape(-1)[:32] = np.arange(32)
        expected += np.bincount(classes[index].ravel(), minlength=256)
        picture = Image.fromarray(files.picture(number))
        picture.save(tmp_path / "images" / f"{number}.png")
        label = Image.fromarray(colours[index])
        label.save(tmp_path / "annotations" / f"{number}.png")
    argv = [x for x in files.flags(tmp_path) if x != "--num_classes=3"]
    more = ["--annotation_mode=color", "--label_map=camvid"]
    assert convert.main([*argv, *more]) == 0
    manifest = verify_split(tmp_path / "out", "train")
    # The names and the order of ../shared/camvid.
    assert manifest.class_names == (
        "sky", "building", "pole", "road", "pavement", "tree", "sign",
        "fence", "car", "pedestrian", "bicyclist",
    )  # fmt: skip
    assert manifest.pixel_counts == tuple(expected[:11])
    assert manifest.ignored_pixels == expected[255]
