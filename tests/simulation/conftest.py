"""Options of the simulation tests: `--days N` fair days, `--seeds N` storms."""

import pytest


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    for name, option in (("seed", "days"), ("storm_seed", "seeds")):
        if name in metafunc.fixturenames:
            metafunc.parametrize(name, range(metafunc.config.getoption(option)))
