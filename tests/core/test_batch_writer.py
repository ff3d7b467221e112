"""The batched writer: order, partial writes, a disk that refuses, and the end."""

import threading
from collections import deque

from trailingedge.core.background_threads import BatchWriter


class ChoosyDisk:
    """Takes at most three bytes at a time, and refuses the first `refusals` writes."""

    def __init__(self, refusals: int = 0) -> None:
        self.taken = b""
        self.closed = False
        self._refusals = refusals

    def write(self, data: bytes, /) -> int:
        if self._refusals:
            self._refusals -= 1
            raise OSError("full")
        self.taken += data[:3]
        return len(data[:3])

    def close(self) -> None:
        self.closed = True


class WordWriter(BatchWriter):
    """Writes the words that it is given, two in a batch."""

    def __init__(self, disk: ChoosyDisk, every_s: float = 60.0) -> None:
        super().__init__("words", every_s, disk)
        self.words: deque[bytes] = deque()
        self.batches = 0
        self.troubles: list[str] = []
        self.in_trouble = threading.Event()

    def has_batch(self) -> bool:
        return bool(self.words)

    def next_batch(self) -> bytes:
        self.batches += 1
        return b"".join(self.words.popleft() for _ in range(min(2, len(self.words))))

    def last_bytes(self) -> bytes:
        return b"."

    def on_trouble(self, trouble: OSError) -> None:
        self.troubles.append(str(trouble))
        self.in_trouble.set()


def test_everything_is_written_in_order_with_its_end() -> None:
    disk = ChoosyDisk()
    writer = WordWriter(disk)
    writer.words.extend([b"first ", b"second ", b"third"])
    writer.start()
    writer.close()
    assert disk.taken == b"first second third."
    assert disk.closed
    assert writer.batches == 2


def test_what_the_disk_refused_is_written_later_and_reported_once() -> None:
    disk = ChoosyDisk(refusals=1)
    writer = WordWriter(disk, every_s=0.001)
    writer.words.extend([b"kept ", b"too"])
    writer.start()
    assert writer.in_trouble.wait(30)
    writer.words.append(b" late")
    writer.close()
    assert disk.taken == b"kept too late."
    assert writer.troubles == ["full"]


def test_a_wake_does_not_wait_for_the_interval() -> None:
    writer = WordWriter(ChoosyDisk(refusals=1))
    writer.start()
    writer.words.append(b"now")
    writer.wake()
    assert writer.in_trouble.wait(30)
    writer.close()
