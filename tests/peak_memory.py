"""Peak memory of a call, as Python's tracemalloc measures it."""

import tracemalloc
from collections.abc import Callable
from typing import TypeVar

E = TypeVar("E", bound=BaseException)


def peak_memory_mb(call: Callable[[], object], raises: type[E]) -> tuple[float, E]:
    """The most megabytes that `call` holds at once, and the exception that ends it."""
    tracemalloc.start()
    try:
        call()
    except raises as raised:
        return tracemalloc.get_traced_memory()[1] / 1e6, raised
    finally:
        tracemalloc.stop()
    raise AssertionError(f"no {raises.__name__} was raised")
