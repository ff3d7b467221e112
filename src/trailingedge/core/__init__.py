"""Core: code without any reference to trading, which every package may use.

Clocks (`clock`, `time_units`), errors and exit codes with one ranking of severity (`errors`), threads and the batched
writer (`background_threads`), redaction of secrets (`redaction`) and text from outside (`printable`). It imports only
the standard library. All packages import it; nothing in it imports them.
"""
