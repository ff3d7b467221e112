"""Options of the suite, and how it is run."""

import pytest
from tests import both_ends


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--days", type=int, default=8, metavar="N", help="fair days to simulate in tests/simulation (8)")
    parser.addoption("--seeds", type=int, default=40, metavar="N", help="days in a storm to simulate there (40)")
    both_ends.add_option(parser)


def pytest_configure(config: pytest.Config) -> None:
    both_ends.configure(config)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    both_ends.long_ones_last(items)
