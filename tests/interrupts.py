"""What a Ctrl-C does to the programs that a run starts."""

import signal


def heed_interrupts() -> None:
    """From now on the programs that this process starts end at SIGINT.

    A shell starts a job in the background with SIGINT ignored, and what the job starts would inherit that.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
