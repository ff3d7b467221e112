"""Entry point of `python -m trailingedge`: the same command line as `trailing-edge`."""

from trailingedge.main import run

if __name__ == "__main__":
    raise SystemExit(run())
