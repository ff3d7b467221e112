"""Env file: reads a file with a setting in each line, as `NAME=VALUE`, and lists everything that is wrong with it."""

import io
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from trailingedge.core import bounded_files
from trailingedge.core.misplaced_secrets import problem_with_name
from trailingedge.core.setting_names import shown_name, unknown_setting

_LARGEST_FILE_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class UnknownLine:
    """A line with an unknown name: the name, if it may be shown, and a text with file, line and a likely name."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class EnvFile:
    """The content of an env file: values by name, problems, warnings, and lines with unknown names."""

    values: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    unknown: tuple[UnknownLine, ...] = ()


def read_env_file(path: Path, known: Collection[str], *, needed: bool) -> EnvFile:
    """Read the settings in a file. `known` are the names that exist. A missing file is a problem only if `needed`."""
    try:
        # Some editors on Windows write a byte order mark.
        text = bounded_files.read(path, _LARGEST_FILE_BYTES).decode("utf-8-sig")
    except FileNotFoundError:
        return EnvFile(problems=(f"{path} does not exist; name an existing file with --env-file",) if needed else ())
    except bounded_files.TooLarge as wrong:
        return EnvFile(problems=(f"{path} is {wrong}, so it is no file of settings; name another --env-file",))
    except (OSError, UnicodeDecodeError) as wrong:
        if isinstance(wrong, PermissionError) and not needed and not os.access(path.parent, os.X_OK):
            return EnvFile(warnings=(f"{path}: this user may not look into its folder; no settings are read from it",))
        return EnvFile(problems=(f"{path} cannot be read: {wrong}",))
    return _parse(path, text, known)


def _parse(path: Path, content: str, known: Collection[str]) -> EnvFile:
    from dotenv.parser import parse_stream  # imported late: a service has its settings in the environment

    values: dict[str, str] = {}
    problems: list[str] = []
    warnings: list[str] = []
    unknown: list[UnknownLine] = []
    for line in parse_stream(io.StringIO(content)):
        where = f"{path}, line {line.original.line}"
        if line.error:
            problems.append(f"{where}: this is not NAME=VALUE; correct it or remove it")
        elif line.key is None:  # an empty line or a comment
            continue
        elif line.key in known:
            if line.key in values:
                warnings.append(f"{path}: {line.key} is set twice; the last one counts")
            values[line.key] = line.value or ""
        elif problem := problem_with_name(line.key):
            problems.append(f"{where}: {problem}")
        else:
            text = f"{where}: {unknown_setting(line.key, known)}"
            unknown.append(UnknownLine(shown_name(line.key, known), text))
    return EnvFile(values, tuple(problems), tuple(warnings), tuple(unknown))
