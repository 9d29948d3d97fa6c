"""Folders of images and annotations to records; no TensorFlow here."""
