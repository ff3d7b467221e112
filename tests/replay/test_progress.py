import io

from trailingedge.replay.progress import Bar


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_sees_a_bar_that_goes_away() -> None:
    terminal = Terminal()
    bar = Bar(terminal)
    bar.show(0.5, "2026-07-02 12:00 UTC")
    assert "[###############...............]  50 %  2026-07-02 12:00 UTC" in terminal.getvalue()
    bar.close()
    assert terminal.getvalue().endswith("\r")


def test_it_is_not_redrawn_more_often_than_anybody_can_see() -> None:
    terminal = Terminal()
    bar = Bar(terminal)
    for share in range(100):
        bar.show(share / 100, "")
    assert terminal.getvalue().count("\r") < 10


def test_a_pipe_sees_nothing() -> None:
    pipe = io.StringIO()
    bar = Bar(pipe)
    bar.show(0.5, "half of it")
    bar.close()
    assert pipe.getvalue() == ""


def test_what_is_said_stays_on_a_line_of_its_own_and_reaches_a_pipe_too() -> None:
    terminal, pipe = Terminal(), io.StringIO()
    for stream in (terminal, pipe):
        bar = Bar(stream)
        bar.show(0.5, "half of it")
        bar.say("not enough")
    assert terminal.getvalue().endswith("\rnot enough\n")
    assert pipe.getvalue() == "not enough\n"
    Bar(None).say("to nobody")
