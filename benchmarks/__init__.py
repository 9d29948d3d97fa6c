"""Measured ratios: `make bench`. Nothing here is imported by segnet."""
