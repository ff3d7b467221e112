import os
import signal
from collections.abc import Iterator

import pytest
from tests.systemd import machine

pytestmark = pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
LOOP = "while :; do sleep 0.05; done"


@pytest.fixture
def in_the_background() -> Iterator[None]:
    """A shell starts a job in the background with SIGINT ignored."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("in_the_background")
def test_a_command_hears_ctrl_c_also_if_the_run_is_in_the_background() -> None:
    assert machine.interrupt("/bin/sh", "-c", f"trap 'exit 7' INT; echo ready; {LOOP}") == 7


def test_a_command_that_does_not_end_at_ctrl_c_fails_the_step() -> None:
    with pytest.raises(machine.NotSoError, match=r"not within 0.1 s after Ctrl-C: /bin/sh ends"):
        machine.interrupt("/bin/sh", "-c", f"trap '' INT; echo $$; {LOOP}", patience_s=0.1)


def test_a_command_that_ends_without_a_line_fails_the_step() -> None:
    with pytest.raises(machine.NotSoError, match="/bin/sh printed nothing"):
        machine.interrupt("/bin/sh", "-c", "exit 3")
