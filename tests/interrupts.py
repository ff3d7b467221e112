"""Interrupts: the effect of Ctrl-C, or of a terminal that closes, on the programs that a test starts."""

import signal
import sys


def heed_interrupts() -> None:
    """From now on the programs that this process starts end at SIGINT, and do at SIGHUP what they do by themselves.

    A shell starts a job in the background with SIGINT ignored, and nohup(1) starts a program with SIGHUP ignored: what
    that starts would inherit it.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if sys.platform != "win32" and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda *_: None)  # this process itself still outlives its terminal
