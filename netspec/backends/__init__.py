"""Backends: printers of graphs."""
