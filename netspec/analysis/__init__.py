"""What can be known of a graph without running it: functions from a graph to plain data."""
