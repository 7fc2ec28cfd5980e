"""The difference between two networks.

Each module imports only those before it:

- `model` (pairs of nodes), `interface`, `fingerprints`, `sequences`, `align`: which node matches which
- `reads`, `match`: the differences in each pair
- `words`, `lines`, `rows`: the layers side by side, in few lines
- `figures`, `table`, `report`: the JSON and the tables
"""

from netspec.analysis.diff.report import Diff, diff

__all__ = ["Diff", "diff"]
