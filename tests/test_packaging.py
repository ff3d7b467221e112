"""The distribution: the versions of Python that it names are those that are tested, and it runs as a module too."""

import re
import sys
import tomllib
from pathlib import Path
from typing import Final

import pytest
from tests import processes

ROOT: Final = Path(__file__).parent.parent
PROJECT: Final = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PYTHONS: Final = [
    found[1] for each in PROJECT["classifiers"] if (found := re.fullmatch(r"Programming Language .* (3\.\d+)", each))
]


def test_each_python_that_it_names_is_tested() -> None:
    script = ROOT / ".ci" / "run"
    if not script.exists():
        pytest.skip("no .ci/run in this tree")
    assert f'supported="{" ".join(PYTHONS)}"\n' in script.read_text(encoding="utf-8")
    assert PROJECT["requires-python"] == f">={PYTHONS[0]}"


def test_it_runs_as_a_module() -> None:
    done = processes.run([sys.executable, "-m", "trailingedge", "--version"], text=True, check=True)
    assert done.stdout == f"trailing-edge {PROJECT['version']}\n"
