"""Losses, optimizer, step, checkpoints, and the loop over them."""
