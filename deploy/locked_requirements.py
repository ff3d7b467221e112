"""Requirements of the program, locked: what `uv.lock` says of its dependencies, as pip reads it, with every hash.

    python3 deploy/locked_requirements.py uv.lock >requirements.txt

The install script calls it where there is no uv. It needs Python 3.11 and nothing else.
"""

import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

Package = Mapping[str, Any]


def requirements(lock: Mapping[str, Any], project: str) -> Iterator[str]:
    """Yield one requirement for each package that `project` needs at run time, with its version, marker and hashes.

    Raises ValueError for a lock that this script cannot translate.
    """
    if lock.get("version") != 1:
        raise ValueError(f"version {lock.get('version')!r} of the lock is not 1, the one that this script reads")
    by_name: dict[str, list[Package]] = {}
    for package in lock["package"]:
        by_name.setdefault(package["name"], []).append(package)
    markers = _markers_by_name(by_name, project)
    for name in sorted(markers.keys() - {project}):
        if len(by_name[name]) > 1:
            raise ValueError(f"{name} is locked in several versions, which this script cannot read; use uv")
        yield _requirement(by_name[name][0], markers[name])


def _markers_by_name(by_name: Mapping[str, Sequence[Package]], project: str) -> dict[str, set[tuple[str, ...]]]:
    """Return the packages that `project` needs, itself included, each with the conditions under which it is needed.

    A condition is the markers along one path from the project to the package. An empty one means always.
    """
    found: dict[str, set[tuple[str, ...]]] = {project: {()}}
    waiting: list[tuple[str, tuple[str, ...]]] = [(project, ())]
    while waiting:
        name, above = waiting.pop()
        for dependency in by_name[name][0].get("dependencies", ()):
            if "extra" in dependency:
                raise ValueError(
                    f"{name} needs extras of {dependency['name']}, which this script does not read; use uv"
                )
            marker = dependency.get("marker")
            condition = above if marker is None or marker in above else (*above, marker)
            if condition not in found.setdefault(dependency["name"], set()):
                found[dependency["name"]].add(condition)
                waiting.append((dependency["name"], condition))
    return found


def _requirement(package: Package, conditions: set[tuple[str, ...]]) -> str:
    """Return the lines for one package: its version, its marker if it is not always needed, and all its hashes."""
    files = [*package.get("wheels", ()), *([package["sdist"]] if "sdist" in package else [])]
    if not files or "registry" not in package["source"]:
        raise ValueError(f"{package['name']} is locked without files of a registry, so without hashes")
    marker = "" if () in conditions else f" ; {' or '.join(sorted(map(_all_of, conditions)))}"
    hashes = "".join(f" \\\n    --hash={file['hash']}" for file in files)
    return f"{package['name']}=={package['version']}{marker}{hashes}"


def _all_of(markers: tuple[str, ...]) -> str:
    return " and ".join(f"({marker})" for marker in markers)


def main(arguments: Sequence[str]) -> int:
    """Print the requirements of the lock file in `arguments`. Return the exit code."""
    try:
        (path,) = arguments
        lines = list(requirements(tomllib.loads(Path(path).read_text(encoding="utf-8")), "trailing-edge"))
    except (OSError, ValueError, KeyError) as wrong:
        print(f"locked_requirements.py: {' '.join(arguments)}: {wrong}", file=sys.stderr)
        return 1
    print("\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
