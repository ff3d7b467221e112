"""What the page's script does to the packed columns, in Python."""

import base64
import json
import zlib


def unpacked(text: str) -> tuple[dict[str, object], dict[str, list[float | None]]]:
    """The header, and each column by its name."""
    data = zlib.decompress(base64.b64decode(text))
    at = 4 + int.from_bytes(data[:4], "little")
    header = json.loads(data[4:at])
    columns = {}
    for told in header["columns"]:
        length, number = told["length"], told["first"]
        values: list[float | None] = []
        for row in range(length):
            difference = sum(data[at + plane * length + row] << (8 * plane) for plane in range(4))
            if difference == 2**32 - 1:
                values.append(None)
                continue
            number += -(difference + 1) // 2 if difference % 2 else difference // 2
            values.append(number * told["unit"])
        columns[told["name"]] = values
        at += 4 * length
    assert at == len(data)
    return header, columns
