"""Train, evaluate and use VGG-SegNet semantic segmentation models.

    import segnet

    segnet.convert(images_dir="images", annotations_dir="masks",
                   output_dir="records", split="train,val", val_fraction=0.2,
                   num_classes=3)
    segnet.train(segnet.recipe("own", data_dir="records", workdir="runs/first"))
    scores = segnet.evaluate("runs/first")
    labels = segnet.load("runs/first").predict("picture.jpg")

What goes wrong and can be mended is one of `segnet.errors`. All names are
loaded on first use: `import segnet` imports neither TensorFlow nor NumPy.
"""

import importlib
import sys
import types

TYPE_CHECKING = False  # The module `typing` would take longer than all of it.
if TYPE_CHECKING:
    from segnet import errors as errors
    from segnet.api import convert as convert
    from segnet.api import evaluate as evaluate
    from segnet.api import export as export
    from segnet.api import load as load
    from segnet.api import recipe as recipe
    from segnet.api import train as train
    from segnet.config import Config as Config
    from segnet.evaluation.model import Model as Model
    from segnet.training.start import TrainResult as TrainResult

__version__ = "0.1.0"
__all__ = [
    "Config",
    "Model",
    "TrainResult",
    "convert",
    "errors",
    "evaluate",
    "export",
    "load",
    "recipe",
    "train",
]

# The module of each public name.
_MODULES = {
    "Config": "segnet.config",
    "Model": "segnet.evaluation.model",
    "TrainResult": "segnet.training.start",
    "convert": "segnet.api",
    "evaluate": "segnet.api",
    "export": "segnet.api",
    "load": "segnet.api",
    "recipe": "segnet.api",
    "train": "segnet.api",
}


def __getattr__(name: str) -> object:
    if name == "errors":
        return importlib.import_module("segnet.errors")
    if name not in _MODULES:
        raise AttributeError(f"module 'segnet' has no attribute '{name}'")
    return getattr(importlib.import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class _Package(types.ModuleType):
    """This package as a module: its public names stay what they are.

    The import system would put the packages `segnet.convert` and
    `segnet.export` in the place of functions; they are reached by
    `from segnet.convert import ...`.
    """

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in _MODULES and isinstance(value, types.ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
