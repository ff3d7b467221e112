"""Fuzzing by one command: `python -m tests.fuzz [--inputs N | --seconds S] [--seed N] [READER …]`.

Each reader of foreign bytes gets so many changed inputs, or inputs for so many seconds: `--seconds 60` takes a minute
for each reader. Ctrl-C or SIGTERM ends the present reader, and the next one begins. Exit code 1 if any of them had
another outcome than a value or a refusal; the input and the traceback are then written to `--out`.
"""

import argparse
import logging
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.fuzz.engine import Fuzzer, Report
from tests.fuzz.readers import READERS

_USUAL_SECONDS = 60.0
_MOST_MEMORY = 4 << 30  # bytes; an input that takes more is a finding (MemoryError)
_PROGRESS_S = 30.0


def main() -> int:
    """Fuzz the readers named on the command line, or all of them."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("readers", nargs="*", metavar="READER", help=f"one of {', '.join(READERS)}; all by default")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--inputs", type=int, help="inputs for each reader")
    length.add_argument("--seconds", type=float, default=_USUAL_SECONDS, help="time for each reader")
    parser.add_argument("--seed", type=int, default=0, help="another seed gives other inputs")
    parser.add_argument("--out", type=Path, default=Path("fuzz-findings"), help="folder of the findings")
    asked = parser.parse_args()
    unknown = [name for name in asked.readers if name not in READERS]
    if unknown:
        parser.error(f"unknown reader {unknown[0]}; choose from {', '.join(READERS)}")
    logging.disable(logging.CRITICAL)
    _limit_memory()
    failed = False
    for name in asked.readers or READERS:
        with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
            fuzzer = Fuzzer(READERS[name], Path(folder, "input"), asked.seed)
            for each in (signal.SIGINT, signal.SIGTERM):  # end this reader and say what was found
                signal.signal(each, lambda *_, fuzzer=fuzzer: fuzzer.interrupt())
            report = fuzzer.run(_limit(asked, name))
        _print(name, report)
        failed |= _save(name, report, asked.out)
    return int(failed)


def _limit(asked: argparse.Namespace, name: str) -> Callable[[int], bool]:
    began_s = told_s = time.monotonic()

    def keep_on(count: int) -> bool:
        nonlocal told_s
        now_s = time.monotonic()
        if now_s - told_s > _PROGRESS_S:
            told_s = now_s
            print(f"{name}: {count} inputs in {now_s - began_s:.0f} s", file=sys.stderr, flush=True)
        return count < asked.inputs if asked.inputs is not None else bool(now_s - began_s < asked.seconds)

    return keep_on


def _print(name: str, report: Report) -> None:
    refused = ", ".join(f"{count} {kind}" for kind, count in report.refused.most_common())
    print(
        f"{name}: {report.inputs} inputs: {report.values} values, refused {refused or 'none'}; "
        f"{report.kept} inputs that reached something new; {len(report.findings)} findings",
        flush=True,
    )


def _save(name: str, report: Report, folder: Path) -> bool:
    for number, finding in enumerate(report.findings, 1):
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{name}-{number}"
        path.with_suffix(".input").write_bytes(finding.data)
        path.with_suffix(".txt").write_text(finding.why, encoding="utf-8", errors="replace")
        print(f"  {path}.input: {finding.why.strip().splitlines()[-1][:200]}", flush=True)
    return bool(report.findings)


def _limit_memory() -> None:
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY, _MOST_MEMORY))


if __name__ == "__main__":
    raise SystemExit(main())
