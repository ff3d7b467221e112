"""Mutations: changes to an input that a reader of foreign bytes must survive, from single bytes to whole fields.

Bytes alone seldom get past the first check of a reader. So JSON is changed value by value, and rows cell by cell; a
packed file is mostly unpacked, changed and packed again, and its checksums are made right.
"""

import json
from collections.abc import Callable, Sequence
from random import Random
from typing import Any, Final

Mutate = Callable[[Random, bytes, Sequence[bytes]], bytes]
"""Return a changed copy of an input; the other inputs may lend parts of theirs."""

INTERESTING: Final[tuple[object, ...]] = (
    *(0, -1, 1, 7, 255, 2**31, 2**53 + 1, 2**63 - 1, 2**63, 2**64, -(2**63) - 1, 10**30, 10**400),
    *(0.1, -0.0, 1e308, 1.7e12, float("nan"), float("inf")),
    *(None, True, False, [], {}, [[]], {"": None}),
    *("", "0", "-0", "-1", "1e999999", "1e5", "1_0", " 1", "1 ", "+1", ".5", "1.", "0x10", "１", "٣", "NaN", "inf"),
    *("9" * 20, "9" * 21, "0." + "0" * 20 + "1", "1." + "9" * 30, "1700000000000", "4102444800000", "95617584000000"),
    *("true", "True", "null", "ETHFDUSD", "币安USDT", "TE-t-", "BUY", "FILLED", "2024-01-01 00:00:00"),
    *("\x1b[2J", "a\r\nb", "\u202eevil", "\x00", "\ud800", "\x85", "=1+1", "x" * 5000, "\\", '"', "'", "#", "$(id)"),
)
TOKENS: Final = (b"\x00", b"\xff", b"\xef\xbb\xbf", b"e9", *(bytes((each,)) for each in b"\n\r,\"'[]{}:-=#.\\$"))
_MOST_REPEATED: Final = 4000


def mutate_bytes(chance: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """Change a few bytes: flip, delete, insert, repeat, cut off, or splice with another input."""
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 2, 4, 16))):
        begin = chance.randrange(len(changed) + 1)
        end = min(len(changed), begin + chance.choice((1, 1, 2, 4, 8, 64, 512)))
        match chance.randrange(7):
            case 0 if begin < len(changed):
                changed[begin] ^= 1 << chance.randrange(8)
            case 1:
                del changed[begin:end]
            case 2:
                changed[begin:begin] = chance.choice(TOKENS)
            case 3:
                times = chance.choice((2, 3, 30, _MOST_REPEATED // max(1, end - begin)))
                changed[begin:end] = changed[begin:end] * times
            case 4:
                changed[begin:end] = chance.randbytes(end - begin)
            case 5:
                other = chance.choice(others)
                start = chance.randrange(len(other) + 1)
                changed[begin:end] = other[start : start + chance.choice((1, 8, 64, 1000))]
            case _:
                if chance.random() < 0.2:
                    del changed[begin:]
    return bytes(changed)


def mutate_json(chance: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """Change one or more values of a JSON text; what is no JSON is changed byte by byte."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return mutate_bytes(chance, data, others)
    if chance.random() < 0.1:
        return mutate_bytes(chance, data, others)
    for _ in range(chance.choice((1, 1, 1, 2, 5))):
        value = _with_a_change(chance, value)
    return encoded(value)


def encoded(value: object) -> bytes:
    """Return JSON, or what is almost JSON: NaN and lone surrogates are written, too."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(errors="surrogatepass")


def interesting(chance: Random) -> object:
    """Return a value that readers get wrong."""
    if chance.random() < 0.02:
        return json.loads("[" * 500 + "]" * 500)
    return chance.choice(INTERESTING)


def _with_a_change(chance: Random, value: Any) -> Any:
    """Return `value` with one change, anywhere in it."""
    if isinstance(value, dict) and value and chance.random() < 0.9:
        name = chance.choice(list(value))
        match chance.randrange(8):
            case 0:
                return {key: each for key, each in value.items() if key != name}
            case 1:
                return {**value, str(interesting(chance)): value[name]}
            case 2:
                return {**value, name: value[chance.choice(list(value))]}
            case _:
                return {**value, name: _with_a_change(chance, value[name])}
    if isinstance(value, list) and value and chance.random() < 0.9:
        place = chance.randrange(len(value))
        match chance.randrange(8):
            case 0:
                return value[:place] + value[place + 1 :]
            case 1:
                return value[:place] + value[place : place + 1] * chance.choice((2, 2, 50)) + value[place + 1 :]
            case 2:
                return [*value, interesting(chance)]
            case _:
                return [*value[:place], _with_a_change(chance, value[place]), *value[place + 1 :]]
    return _other_scalar(chance, value)


def _other_scalar(chance: Random, value: Any) -> Any:
    match chance.randrange(6):
        case 0 if isinstance(value, int) and not isinstance(value, bool):
            return value * chance.choice((-1, 1, 10, 1000)) + chance.choice((-1, 0, 1))
        case 0 if isinstance(value, float):
            return value * chance.choice((-1.0, 0.5, 1e9))
        case 1 if isinstance(value, str):
            place = chance.randrange(len(value) + 1)
            return value[:place] + str(interesting(chance)) + value[place:]
        case 2:
            return str(value)[:5000]
        case 3:
            return [value] if chance.random() < 0.5 else {"": value}
        case _:
            return interesting(chance)


def mutate_rows(chance: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """Change cells or lines of a table whose cells are parted by commas."""
    if chance.random() < 0.1:
        return mutate_bytes(chance, data, others)
    lines = data.split(b"\n")
    for _ in range(chance.choice((1, 1, 1, 2, 5))):
        place = chance.randrange(len(lines))
        cells = lines[place].split(b",")
        number = chance.randrange(len(cells))
        match chance.randrange(8):
            case 0:
                lines[place:place] = [lines[place]] * chance.choice((1, 3))
            case 1 if len(lines) > 1:
                del lines[place]
            case 2:
                lines[place], lines[-1 - place] = lines[-1 - place], lines[place]
            case 3:
                del cells[number]
                lines[place] = b",".join(cells)
            case 4:
                cells[number] = cells[number] + chance.choice((b"0", b"000", b"9999999999", b".0", b"e3", b" ", b'"'))
                lines[place] = b",".join(cells)
            case _:
                cells[number] = str(interesting(chance)).encode(errors="surrogatepass")
                lines[place] = b",".join(cells)
    return b"\n".join(lines)


def mutate_lines(chance: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """Change a text of lines, each of which is JSON or almost."""
    lines = data.split(b"\n")
    for _ in range(chance.choice((1, 1, 2, 5))):
        place = chance.randrange(len(lines))
        match chance.randrange(8):
            case 0 if len(lines) > 1:
                del lines[place]
            case 1:
                lines[place:place] = [lines[chance.randrange(len(lines))]]
            case 2:
                other = chance.choice(others).split(b"\n")
                lines[place] = chance.choice(other)
            case _:
                lines[place] = mutate_json(chance, lines[place], lines)
    return b"\n".join(lines)
