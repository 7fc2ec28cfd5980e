"""Parses the text of a spec into data, each piece of which has its place in the text."""
