"""Specs: text to data, data to steps, steps to a graph."""
