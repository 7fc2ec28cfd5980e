"""Passes: functions from a graph to a graph, with what becomes of the weights."""
