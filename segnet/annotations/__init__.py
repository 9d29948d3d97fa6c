"""Annotation files to class ids: modes, label maps, what is no label."""
