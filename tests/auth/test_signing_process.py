"""Signing process: reports that it is ready, signs once, and names what is wrong with a key file."""

import sys
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from tests import processes
from tests.auth.keys import KEY, PAYLOAD, SIGNATURE, UNUSABLE, pem

from trailingedge.auth import signing_process


def run(path: Path, payload: bytes, *flags: str) -> CompletedProcess[bytes]:
    command = [sys.executable, "-I", *flags, signing_process.__file__, "", str(path)]
    return processes.run(command, input=payload)


def test_it_is_ready_and_signs_its_standard_input(key_file: Path) -> None:
    done = run(key_file, PAYLOAD)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"ready\n" + SIGNATURE.encode(), b"")


@pytest.mark.parametrize(("content", "reason"), UNUSABLE)
def test_it_names_what_is_wrong_with_a_file(content: bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=reason) as refused:
        signing_process.load_key(str(path))
    done = run(path, PAYLOAD)
    assert (done.stdout, done.stderr) == (b"unusable: " + str(refused.value).encode(), b"")


def test_it_names_a_missing_file(tmp_path: Path) -> None:
    assert run(tmp_path / "none.pem", PAYLOAD).stdout.startswith(b"unusable: no such file")


def test_a_missing_library_is_no_fault_of_the_key(key_file: Path) -> None:
    done = run(key_file, PAYLOAD, "-S")  # without the site-packages
    assert (done.stdout, done.returncode) == (b"", 1)
    assert b"No module named 'cryptography'" in done.stderr


def test_it_imports_little_before_it_reads_the_key() -> None:
    program = "import trailingedge.auth.signing_process, sys; print(*sys.modules)"
    done = processes.run([sys.executable, "-c", program], text=True, check=True)
    loaded = set(done.stdout.split())
    ours = {name for name in loaded if name.startswith("trailingedge")}
    assert ours == {"trailingedge", "trailingedge.auth", "trailingedge.auth.signing_process"}
    assert not {"cryptography", "asyncio", "json", "logging"} & loaded


def test_it_signs_with_the_key_of_the_file() -> None:
    key = signing_process.parse_key(pem())
    assert signing_process.sign(key, b"a=1") == signing_process.sign(KEY, b"a=1")
