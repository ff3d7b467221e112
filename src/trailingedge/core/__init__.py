"""Core: code without any reference to trading, which every package may use.

Clocks (`clock`, `time_units`), errors and exit codes with one ranking of severity (`errors`), threads and the batched
writer (`background_threads`), redaction of secrets (`redaction`), text from outside (`printable`), and how settings are
declared, read and listed (`options`, `env_file`, `option_texts`). It imports only the standard library, and
`python-dotenv` where an env file is read. All packages import it; nothing in it imports them.
"""
