"""Sizes at which proofs run a network whose sizes are open."""

from __future__ import annotations

import netspec
from tests.support.lazy import lazy_imports

with lazy_imports():
    from netspec.backends.pytorch.runtime.examples import sizes_for


def test_volumes_of_open_sizes_are_tried_small() -> None:
    """256 of each axis would take gigabytes; a nominal size is taken as it is."""

    def sizes(nominal: str, kernel: int) -> dict[str, int]:
        inputs = f"{{x: {{shape: [N, 3, T, H, W], nominal: {nominal}}}}}"
        step = f"{{conv3d: {{out_channels: 2, kernel_size: {kernel}}}}}"
        return sizes_for(netspec.loads(f"netspec: 1\nname: net\ninputs: {inputs}\nnetwork: [{step}]\n").graph)

    assert sizes("{}", 3) == {"N": 2, "T": 32, "H": 32, "W": 32}
    assert sizes("{}", 33) == {"N": 2, "T": 256, "H": 256, "W": 256}
    assert sizes("{T: 16}", 3) == {"N": 2, "T": 16, "H": 256, "W": 256}
