"""What labelling tools write -> folders of images and class ids."""
