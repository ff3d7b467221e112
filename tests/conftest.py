"""Options of the suite."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--days", type=int, default=8, metavar="N", help="fair days to simulate in tests/simulation (8)")
    parser.addoption("--seeds", type=int, default=40, metavar="N", help="days in a storm to simulate there (40)")
