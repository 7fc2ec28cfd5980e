"""Random specs of values that are used again: every command takes them, or refuses them in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.every_command import check_commands
from tests.fuzz.lasting import hold
from tests.fuzz.random_uses import random_uses

pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths:UserWarning")


def test_random_uses(tmp_path: Path) -> None:
    hold(random_uses, lambda data: check_commands(data, tmp_path), 25)
