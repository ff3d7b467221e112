"""Texts that list all options: an env file to fill in, and a table for a terminal."""

from collections.abc import Collection, Mapping
from typing import Final

from trailingedge.core.options import Option

WIDTH: Final = 120  # columns
_DEFAULT_WIDTH: Final = 10  # one default is longer, the path of the key: its meaning then begins on the next line


def env_file_template(options: Mapping[str, Option], essential: Collection[str], head: str) -> str:
    """Return an env file: `head`, the `essential` settings, then all others behind a `#` with their defaults."""
    blocks = [_block_of(options[name]) for name in essential]
    for option in options.values():
        if option.heading:
            blocks.append(f"# --- {option.heading} ---\n")
        if option.name not in essential:
            blocks.append(_block_of(option, off="#"))
    return head + "\n".join(blocks)


def _block_of(option: Option, off: str = "") -> str:
    comment = _comment(_meaning(option))
    return "\n".join([*comment, f"{off}{option.name}={option.shown(option.default)}", ""])


def settings_block(heading: str, before: str, values: Mapping[str, str], after: str) -> str:
    """Return settings that belong together as comment lines of an env file, with a text before and after them."""
    lines = [f"{name}={value}" for name, value in values.items()]
    return "\n".join(
        ["", f"# --- {heading} ---", "", *_comment(before), *(f"#   {line}" for line in lines), *_comment(after), ""]
    )


def _comment(text: str) -> list[str]:
    import textwrap  # imported late: a start prints no such text

    return textwrap.wrap(text, WIDTH, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False)


def options_table(options: Mapping[str, Option], width: int) -> str:
    """Return all settings in groups, for a terminal of `width` columns: name, default ("–" for none), meaning."""
    import textwrap

    names = max(map(len, options))
    indent = " " * (names + _DEFAULT_WIDTH + 4)
    lines = []
    for option in options.values():
        if option.heading:
            lines += ["", f"# {option.heading}"]
        start = f"{option.name:<{names}}  {option.shown(option.default) or '–':<{_DEFAULT_WIDTH}}  "
        if len(start) > len(indent):
            lines.append(start.rstrip())
            start = indent
        first, *more = textwrap.wrap(_meaning(option), max(20, width - len(indent)), break_on_hyphens=False)
        lines += [start + first, *(indent + line for line in more)]
    return "\n".join(lines[1:]) + "\n"


def _meaning(option: Option) -> str:
    """Return the setting's comment as a sentence, and then the values to choose from.

    The values are left out if they are true and false, or if the comment contains each of them.
    """
    if option.kind is bool or all(choice in option.comment for choice in option.choices):
        return f"{option.comment}."
    return f"{option.comment}. One of {', '.join(option.choices)}."
