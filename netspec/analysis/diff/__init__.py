"""What changed from one network to another."""

from netspec.analysis.diff.diff import diff

__all__ = ["diff"]
