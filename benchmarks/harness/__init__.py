"""How it is measured: processes, times, data and tables."""
