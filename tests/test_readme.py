"""The README says what is so."""

import re
import subprocess
from pathlib import Path

import pytest

from trailingedge.config import settings_table
from trailingedge.main import COMMANDS, command_parser, run_parser
from trailingedge.strategy.trailing_stop import callback_factor

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_settings_table_is_the_declaration() -> None:
    assert settings_table().strip() in README


# Words after the program's name, and a flag that follows; other programs have names like ours.
SHOWN = sorted(set(re.findall(r"(?<![/\w-])trailing-edge((?: [a-z]+)?)[^\n`|]*?(?<=[ (])(--[a-z-]+)", README)))


@pytest.mark.parametrize(("word", "flag"), SHOWN)
def test_a_flag_it_shows_exists(word: str, flag: str) -> None:
    name = word.strip()
    assert flag in (command_parser(name) if name in COMMANDS else run_parser()).format_help()


@pytest.mark.parametrize("name", COMMANDS)
def test_it_tells_of_each_command(name: str) -> None:
    assert f"`{name}`" in README or f"trailing-edge {name}" in README


@pytest.mark.parametrize("path", sorted(set(re.findall(r"`((?:src|tests|deploy|secrets)/[\w./-]+)`", README))))
def test_a_path_it_names_exists(path: str) -> None:
    assert (ROOT / path).exists() or path == "secrets/ed25519-priv.pem"


def test_the_worked_example_is_what_the_strategy_computes() -> None:
    for high, sells_at in (("2,540.00", 2535.34), ("2,525.00", 2521.14)):
        assert high in README
        gain = float(high.replace(",", "")) - 2500.0
        factor = callback_factor(gain / 2500.0, 0.5, 0.1, 0.005)
        assert f"{factor:.4f}" in README
        # Down to the tick: one tick higher the callback is not reached yet.
        assert int((2500.0 + gain - gain * factor) * 100) / 100 == pytest.approx(sells_at)
        assert f"{sells_at:,.2f}" in README


WRITES = re.compile(r"(?:--html|--csv|--save|--out|>) ([\w.]+\.[a-z.]+)")
WRITTEN = sorted({name for line in README.splitlines() if "trailing-edge" in line for name in WRITES.findall(line)})


def test_what_its_examples_write_is_kept_out_of_the_repository() -> None:
    assert len(WRITTEN) >= 4
    ignored = subprocess.run(["git", "check-ignore", *WRITTEN], cwd=ROOT, capture_output=True, text=True, check=False)
    if ignored.returncode == 128:
        pytest.skip("no checkout")
    assert ignored.stdout.split() == WRITTEN
