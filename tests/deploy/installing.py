"""Installing: runs the install script inside a folder, offline, with fakes of the tools that would use the network."""

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from tests import processes

ROOT = Path(__file__).parent.parent.parent
DEPLOY = ROOT / "deploy"
UNITS = Path("etc/systemd/system")
ENV_FILE = Path("etc/trailing-edge/trailing-edge.env")
HOME = Path("opt/trailing-edge")
# Not that of this environment, which has none of its own beside it.
BASE_PYTHON: str = sys._base_executable  # type: ignore[attr-defined]
PROGRAM = HOME / ".venv/bin/trailing-edge"

# Calls a Python without its `pip`, and lets the packages of this environment be found in the one it makes.
_UV = """#!/bin/sh
for last; do :; done
case $1 in
--version) echo uv 0 ;;
venv) exec {python} -m venv --without-pip "$last" ;;
sync)
    echo "$*" >{folder}/synced
    echo {packages} >"$("$UV_PROJECT_ENVIRONMENT/bin/python" -I -c 'import sysconfig
print(sysconfig.get_path("purelib"))')/ours.pth" ;;
esac
"""
_PYTHON = """#!/bin/sh
case "$*" in
*sys.base_prefix*) echo /usr ;;
*) exec {python} "$@" ;;
esac
"""


def install(
    *words: str | Path, home: Path | None = None, script: Path = DEPLOY / "install.sh"
) -> subprocess.CompletedProcess[str]:
    """Run the script with the tools of this machine."""
    environ = {"PATH": os.environ["PATH"], "HOME": str(home or "/nowhere")}
    return processes.run(["/bin/sh", script, *words], text=True, env=environ)


def executable(path: Path, text: str) -> Path:
    """Write a script that can be run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def tools(folder: Path, others: Mapping[str, str]) -> Path:
    """Make stand-ins for `python3` and `uv`, and `others` by name; return their folder."""
    packages = sysconfig.get_path("purelib")
    texts = {"python3": _PYTHON, "uv": _UV}
    for name, text in texts.items():
        executable(folder / name, text.format(python=BASE_PYTHON, folder=folder, packages=packages))
    for name, text in others.items():
        executable(folder / name, text)
    return folder


def small_checkout(folder: Path, main: str = "def run():\n    print('trailing-edge 0')\n") -> Path:
    """Make a checkout whose program is one line, which is copied and compiled at once; return its install script."""
    if not folder.exists():
        shutil.copytree(DEPLOY, folder / "deploy")
        for name in ("uv.lock", ".env.example"):
            shutil.copy(ROOT / name, folder)
        (folder / "src/trailingedge").mkdir(parents=True)
        (folder / "src/trailingedge/main.py").write_text(main)
    return folder / "deploy/install.sh"


def install_with_environment(
    folder: Path, *words: str, script: Path | None = None, others: Mapping[str, str] = MappingProxyType({})
) -> subprocess.CompletedProcess[str]:
    """Run the script, that of a small checkout, with stand-ins, below `folder/root`.

    What the stand-ins note is in `folder/tools`.
    """
    made = tools(folder / "tools", others)
    script = script or small_checkout(folder / "checkout")
    return processes.run(
        ["/bin/sh", script, "--root", folder / "root", "--python", made / "python3", *words],
        env={"PATH": f"{made}:{os.environ['PATH']}", "HOME": "/home/ann"},
        text=True,
    )


def everything(folder: Path) -> set[str]:
    """Everything below a folder, the folders with a stroke at the end."""
    return {f"{path.relative_to(folder)}{'/' if path.is_dir() else ''}" for path in folder.rglob("*")}
