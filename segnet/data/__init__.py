"""Records to batches: sources, datasets, augmentation, resizing."""
