"""Sample: the small market in the package, two days of one-minute klines that the simulator made.

On a command line the word `sample` in place of market files means these files, so that a first backtest needs no file
and no network. Its symbol does not exist at the exchange. `python -m tests.sample_market` generates its files again.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

SAMPLE: Final = "sample"
SAMPLE_FOLDER: Final = Path(__file__).with_name("simulated")


def sample_files() -> list[Path]:
    """Return the files of the sample, in order of time."""
    return sorted(SAMPLE_FOLDER.glob("*.zip"))


def with_sample(words: Iterable[Path]) -> list[Path]:
    """Return these files, with the word `sample` replaced by the files of the sample."""
    return [path for word in words for path in (sample_files() if is_sample(word) else [word])]


def is_sample(word: Path) -> bool:
    """Return whether `word` means the sample. If there is a file of that name, the file is meant."""
    return str(word) == SAMPLE and not word.is_file()
