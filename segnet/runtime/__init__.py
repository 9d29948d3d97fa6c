"""Device, precision and seeds of a process, and the workers it belongs to."""
