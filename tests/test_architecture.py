"""The house keeps its shape: floors, top level, lint and types."""

import ast
import shutil
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Final

import pytest
from tests import processes

ROOT: Final = Path(__file__).parent.parent
SOURCE: Final = ROOT / "src" / "trailingedge"

# Lowest first: an import points to an earlier line, or to a module of the same package.
LAYERS: Final = [
    "core",
    "model",
    "indicators",
    "strategy",
    "config",
    "config_validator",
    "logging_config",
    "auth",
    "websocket",
    "reconciliation",
    "risk",
    "execution",
    "simulator",
    "accounting",
    "notifications",
    "console",
    "report",
    "live",
    "eventlog",
    "session_replay",
    "backtest",
    "sweep",
    "commands",
    "app",
    "main",
    "__main__",
]
VOCABULARY: Final = {"core", "model"}
SOCKETS: Final = {"websockets", "socket", "ssl", "httpx", "socketserver", "http", "urllib"}
PURE: Final = {
    "bisect",
    "collections",
    "dataclasses",
    "decimal",
    "enum",
    "functools",
    "heapq",
    "itertools",
    "math",
    "operator",
    "types",
    "typing",
    "trailingedge",
}
WITH_EXCHANGE: Final = {"simulator", "live.paper_feed", "session_replay", "backtest", "sweep", "commands", "app"}
DOORWAYS: Final = {  # market and orders go through the first two
    "websocket.transport",
    "websocket.low_latency_transport",
    "auth.permissions",
    "live.systemd",
}
OF_THE_WHOLE: Final = {"simulation", "benchmarks"}  # folders of tests that mirror no folder of the source
TOP_LEVEL: Final = {
    "src",
    "tests",
    "deploy",
    "secrets",
    "pyproject.toml",
    "uv.lock",
    "README.md",
    "LICENSE",
}


def modules() -> list[str]:
    """Every module below `trailingedge`, dotted, packages by their own name."""
    found = []
    for path in sorted(SOURCE.rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        found.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return [module for module in found if module]


MODULES: Final = modules()


def layer(module: str) -> str:
    return module.split(".")[0]


def path_of(module: str) -> Path:
    path = SOURCE.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


@cache
def imports(module: str) -> frozenset[str]:
    """Dotted names that `module` imports, at any depth; of a relative import its dots."""
    found = set()
    for node in ast.walk(ast.parse(path_of(module).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level:
            found.add("." * node.level)
        elif isinstance(node, ast.ImportFrom) and node.module:
            below = {f"{node.module}.{alias.name}" for alias in node.names}
            of_modules = {name for name in below if own(name) in MODULES}
            found |= of_modules or {node.module}
    return frozenset(found)


def own(name: str) -> str:
    """A dotted name of ours below `trailingedge`, "" for the package itself and for others' names."""
    package, _, below = name.partition(".")
    return below if package == "trailingedge" else ""


def own_imports(module: str) -> Iterator[str]:
    return filter(None, map(own, imports(module)))


def foreign_roots(module: str) -> set[str]:
    """Packages of others that `module` stands on, itself or through ours."""
    waiting, seen, roots = [module], {module}, set()
    while waiting:
        for name in imports(waiting.pop()):
            if own(name) and own(name) not in seen:
                seen.add(own(name))
                waiting.append(own(name))
            elif not own(name):
                roots.add(name.split(".")[0])
    return roots


@pytest.mark.parametrize("module", MODULES)
def test_a_module_has_a_layer(module: str) -> None:
    assert layer(module) in LAYERS


@pytest.mark.parametrize("module", MODULES)
def test_an_import_points_downwards(module: str) -> None:
    here = LAYERS.index(layer(module))
    upwards = [name for name in own_imports(module) if LAYERS.index(layer(name)) > here]
    assert upwards == []


def test_no_imports_go_in_a_circle() -> None:
    graph = {module: {name for name in own_imports(module) if name in MODULES} for module in MODULES}
    assert len(list(TopologicalSorter(graph).static_order())) == len(MODULES)


@pytest.mark.parametrize("module", MODULES)
def test_imports_are_absolute(module: str) -> None:
    assert not [name for name in imports(module) if name.startswith(".")]


@pytest.mark.parametrize("module", [module for module in MODULES if layer(module) == "simulator"])
def test_the_exchange_borrows_nothing_but_words(module: str) -> None:
    assert {layer(name) for name in own_imports(module)} <= VOCABULARY | {"simulator"}


@pytest.mark.parametrize("module", [module for module in MODULES if not {module, layer(module)} & WITH_EXCHANGE])
def test_few_know_the_embedded_exchange(module: str) -> None:
    assert "simulator" not in {layer(name) for name in own_imports(module)}


@pytest.mark.parametrize("module", [module for module in MODULES if layer(module) in ("indicators", "strategy")])
def test_thought_does_nothing_but_think(module: str) -> None:
    assert {name.split(".")[0] for name in imports(module)} <= PURE


@pytest.mark.parametrize("module", [module for module in MODULES if layer(module) == "execution"])
def test_hands_know_the_words_of_the_wire_and_nothing_that_waits_on_it(module: str) -> None:
    spoken = {name for name in own_imports(module) if layer(name) == "websocket"}
    assert not {name for name in spoken if (SOCKETS | {"asyncio"}) & foreign_roots(name)}


@pytest.mark.parametrize("module", [module for module in MODULES if layer(module) != "simulator"])
def test_few_doorways_lead_to_the_network(module: str) -> None:
    opened = {name.split(".")[0] for name in imports(module) if not name.startswith("urllib.parse")} & SOCKETS
    assert not opened or module in DOORWAYS or module.startswith("notifications.telegram")


@pytest.mark.parametrize("module", [module for module in MODULES if layer(module) != "config"])
def test_settings_are_read_in_one_place(module: str) -> None:
    assert "dotenv" not in {name.split(".")[0] for name in imports(module)}


def files_in_git() -> list[str]:
    """What is in the checkout and not ignored; nothing where there is no checkout, or no git to ask."""
    if shutil.which("git") is None:
        return []
    return str(processes.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, text=True).stdout).splitlines()


def test_the_top_level_holds_nothing_else() -> None:
    names = {line.split("/")[0].strip('"') for line in files_in_git()}
    if not names:  # no checkout, or no git: what a run leaves behind is no part of the tree
        names = {path.name for path in ROOT.iterdir()} - {"logs", "build", "dist", "htmlcov"}
    assert {name for name in names if not name.startswith(".")} <= TOP_LEVEL
    assert {"src", "tests", ".env.example"} <= names


@pytest.mark.parametrize("path", sorted((ROOT / "tests").rglob("test_*.py")), ids=lambda path: path.stem)
def test_the_tests_have_the_folders_of_the_source(path: Path) -> None:
    folder = path.parent.relative_to(ROOT / "tests")
    assert (SOURCE / folder).is_dir() or folder.parts[0] in OF_THE_WHOLE


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(["ruff", "format", "--check", "."], id="format"),
        pytest.param(["ruff", "check", "."], id="lint"),
        pytest.param(["mypy", "src", "tests"], id="types"),
    ],
)
def test_house_rules_are_kept(command: list[str]) -> None:
    done = processes.run([sys.executable, "-m", *command], cwd=ROOT, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
