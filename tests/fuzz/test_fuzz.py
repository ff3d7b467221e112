"""A few fuzzed inputs for each reader of foreign bytes; `python -m tests.fuzz` feeds any number."""

from pathlib import Path

import pytest
from tests.fuzz.engine import Fuzzer, Reader
from tests.fuzz.mutations import mutate_bytes
from tests.fuzz.readers import READERS


@pytest.mark.parametrize("name", READERS)
def test_whatever_the_bytes_a_reader_returns_a_value_or_refuses(name: str, tmp_path: Path) -> None:
    reader = READERS[name]
    report = Fuzzer(reader, tmp_path / "input", seed=1).run(lambda count: count < reader.in_suite)
    assert [finding.why for finding in report.findings] == []
    assert report.values
    assert report.kept > len(reader.seeds())


def test_another_outcome_is_found_once_for_each_cause(tmp_path: Path) -> None:
    def read(data: bytes, _: Path) -> int:
        if b"\xff" in data:
            raise KeyError("mistake")
        return int(data)

    reader = Reader("broken", lambda: [b"12"], mutate_bytes, read, (ValueError,))
    report = Fuzzer(reader, tmp_path / "input", seed=1).run(lambda count: count < 2000)
    (finding,) = report.findings
    assert b"\xff" in finding.data
    assert "KeyError: 'mistake'" in finding.why
    assert report.refused["ValueError"]
