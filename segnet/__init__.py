"""Train, evaluate and use VGG-SegNet semantic segmentation models."""

__version__ = "0.1.0"
