"""The locked requirements: what pip is given is what uv would install, and a lock that cannot be read is refused."""

import copy
import importlib.util
import sys
import tomllib
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import pytest
from tests import processes
from tests.deploy.installing import DEPLOY, ROOT

LOCK: Mapping[str, Any] = tomllib.loads((ROOT / "uv.lock").read_text(encoding="utf-8"))
NEEDED = {"cryptography", "httpx", "python-dotenv", "websockets"}


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("locked_requirements", DEPLOY / "locked_requirements.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def read(requirement: str) -> tuple[str, str, list[str]]:
    """Name with version, marker, hashes."""
    first, *hashes = requirement.replace("\\\n", "\n").splitlines()
    pinned, _, marker = first.partition(" ; ")
    return pinned.strip(), marker.strip(), [each.strip().removeprefix("--hash=") for each in hashes]


def test_each_package_has_the_version_and_all_hashes_of_the_lock(script: ModuleType) -> None:
    requirements = [read(each) for each in script.requirements(LOCK, "trailing-edge")]
    locked = {package["name"]: package for package in LOCK["package"]}
    names = [pinned.partition("==")[0] for pinned, _, _ in requirements]
    assert set(names) >= NEEDED | {"anyio", "certifi", "h11", "httpcore", "idna"}
    assert not {"trailing-edge", "pytest", "dask", "ray"} & set(names)  # nor groups and extras
    assert names == sorted(set(names))
    for name, (pinned, _, hashes) in zip(names, requirements, strict=True):
        package = locked[name]
        assert pinned == f"{name}=={package['version']}"
        files = [*package["wheels"], package["sdist"]]
        assert sorted(hashes) == sorted(file["hash"] for file in files)


def test_a_package_that_not_every_python_needs_has_its_marker(script: ModuleType) -> None:
    markers = {each.partition("==")[0]: read(each)[1] for each in script.requirements(LOCK, "trailing-edge")}
    assert markers["httpx"] == ""
    assert markers["cffi"] == "(platform_python_implementation != 'PyPy')"
    assert markers["pycparser"] == "(platform_python_implementation != 'PyPy') and (implementation_name != 'PyPy')"


def small_lock(**changes: Any) -> dict[str, Any]:
    """A project that needs a package which needs itself again, under another marker."""
    file = {"hash": "sha256:00"}
    ring = [{"name": "a", "marker": "os_name == 'nt'"}]
    package = {"name": "a", "version": "1", "source": {"registry": "r"}, "wheels": [file], "dependencies": ring}
    project = {"name": "p", "source": {"editable": "."}, "dependencies": [{"name": "a"}]}
    return {"version": 1, "package": [project, package | changes]}


def test_packages_that_need_each_other_come_to_an_end(script: ModuleType) -> None:
    assert list(script.requirements(small_lock(), "p")) == ["a==1 \\\n    --hash=sha256:00"]


def _twice(lock: dict[str, Any]) -> None:
    lock["package"].append(copy.deepcopy(lock["package"][1]))


def _extra(lock: dict[str, Any]) -> None:
    lock["package"][0]["dependencies"][0]["extra"] = ["fast"]


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        pytest.param(lambda lock: lock.update(version=2), "version 2 of the lock", id="another format"),
        pytest.param(_twice, "a is locked in several versions", id="two versions"),
        pytest.param(_extra, "p needs extras of a", id="extras"),
        pytest.param(lambda lock: lock["package"][1].update(wheels=[]), "without hashes", id="no files"),
        pytest.param(lambda lock: lock["package"][1].update(source={"git": "g"}), "without hashes", id="from git"),
    ],
)
def test_a_lock_that_it_cannot_translate_is_refused(
    spoil: Callable[[dict[str, Any]], None], said: str, script: ModuleType
) -> None:
    lock = small_lock()
    spoil(lock)
    with pytest.raises(ValueError, match=said):
        list(script.requirements(lock, "p"))


def test_a_file_that_is_no_lock_is_an_error_of_one_line(script: ModuleType) -> None:
    done = processes.run([sys.executable, script.__file__ or "", ROOT / "LICENSE"], text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("locked_requirements.py: ")
    assert done.stderr.count("\n") == 1
