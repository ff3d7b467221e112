"""The structure of the package: layers, size, names, comments, top level, lint and types."""

import ast
import re
import shutil
import statistics
import sys
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
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
# What trades. It must not know how messages travel: it is the same code in a backtest, where none do.
TRADING: Final = {"strategy", "reconciliation", "risk", "execution"}
MOST_ROOMS: Final = 26  # modules and packages at the top, `__main__` aside
MOST_ARROWS: Final = 165  # pairs of rooms of which one imports the other
MOST_TOP_MODULES: Final = 8
MEDIAN_LINES: Final = 140  # of a module
LEAST_COMMENT_FRAC: Final = 0.03  # lines with a comment
# Words that hide who acts: a first line that has one of them does not name its subject.
VAGUE: Final = re.compile(r"\b(whoever|whatever|nobody|somebody|anew|meanwhile)\b", re.IGNORECASE)
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
# Matching takes and gives typed values: a backtest uses it without JSON, streams, audit log or keys.
MATCHING: Final = {
    "simulator.accounts",
    "simulator.book",
    "simulator.engine",
    "simulator.engine_events",
    "simulator.filters",
    "simulator.order_amendment",
    "simulator.order_entry",
    "simulator.orders",
    "simulator.rate_limits",
    "simulator.self_trade",
}
WIRE: Final = {
    "json",
    "asyncio",
    "trailingedge.simulator.audit_log",
    "trailingedge.simulator.exchange",
    "trailingedge.simulator.keys",
    "trailingedge.simulator.market_payloads",
    "trailingedge.simulator.market_streams",
    "trailingedge.simulator.payloads",
}
WITH_EXCHANGE: Final = {"simulator", "live.paper_exchange", "session_replay", "backtest", "sweep", "commands", "app"}
CONNECTING: Final = {  # market data and orders go through the first two
    "websocket.socket_dialer",
    "websocket.low_latency_transport",
    "auth.api_key_permissions",
    "commands.market_history.archive_client",
    "live.systemd",
    "live.daemon_of_process",  # Unix sockets only
    "commands.watching.web_server",  # listens on the loopback
}
# Where `Settings` are read, checked or turned into parameters. Every other module takes a small params value, or
# settings by name and as text. A command gives what it has loaded to the factory, or to what opens its exchange.
SEES_SETTINGS: Final = {
    "config",
    "config_validator",
    "main",
    "app.bootstrap",
    "app.embedded_exchange",
    "app.environments",
    "app.settings_reload",
    "app.run_options",
    "app.runner",
    "live.factory",
    "commands.setting_flags",  # reads them from flags
    "commands.checks.check_target",  # the types of the functions of `app` that open an exchange or try Telegram
}
OF_THE_WHOLE: Final = {"simulation", "benchmarks", "deploy", "fuzz"}  # folders that mirror no folder of the source
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
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def imports(module: str) -> frozenset[str]:
    """Dotted names that `module` imports, at any depth; of a relative import its dots."""
    found = set()
    for node in ast.walk(tree(path_of(module))):
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


def own_imports(module: str) -> list[str]:
    return list(filter(None, map(own, imports(module))))


def all_but(*layers: str) -> list[str]:
    return [module for module in MODULES if layer(module) not in layers]


def all_in(*layers: str) -> list[str]:
    return [module for module in MODULES if layer(module) in layers]


def rooms() -> dict[str, set[str]]:
    """Each module and package at the top of ours, with the others that it imports."""
    graph: dict[str, set[str]] = {layer(module): set() for module in MODULES if module != "__main__"}
    for module in MODULES:
        if module != "__main__":
            graph[layer(module)] |= {layer(name) for name in own_imports(module)} & graph.keys() - {layer(module)}
    return graph


def sources() -> Iterator[tuple[Path, str]]:
    """Each source file with its text."""
    for path in sorted(SOURCE.rglob("*.py")):
        yield path, path.read_text(encoding="utf-8")


# One test for all modules, not one for each: a test takes longer to be started and told of than a module to be checked.


def test_a_module_has_a_layer() -> None:
    assert {layer(module) for module in MODULES} == set(LAYERS)


def test_an_import_points_downwards() -> None:
    upwards = [
        f"{module} imports {name}"
        for module in MODULES
        for name in own_imports(module)
        if LAYERS.index(layer(name)) > LAYERS.index(layer(module))
    ]
    assert upwards == []


def test_no_imports_go_in_a_circle() -> None:
    graph = {module: {name for name in own_imports(module) if name in MODULES} for module in MODULES}
    assert len(list(TopologicalSorter(graph).static_order())) == len(MODULES)


def test_few_rooms_and_few_arrows_between_them() -> None:
    graph = rooms()
    arrows = sum(map(len, graph.values()))
    print(f"rooms {len(graph)} (at most {MOST_ROOMS}), arrows {arrows} (at most {MOST_ARROWS})")
    assert len(graph) <= MOST_ROOMS
    assert arrows <= MOST_ARROWS


def test_no_rooms_import_in_a_circle() -> None:
    try:
        order = list(TopologicalSorter(rooms()).static_order())
    except CycleError as error:
        pytest.fail(f"a circle of rooms: {' imports '.join(error.args[1])}")
    print(f"rooms from the ground up: {', '.join(order)}")


def test_few_modules_stand_at_the_top() -> None:
    found = sorted(path.name for path in SOURCE.glob("*.py"))
    print(f"modules at the top {len(found)} (at most {MOST_TOP_MODULES}): {', '.join(found)}")
    assert len(found) <= MOST_TOP_MODULES


def test_no_public_type_name_is_used_twice() -> None:
    found: defaultdict[str, list[str]] = defaultdict(list)
    for path, _ in sources():
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found[node.name].append(str(path.relative_to(SOURCE)))
    twice = {name: paths for name, paths in found.items() if len(paths) > 1}
    print(f"public types {len(found)}, names used twice {len(twice)}")
    assert twice == {}


def test_modules_are_short() -> None:
    lengths = [text.count("\n") for _, text in sources()]
    median = statistics.median(lines for lines in lengths if lines > 3)  # an empty package is no module
    print(f"lines {sum(lengths)}, median of a module {median:g} (at most {MEDIAN_LINES})")
    assert median <= MEDIAN_LINES


def test_reasons_are_given_in_comments() -> None:
    lines, comments = 0, 0
    for _, text in sources():
        lines += text.count("\n")
        comments += len(re.findall(r"^ *# |  # ", text, re.MULTILINE))
    print(f"lines with a comment {comments} of {lines}, {comments / lines:.2%} (at least {LEAST_COMMENT_FRAC:.0%})")
    assert comments / lines >= LEAST_COMMENT_FRAC


def test_the_first_line_of_a_docstring_names_its_subject() -> None:
    vague = []
    for path, _ in sources():
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                first = (ast.get_docstring(node) or "").partition("\n")[0]
                if VAGUE.search(first):
                    vague.append(f"{path.relative_to(SOURCE)}: {first}")
    print(f"vague first lines of docstrings {len(vague)}")
    assert vague == []


def test_imports_are_absolute() -> None:
    assert [module for module in MODULES if any(name.startswith(".") for name in imports(module))] == []


def importing_more(modules: list[str], allowed: set[str]) -> dict[str, set[str]]:
    """Which of them import from another layer of ours than these, and from which."""
    found = {module: {layer(name) for name in own_imports(module)} - allowed for module in modules}
    return {module: more for module, more in found.items() if more}


def top_names(module: str) -> set[str]:
    """The packages that `module` imports from, ours and others'."""
    return {name.split(".")[0] for name in imports(module)}


def test_matching_knows_no_json() -> None:
    assert [module for module in sorted(MATCHING) if imports(module) & WIRE] == []


def test_the_simulator_imports_only_the_vocabulary() -> None:
    assert importing_more(all_in("simulator"), VOCABULARY | {"simulator"}) == {}


def test_few_modules_import_the_simulator() -> None:
    without = [module for module in MODULES if not {module, layer(module)} & WITH_EXCHANGE]
    assert importing_more(without, {*LAYERS} - {"simulator"}) == {}


def test_strategy_and_indicators_are_pure() -> None:
    assert {name for module in all_in("indicators", "strategy") for name in top_names(module)} <= PURE


def test_trading_packages_import_the_model_and_each_other_only() -> None:
    assert importing_more(all_in(*TRADING), {"core", "model", "indicators", *TRADING}) == {}


def test_few_modules_open_connections() -> None:
    opening = {
        module
        for module in all_but("simulator")
        if {name.split(".")[0] for name in imports(module) if not name.startswith("urllib.parse")} & SOCKETS
        and not module.startswith("notifications.telegram")
    }
    assert opening <= CONNECTING


def test_settings_are_read_in_one_place() -> None:
    assert [module for module in MODULES if "dotenv" in top_names(module) and module != "core.env_file"] == []


def test_every_http_client_bounds_its_replies() -> None:
    clients = {module for module in MODULES if "httpx" in imports(module)}
    assert clients
    assert {module for module in clients if "trailingedge.core.http_client" not in imports(module)} == set()


def files_in_git() -> list[str]:
    """What is in the checkout and not ignored; nothing where there is no checkout, or no git to ask."""
    if shutil.which("git") is None:
        return []
    return str(processes.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, text=True).stdout).splitlines()


def sees_settings(module: str) -> bool:
    """Whether `module` names the class `Settings` in an import."""
    found = (node for node in ast.walk(tree(path_of(module))) if isinstance(node, ast.ImportFrom) and node.module)
    return module == "config" or any(
        node.module == "trailingedge.config" and "Settings" in {alias.name for alias in node.names} for node in found
    )


def test_few_modules_see_all_settings() -> None:
    assert {module for module in MODULES if sees_settings(module)} == SEES_SETTINGS


def test_the_top_level_holds_nothing_else() -> None:
    names = {line.split("/")[0].strip('"') for line in files_in_git()}
    if not names:  # no checkout, or no git: what a run leaves behind is no part of the tree
        names = {path.name for path in ROOT.iterdir()} - {"logs", "build", "dist", "htmlcov"}
    assert {name for name in names if not name.startswith(".")} <= TOP_LEVEL
    assert {"src", "tests", ".env.example"} <= names


def test_the_tests_have_the_folders_of_the_source() -> None:
    folders = {path.parent.relative_to(ROOT / "tests") for path in (ROOT / "tests").rglob("test_*.py")}
    others = {str(folder) for folder in folders if not (SOURCE / folder).is_dir()}
    assert {folder.split("/")[0] for folder in others} <= OF_THE_WHOLE


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(["ruff", "format", "--check", "."], id="format"),
        pytest.param(["ruff", "check", "."], id="lint"),
        pytest.param(["mypy", "src", "tests"], id="types"),
    ],
)
def test_format_lint_and_types_are_clean(command: list[str]) -> None:
    done = processes.run([sys.executable, "-m", *command], cwd=ROOT, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
