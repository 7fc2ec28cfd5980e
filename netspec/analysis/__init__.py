"""Analyses: functions from a graph to a typed report, which need no weights and run no ops."""
