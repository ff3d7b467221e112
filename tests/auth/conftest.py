"""Fixture: the key file that most tests of this folder use."""

from pathlib import Path

import pytest
from tests.auth.keys import pem


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "key.pem"
    path.write_bytes(pem())
    return path
