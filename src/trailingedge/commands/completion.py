"""Command `trailing-edge completion SHELL`: prints a script that lets bash, zsh or fish complete the command line.

The script contains all commands, flags, modes and setting names, so that pressing Tab starts no Python. It is generated
from the argument parsers, so it contains a new flag without further work.
"""

import argparse
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from trailingedge.config import OPTIONS, TradingMode
from trailingedge.core.errors import ExitCode

SHELLS: Final = ("bash", "zsh", "fish")
_MODES: Final = tuple(mode.value for mode in TradingMode)
_SETTINGS: Final = tuple(f"{name}=" for name in OPTIONS)


@dataclass(frozen=True, slots=True)
class CompletedFlag:
    """A flag, or an argument without a flag (then `name` is empty), and the words that complete its value.

    `words` are the possible values. `files` means that any file is possible. If there are neither words nor files and
    `takes_value` is set, the value is free text.
    """

    name: str
    meaning: str
    takes_value: bool
    words: tuple[str, ...] = ()
    files: bool = False


@dataclass(frozen=True, slots=True)
class CompletedCommand:
    """A command with its purpose and its flags. The daemon's own flags have the empty name."""

    name: str
    purpose: str
    flags: tuple[CompletedFlag, ...]

    @property
    def words(self) -> list[str]:
        """The words that may follow the command: its flags, and the values of its arguments without a flag."""
        return [word for flag in self.flags for word in ([flag.name] if flag.name else flag.words)]

    @property
    def takes_files(self) -> bool:
        """Whether files can be given without a flag."""
        return any(not flag.name and flag.files for flag in self.flags)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = (
        "bash: trailing-edge completion bash > ~/.local/share/bash-completion/completions/trailing-edge\n"
        "zsh:  trailing-edge completion zsh > _trailing-edge, in a folder of $fpath\n"
        "fish: trailing-edge completion fish > ~/.config/fish/completions/trailing-edge.fish"
    )
    parser.add_argument("shell", choices=SHELLS, help="the shell that reads the script")


def run(
    arguments: argparse.Namespace,
    daemon: argparse.ArgumentParser,
    commands: Mapping[str, tuple[str, argparse.ArgumentParser]],
) -> ExitCode:
    """Print the script for the chosen shell, from the daemon's parser and the purpose and parser of each command."""
    own = CompletedCommand("", "", tuple(_flags(daemon, ())))
    found = [
        CompletedCommand(name, purpose, tuple(_flags(parser, tuple(commands))))
        for name, (purpose, parser) in commands.items()
    ]
    script = {"bash": _bash, "zsh": _zsh, "fish": _fish}[arguments.shell]
    print(script(own, found))
    return ExitCode.OK


def _first_line(text: str | None) -> str:
    return " ".join((text or "").split(". ")[0].split())


def _flags(parser: argparse.ArgumentParser, commands: tuple[str, ...]) -> Iterator[CompletedFlag]:
    for action in parser._actions:
        name = next((each for each in action.option_strings if each.startswith("--")), "")
        takes_value = not name or action.nargs != 0
        words = tuple(map(str, action.choices or ()))
        words = {"MODE": _MODES, "NAME=VALUE": _SETTINGS, "COMMAND": commands}.get(str(action.metavar), words)
        meaning = _first_line(action.help and action.help.replace("%%", "%"))
        yield CompletedFlag(name, meaning, takes_value, words, files=action.type is Path)


# --- bash ---

_BASH: Final = """\
# bash completion for trailing-edge
_trailing_edge() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} command=${COMP_WORDS[1]} words= values=
  COMPREPLY=()
  [[ $COMP_CWORD -eq 1 ]] && command=
  case "$command:$previous" in
@VALUES@
  esac
  case "$command" in
@WORDS@
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
  [[ "$COMPREPLY" == *= ]] && compopt -o nospace
}
complete -F _trailing_edge trailing-edge"""


def _bash(own: CompletedCommand, commands: Iterable[CompletedCommand]) -> str:
    known = list(commands)
    values, words = [], []
    for command in (*known, own):
        pattern = command.name or "*"
        for flag in command.flags:
            if not flag.name or not flag.takes_value:
                continue
            action = f"words={shlex.quote(' '.join(flag.words))}" if flag.words else "return"
            if flag.files:
                action = "compopt -o default; return"
            elif flag.words:
                joined = shlex.quote(" ".join(flag.words))
                action = f'COMPREPLY=($(compgen -W {joined} -- "$current"))'
                action += '; [[ "$COMPREPLY" == *= ]] && compopt -o nospace; return'
            values.append(f"    {pattern}:{flag.name}) {action} ;;")
        files = "compopt -o default; " if command.takes_files else ""
        listed = command.words if command.name else [*(each.name for each in known), *command.words]
        words.append(f"    {pattern}) {files}words={shlex.quote(' '.join(listed))} ;;")
    return _BASH.replace("@VALUES@", "\n".join(values)).replace("@WORDS@", "\n".join(words))


# --- zsh ---

_ZSH: Final = """\
#compdef trailing-edge
# zsh completion for trailing-edge
_trailing_edge() {
  local -a commands
  commands=(
@COMMANDS@
  )
  if (( CURRENT == 2 )) && [[ ${words[2]} != -* ]]; then
    _describe command commands
    return
  fi
  case ${words[2]} in
@CASES@
  esac
}
if [[ ${funcstack[1]} == _trailing_edge ]]; then
  _trailing_edge "$@"
else
  compdef _trailing_edge trailing-edge
fi"""


def _zsh(own: CompletedCommand, commands: Iterable[CompletedCommand]) -> str:
    known = list(commands)
    named = [f"    {shlex.quote(f'{each.name}:{each.purpose}')}" for each in known]
    cases = []
    for command in (*known, own):
        shift = "shift words; (( CURRENT-- )); " if command.name else ""
        arguments = " ".join(shlex.quote(_zsh_argument(flag)) for flag in command.flags)
        cases.append(f"    {command.name or '*'}) {shift}_arguments {arguments} ;;")
    return _ZSH.replace("@COMMANDS@", "\n".join(named)).replace("@CASES@", "\n".join(cases))


def _zsh_argument(flag: CompletedFlag) -> str:
    """Return the argument of zsh's `_arguments` that describes `flag`."""
    meaning = flag.meaning.replace("\\", "\\\\")
    for sign in "[]:":
        meaning = meaning.replace(sign, f"\\{sign}")
    action = " "
    if flag.files:
        action = "_files"
    elif any(word.endswith("=") for word in flag.words):  # a value follows at once
        action = f"compadd -S '' -- {' '.join(flag.words)}"
        action = f"{{{action}}}"
    elif flag.words:
        action = f"({' '.join(flag.words)})"
    if not flag.name:
        return f"*:{meaning or 'argument'}:{action}"
    return f"*{flag.name}[{meaning}]" + (f":value:{action}" if flag.takes_value else "")


# --- fish ---


def _fish(own: CompletedCommand, commands: Iterable[CompletedCommand]) -> str:
    known = list(commands)
    lines = ["# fish completion for trailing-edge", "complete -c trailing-edge -f"]
    first = "-n __fish_use_subcommand"
    lines += [f"complete -c trailing-edge {first} -a {each.name} -d {_quoted(each.purpose)}" for each in known]
    for command in (own, *known):
        when = f"-n '__fish_seen_subcommand_from {command.name}'" if command.name else first
        lines += [f"complete -c trailing-edge {when} {_fish_flag(flag)}".rstrip() for flag in command.flags]
    return "\n".join(lines)


def _fish_flag(flag: CompletedFlag) -> str:
    words = f" -a {_quoted(' '.join(flag.words))}" if flag.words else ""
    if not flag.name:
        return "-F" if flag.files else words.strip()
    value = ""
    if flag.takes_value:
        value = " -r -F" if flag.files else f" -x{words}"
    return f"-l {flag.name[2:]}{value} -d {_quoted(flag.meaning)}"


def _quoted(text: str) -> str:
    """Return `text` in single quotes, as fish reads them."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
