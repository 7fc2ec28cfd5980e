"""Analyses: functions from a graph to a typed report, that run nothing."""
