"""The completion scripts: what each shell offers for a line that is typed in part."""

import shutil
from pathlib import Path

import pytest
from tests import processes

from trailingedge import main
from trailingedge.commands.completion import SHELLS
from trailingedge.core.errors import ExitCode

CASES = [
    (["trailing-edge", "chec"], ["check"]),
    (["trailing-edge", "check", "--onl"], ["--online"]),
    (["trailing-edge", "--mode", "pap"], ["paper"]),
    (["trailing-edge", "check", "--mode", "pap"], ["paper"]),
    (["trailing-edge", "check", "--set", "FE"], ["FEE="]),
    (["trailing-edge", "completion", "zs"], ["zsh"]),
    (["trailing-edge", "help", "repl"], ["replay"]),
]


def script(shell: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert main.run(["completion", shell]) == ExitCode.OK
    return capsys.readouterr().out


def output(words: list[str]) -> list[str]:
    done = processes.run(words, text=True)
    return str(done.stdout).splitlines()


@pytest.mark.parametrize("shell", SHELLS)
def test_every_command_and_its_flags_are_in_the_script(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = script(shell, capsys)
    for word in main.COMMANDS:
        assert word in text
    assert ("-l online" if shell == "fish" else "--online") in text


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_completes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    calls = [
        f"COMP_WORDS=({' '.join(words)}) COMP_CWORD={len(words) - 1} COMPREPLY=(); _trailing_edge 2>/dev/null; "
        'echo "${COMPREPLY[*]}"'
        for words, _ in CASES
    ]
    path = tmp_path / "script"
    path.write_text("\n".join([script("bash", capsys), *calls]))
    assert output(["bash", str(path)]) == [" ".join(found) for _, found in CASES]


@pytest.mark.skipif(shutil.which("zsh") is None, reason="needs zsh")
def test_zsh_reads_the_script(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "script"
    path.write_text(script("zsh", capsys))
    assert processes.run(["zsh", "-n", path]).returncode == 0


@pytest.mark.skipif(shutil.which("fish") is None, reason="needs fish")
def test_fish_completes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    calls = [f"complete -C '{' '.join(words)}' | string replace -r '\\t.*' ''" for words, _ in CASES]
    path = tmp_path / "script"
    path.write_text("\n".join([script("fish", capsys), *calls]))
    assert output(["fish", "--no-config", str(path)]) == [found[0] for _, found in CASES]
