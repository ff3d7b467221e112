import io
import signal

import pytest

from trailingedge.report.progress import ProgressBar, replay_progress, stop_on_ctrl_c


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_sees_a_bar_that_goes_away() -> None:
    terminal = Terminal()
    bar = ProgressBar(terminal)
    bar.show(0.5, "2026-07-02 12:00 UTC")
    assert "[###############...............]  50 %  2026-07-02 12:00 UTC" in terminal.getvalue()
    bar.close()
    assert terminal.getvalue().endswith("\r")


def test_it_is_not_redrawn_more_often_than_anybody_can_see() -> None:
    terminal = Terminal()
    bar = ProgressBar(terminal)
    for share in range(100):
        bar.show(share / 100, "")
    assert terminal.getvalue().count("\r") < 10


def test_a_pipe_sees_nothing() -> None:
    pipe = io.StringIO()
    bar = ProgressBar(pipe)
    bar.show(0.5, "half of it")
    bar.close()
    assert pipe.getvalue() == ""


def test_what_a_terminal_writes_behind_it_goes_away_too() -> None:
    terminal = Terminal()
    bar = ProgressBar(terminal)
    bar.show(0.5, "half")
    shown = terminal.getvalue().lstrip("\r")
    bar.close()
    assert terminal.getvalue().endswith("\r" + " " * (len(shown) + len("^C")) + "\r")


def test_a_session_is_shown_by_how_much_of_it_is_over_until_somebody_asks_for_an_end() -> None:
    terminal = Terminal()
    asked: list[bool] = []
    glance = replay_progress(ProgressBar(terminal), lambda: bool(asked))
    assert glance(0.25, 3_725_000_000_000)
    assert " 25 %  1 h 2 min 5 s of the session" in terminal.getvalue()
    asked.append(True)
    assert not glance(0.3, 3_726_000_000_000)


def test_whoever_cannot_ask_is_interrupted_by_the_first_request_and_by_no_second() -> None:
    tidied_up = []

    def work() -> None:
        try:
            signal.raise_signal(signal.SIGINT)
        finally:
            signal.raise_signal(signal.SIGINT)  # `uv run` hands the same one on
            tidied_up.append(True)

    with stop_on_ctrl_c() as asked:
        with pytest.raises(KeyboardInterrupt), asked.interrupt_at_once():
            work()
        assert asked()
    assert tidied_up


def test_a_request_that_came_before_is_heeded_at_once_as_well() -> None:
    with stop_on_ctrl_c() as asked:
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt), asked.interrupt_at_once():
            raise AssertionError("nothing is begun")


def test_what_is_said_stays_on_a_line_of_its_own_and_reaches_a_pipe_too() -> None:
    terminal, pipe = Terminal(), io.StringIO()
    for stream in (terminal, pipe):
        bar = ProgressBar(stream)
        bar.show(0.5, "half of it")
        bar.print_line("not enough")
    assert terminal.getvalue().endswith("\rnot enough\n")
    assert pipe.getvalue() == "not enough\n"
    ProgressBar(None).print_line("to nobody")
