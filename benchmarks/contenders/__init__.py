"""What is measured: functions that prepare something and return its `Work`."""
