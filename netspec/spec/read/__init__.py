"""Data to a Spec: what a file says, checked as far as it can be before shapes are known."""
