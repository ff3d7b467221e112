"""The README says what is so."""

import re
import shlex
import shutil
from pathlib import Path

import pytest
from tests import processes

from trailingedge.core.errors import ExitCode
from trailingedge.main import COMMANDS, command_parser, run, run_parser
from trailingedge.strategy.trailing_take_profit import callback_factor

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = ("README.md", "deploy/README.md", "src/trailingedge/README.md", "tests/README.md", "secrets/README.md")
TEXTS = {page: (ROOT / page).read_text(encoding="utf-8") for page in PAGES}
OF_THE_OPERATOR = f"{README}\n{TEXTS['deploy/README.md']}\n{TEXTS['tests/README.md']}"
LINK = re.compile(r"(?:\]\(|src=\")(?!https?:)([^)#\"]*)(#[^)\"]*)?[)\"]")


def anchors(text: str) -> set[str]:
    """The anchors that GitHub gives the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {f"#{re.sub(r'[^a-z0-9 -]', '', heading.lower()).replace(' ', '-')}" for heading in headings}


def test_the_first_page_is_short() -> None:
    assert len(README.splitlines()) <= 330
    assert len(README.encode()) <= 25_000


@pytest.mark.parametrize("page", PAGES)
def test_a_line_has_at_most_120_columns(page: str) -> None:
    assert [line for line in TEXTS[page].splitlines() if len(line) > 120] == []


@pytest.mark.parametrize("page", PAGES)
def test_a_link_leads_somewhere(page: str) -> None:
    links = LINK.findall(TEXTS[page])
    assert links or page == "secrets/README.md"
    for path, anchor in links:
        target = (ROOT / page).parent / path if path else ROOT / page
        assert target.exists(), path
        assert not anchor or anchor in anchors(target.read_text(encoding="utf-8")), anchor


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_in_plain_words(page: str) -> None:
    refused = r"\b(?:whoever|whatever|nobody|somebody|anew|meanwhile|on hold|flush done|0 is never)\b"
    assert re.findall(refused, TEXTS[page]) == []
    # An order is cancelled; only money is withdrawn. The old name of a command is quoted.
    text = re.sub(r"`withdraw`|may\s+withdraw|withdrawals|deposit\s+or\s+withdraw", "", TEXTS[page])
    assert "withdr" not in text


def test_the_glossary_has_ten_words() -> None:
    table = README.partition("## Ten words")[2].partition("\n## ")[0]
    assert len([line for line in table.splitlines() if line.startswith("| ")]) == 10 + 1


@pytest.mark.parametrize("picture", ["report.png", "terminal.svg", "watch.png"])
def test_a_picture_is_small(picture: str) -> None:
    assert f".github/{picture}" in README
    assert 1_000 < (ROOT / ".github" / picture).stat().st_size < 150_000


@pytest.mark.parametrize("module", sorted(set(re.findall(r"python -m (tests\.[\w.]+)", TEXTS["tests/README.md"]))))
def test_a_program_of_the_tests_exists(module: str) -> None:
    path = ROOT.joinpath(*module.split("."))
    assert path.with_suffix(".py").exists() or (path / "__main__.py").exists()


# Words after the program's name, and a flag that follows; other programs have names like ours.
SHOWN = sorted(set(re.findall(r"(?<![/\w-])trailing-edge((?: [a-z]+)?)[^\n`|]*?(?<=[ (])(--[a-z-]+)", OF_THE_OPERATOR)))


@pytest.mark.parametrize(("word", "flag"), SHOWN)
def test_a_flag_it_shows_exists(word: str, flag: str) -> None:
    name = word.strip()
    assert flag in (command_parser(name) if name in COMMANDS else run_parser()).format_help()


@pytest.mark.parametrize("name", COMMANDS)
def test_it_tells_of_each_command(name: str) -> None:
    assert f"`{name}`" in README or f"trailing-edge {name}" in README


@pytest.mark.parametrize("path", sorted(set(re.findall(r"`((?:src|tests|deploy|secrets)/[\w./-]+)`", OF_THE_OPERATOR))))
def test_a_path_it_names_exists(path: str) -> None:
    assert (ROOT / path).exists() or path == "secrets/ed25519-priv.pem"


def test_the_worked_example_is_what_the_strategy_computes() -> None:
    for high, sells_at in (("2,600.00", 2584.58), ("2,575.00", 2560.80)):
        assert high in README
        gain = float(high.replace(",", "")) - 2500.0
        factor = callback_factor(gain / 2500.0, 0.5, 0.1, 0.02)
        assert f"{factor:.4f}" in README
        # Down to the tick: one tick higher the callback is not reached yet.
        assert int((2500.0 + gain - gain * factor) * 100) / 100 == pytest.approx(sells_at)
        assert f"{sells_at:,.2f}" in README


WRITES = re.compile(r"(?:--html|--csv|--save|--out|>) ([\w.]+\.[a-z.]+)")
WRITTEN = sorted({name for line in README.splitlines() if "trailing-edge" in line for name in WRITES.findall(line)})


@pytest.mark.skipif(shutil.which("git") is None, reason="no git to ask what it ignores")
def test_what_its_examples_write_is_kept_out_of_the_repository() -> None:
    assert len(WRITTEN) >= 4
    ignored = processes.run(["git", "check-ignore", *WRITTEN], cwd=ROOT, text=True)
    if ignored.returncode == 128:
        pytest.skip("no checkout")
    assert ignored.stdout.split() == WRITTEN


# Command lines of the README, without comments, and each in one line.
BLOCKS = re.findall(r"```sh\n(.*?)```", README.replace("\\\n", " "), re.DOTALL)
LINES = [line.partition("  #")[0] for block in BLOCKS for line in block.splitlines()]
EXAMPLES = [
    shlex.split(line.rpartition("uv run trailing-edge ")[2].partition(" > ")[0].rstrip(" &"))
    for line in LINES
    if "uv run trailing-edge " in line
]


@pytest.mark.parametrize("words", EXAMPLES, ids=" ".join)
def test_a_command_line_is_one_that_the_program_takes(words: list[str]) -> None:
    if words[0] in COMMANDS:
        command_parser(words[0]).parse_args(words[1:])
    else:
        run_parser().parse_args(words)


SMALLER = {"backtest": ["--paths", "1"], "sweep": ["--random", "1", "--jobs", "1", "--paths", "1"]}


@pytest.mark.parametrize(
    "words", [words for words in EXAMPLES if words[1] == "sample" and words[0] in SMALLER], ids=" ".join
)
def test_an_example_on_the_sample_runs_without_a_network(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BINANCE_ARCHIVE_URL", "http://127.0.0.1:9")
    assert run([*words, *SMALLER[words[0]]]) == ExitCode.OK
    assert {name for name in WRITTEN if (tmp_path / name).exists()} == set(WRITES.findall(" ".join(words)))
