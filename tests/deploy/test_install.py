"""The install script: what it writes and keeps, that it changes nothing where it fails, and how it is undone."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests import processes
from tests.deploy.installing import (
    BASE_PYTHON,
    DEPLOY,
    ENV_FILE,
    HOME,
    PROGRAM,
    ROOT,
    UNITS,
    everything,
    executable,
    install,
    install_with_environment,
    small_checkout,
)

from trailingedge import VERSION
from trailingedge.core.errors import ExitCode

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a shell script for systemd")

NO_TOOL = "#!/bin/sh\nexit 1\n"
# Stand-ins for a Python whose pip notes what it is asked for, and for one that cannot make environments.
PIP = f"""#!/bin/sh
case "$*" in
*sys.base_prefix*) echo /usr ;;
'-m venv '*)
    {BASE_PYTHON} -m venv --without-pip "$3"
    packages=$("$3/bin/python" -I -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    mkdir "$packages/pip"
    printf 'import pathlib, sys\\npathlib.Path("%s").write_text("\\\\n".join(sys.argv[1:]))\\n' "$0.pip" \\
        >"$packages/pip/__main__.py"
    echo {os.path.dirname(os.path.dirname(pytest.__file__))} >"$packages/ours.pth" ;;
*) exec {BASE_PYTHON} "$@" ;;
esac
"""
WITHOUT_VENV = """#!/bin/sh
case "$*" in
*sys.base_prefix*) echo /usr ;;
*) exit 1 ;;
esac
"""


# --- What it writes ---------------------------------------------------------------------------


def test_it_writes_units_and_settings_and_nothing_else(tmp_path: Path) -> None:
    done = install("--root", tmp_path, "--systemd", "252", "--no-environment")
    assert (done.returncode, done.stderr) == (0, "")
    written = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    names = ("trailing-edge.service", "trailing-edge@.service", "trailing-edge.slice")
    assert written == {
        *(str(UNITS / name) for name in names),
        str(ENV_FILE),
        "opt/trailing-edge/README.md",
        "opt/trailing-edge/as-service",
    }
    assert (tmp_path / ENV_FILE).stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "etc/trailing-edge").stat().st_mode & 0o777 == 0o750
    assert (tmp_path / "etc/credstore").stat().st_mode & 0o777 == 0o700


def test_a_second_time_changes_no_setting_and_renews_the_units(tmp_path: Path) -> None:
    words = ("--root", tmp_path, "--systemd", "252", "--no-environment")
    install(*words)
    (tmp_path / ENV_FILE).write_text("SYMBOL=BTCFDUSD\n")
    (tmp_path / UNITS / "trailing-edge.service").write_text("old\n")
    done = install(*words)
    assert (done.returncode, done.stderr) == (0, "")
    assert "keeps" in done.stdout
    assert (tmp_path / ENV_FILE).read_text() == "SYMBOL=BTCFDUSD\n"
    assert "Type=notify" in (tmp_path / UNITS / "trailing-edge.service").read_text()


def test_younger_directives_are_added_where_they_are_known_and_taken_away_where_not(tmp_path: Path) -> None:
    drop_ins = [tmp_path / UNITS / f"trailing-edge{kind}.service.d/newer.conf" for kind in ("", "@")]
    for version, there in (("254", True), ("252", False), ("257", True)):
        install("--root", tmp_path, "--systemd", version, "--no-environment")
        assert [path.exists() for path in drop_ins] == [there, there], version


def test_an_installation_into_a_home_is_a_users_own(tmp_path: Path) -> None:
    done = install(
        "--user", "--root", tmp_path / "root", "--systemd", "252", "--no-environment", home=Path("/home/ann")
    )
    assert (done.returncode, done.stderr) == (0, "")
    home = tmp_path / "root/home/ann"
    assert (home / ".config/systemd/user/trailing-edge.service").exists()
    assert (home / ".config/trailing-edge/trailing-edge.env").exists()
    assert (home / ".local/share/trailing-edge").stat().st_mode & 0o777 == 0o700
    assert not (tmp_path / "root/etc").exists()
    assert "sudo loginctl enable-linger" in done.stdout


def test_it_is_found_from_anywhere_and_may_be_run(tmp_path: Path) -> None:
    assert os.access(DEPLOY / "install.sh", os.X_OK)
    done = processes.run([DEPLOY / "install.sh", "--root", "image", "--no-environment"], cwd=tmp_path)
    assert done.returncode == 0
    assert (tmp_path / "image" / UNITS / "trailing-edge.service").exists()


@pytest.mark.parametrize("words", [["--sudo"], ["--root"], ["trailing-edge"], ["--purge"]], ids=" ".join)
def test_what_it_does_not_know_is_a_fault_of_usage(words: list[str]) -> None:
    done = install(*words)
    assert (done.returncode, done.stdout) == (ExitCode.USAGE, "")
    assert "usage: " in done.stderr


def test_help_is_no_fault() -> None:
    done = install("--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "--root DIR" in done.stdout
    assert "--uninstall" in done.stdout


# --- The environment --------------------------------------------------------------------------


def test_a_program_of_that_name_that_is_not_ours_stays(tmp_path: Path) -> None:
    theirs = tmp_path / "root/home/ann/.local/bin/trailing-edge"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("theirs\n")
    done = install_with_environment(tmp_path, "--user")
    assert (done.returncode, done.stderr) == (0, "")
    assert theirs.read_text() == "theirs\n"
    assert "which is not ours" in done.stdout
    theirs.unlink()
    assert install_with_environment(tmp_path, "--user").returncode == 0
    assert theirs.readlink() == Path("/home/ann/.local/share/trailing-edge/.venv/bin/trailing-edge")


def test_the_environment_it_builds_starts_by_itself(tmp_path: Path) -> None:
    done = install_with_environment(tmp_path, script=DEPLOY / "install.sh")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"trailing-edge {VERSION}" in done.stdout
    launcher = tmp_path / "root" / PROGRAM
    assert launcher.read_text().startswith("#!/opt/trailing-edge/.venv-1/bin/python\n")
    assert os.access(launcher, os.X_OK)
    assert (tmp_path / "root/usr/local/bin/trailing-edge").readlink() == Path("/") / PROGRAM
    for word in ("--frozen", "--no-dev", "--no-build", "--no-install-project"):
        assert word in (tmp_path / "tools/synced").read_text()
    python = launcher.with_name("python")
    shown = processes.run([python, "-I", "-c", "import trailingedge; print(trailingedge.__file__)"], text=True).stdout
    assert shown.startswith(str(tmp_path))  # a copy: the checkout may go
    assert list((tmp_path / "root" / HOME).glob(".venv-1/lib/*/site-packages/trailingedge/__pycache__/main.*.pyc"))


def test_an_update_puts_the_new_environment_in_place_with_one_rename(tmp_path: Path) -> None:
    """A restart in between must find a program: 203/EXEC is not restarted."""
    install_with_environment(tmp_path)
    assert install_with_environment(tmp_path).returncode == 0
    home = tmp_path / "root" / HOME
    assert (home / ".venv").readlink() == Path(".venv-2")
    assert {path.name for path in home.iterdir()} == {".venv", ".venv-2", "README.md", "as-service"}


def test_an_environment_from_before_there_were_links_gives_way(tmp_path: Path) -> None:
    home = tmp_path / "root" / HOME
    executable(home / ".venv/bin/trailing-edge", "old\n")
    done = install_with_environment(tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert (home / ".venv").readlink() == Path(".venv-1")
    assert {path.name for path in home.iterdir()} == {".venv", ".venv-1", "README.md", "as-service"}


def test_without_uv_the_packages_are_those_of_the_lock_with_their_hashes(tmp_path: Path) -> None:
    done = install_with_environment(tmp_path, others={"uv": NO_TOOL, "python3": PIP})
    assert (done.returncode, done.stderr) == (0, "")
    asked = (tmp_path / "tools/python3.pip").read_text().splitlines()
    assert {"install", "--require-hashes", "--no-deps", "--only-binary", ":all:"} <= set(asked)
    locked = Path(asked[asked.index("--requirement") + 1])
    assert locked == tmp_path / "root" / HOME / ".venv-1/locked.txt"
    expected = processes.run([sys.executable, DEPLOY / "locked_requirements.py", ROOT / "uv.lock"], text=True).stdout
    assert "--hash=sha256:" in expected
    assert locked.read_text() == expected


# --- A run that fails -------------------------------------------------------------------------


def python_below_a_home(folder: Path) -> Path:
    """A Python that says it lives where a service cannot see it."""
    return executable(folder / "python3", "#!/bin/sh\necho /home/ann/.pyenv/versions/3.12.1\n")


def test_a_python_below_a_home_is_refused_with_what_to_do(tmp_path: Path) -> None:
    done = install("--root", tmp_path / "root", "--python", python_below_a_home(tmp_path))
    assert done.returncode == 1
    assert "no Python 3.11 or newer under a system path" in done.stderr
    assert "UV_PYTHON_INSTALL_DIR=/opt/python uv python install" in done.stderr
    assert not (tmp_path / "root").exists()


SYNC_FAILS = """#!/bin/sh
case $1 in
sync) echo 'no route to packages.example' >&2; exit 2 ;;
venv) for last; do :; done; mkdir -p "$last/bin" ;;
esac
"""


@pytest.mark.parametrize(
    ("others", "said"),
    [
        pytest.param({"uv": NO_TOOL, "python3": WITHOUT_VENV}, "install python3-venv", id="no venv"),
        pytest.param({"uv": SYNC_FAILS}, "no route to packages.example", id="no network"),
    ],
)
@pytest.mark.parametrize("user", [[], ["--user"]], ids=["system", "user"])
def test_a_run_that_fails_leaves_nothing(others: dict[str, str], said: str, user: list[str], tmp_path: Path) -> None:
    done = install_with_environment(tmp_path, *user, others=others)
    assert done.returncode == 1
    assert said in done.stderr
    assert "nothing was changed" in done.stderr
    assert not (tmp_path / "root").exists()


def test_an_update_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    assert install_with_environment(tmp_path).returncode == 0
    root = tmp_path / "root"
    (root / UNITS / "trailing-edge.service").write_text("as it was\n")
    before = everything(root)
    assert install_with_environment(tmp_path, others={"uv": SYNC_FAILS}).returncode == 1
    assert everything(root) == before
    (root / UNITS / "trailing-edge.slice").unlink()
    (root / UNITS / "trailing-edge.slice").mkdir()  # the last of the units cannot be written
    before = everything(root)
    done = install_with_environment(tmp_path)
    assert (done.returncode, "is a folder; move it away" in done.stderr) == (1, True)
    assert everything(root) == before
    assert (root / UNITS / "trailing-edge.service").read_text() == "as it was\n"


def test_a_program_that_does_not_start_is_not_installed(tmp_path: Path) -> None:
    script = small_checkout(tmp_path / "broken", main="import nothing_of_that_name\n")
    done = install_with_environment(tmp_path, script=script)
    assert (done.returncode, "the program does not start" in done.stderr) == (1, True)
    assert not (tmp_path / "root").exists()


# --- Removing it ------------------------------------------------------------------------------


@pytest.mark.parametrize("user", [[], ["--user"]], ids=["system", "user"])
def test_uninstalling_keeps_settings_and_logs(user: list[str], tmp_path: Path) -> None:
    root = tmp_path / "root"
    assert install_with_environment(tmp_path, *user, "--systemd", "257").returncode == 0
    home = root / ("home/ann/.local/share/trailing-edge" if user else "opt/trailing-edge")
    logs = home / "logs" if user else root / "var/log/trailing-edge"
    units = root / ("home/ann/.config/systemd/user" if user else UNITS)
    override = units / "trailing-edge.service.d/override.conf"
    settings = root / ("home/ann/.config" if user else "etc") / "trailing-edge/trailing-edge.env"
    logs.mkdir(parents=True)
    (logs / "latest.log").write_text("line\n")
    override.write_text("[Service]\nNice=1\n")
    done = install("--uninstall", "--root", root, *user, home=Path("/home/ann"))
    assert (done.returncode, done.stderr) == (0, "")
    files = {str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir()}
    assert files == {str(path.relative_to(root)) for path in (logs / "latest.log", override, settings)}
    assert "--purge removes them too" in done.stdout
    done = install("--uninstall", "--purge", "--root", root, *user, home=Path("/home/ann"))
    assert (done.returncode, done.stderr) == (0, "")
    assert [path for path in root.rglob("*") if not path.is_dir() or "trailing-edge" in path.name] == []


def test_uninstalling_removes_nothing_that_is_not_ours(tmp_path: Path) -> None:
    root = tmp_path / "root"
    executable(root / "usr/local/bin/trailing-edge", "theirs\n")
    executable(root / "etc/credstore/other.pem", "theirs\n")
    executable(root / UNITS / "other.service", "theirs\n")
    theirs = everything(root)
    assert install_with_environment(tmp_path).returncode == 0
    assert install("--uninstall", "--purge", "--root", root).returncode == 0
    assert everything(root) >= theirs
    assert {path for path in everything(root) - theirs if not path.endswith("/")} == set()


NO_BUS = "#!/bin/sh\necho 'Failed to connect to bus: No medium found' >&2\nexit 1\n"
# A manager that notes what it is told, and stops nothing if there is a file of that name beside it.
MANAGER = """#!/bin/sh
echo "$*" >>"$0.told"
case "$*" in *stop*) [ ! -e "$0.busy" ] ;; esac
"""


@pytest.fixture
def session(tmp_path: Path) -> dict[str, str]:
    """The environment of a user's own session with an installation, and without a systemd."""
    environ = {
        "PATH": f"{tmp_path / 'tools'}:{os.environ['PATH']}",
        "HOME": str(tmp_path / "ann"),
        "XDG_RUNTIME_DIR": str(tmp_path / "run"),
    }
    executable(tmp_path / "tools/systemctl", NO_BUS)
    executable(tmp_path / "tools/systemd-run", NO_BUS)
    done = processes.run([DEPLOY / "install.sh", "--user", "--no-environment"], env=environ, text=True)
    assert done.returncode == 0
    wants = tmp_path / "ann/.config/systemd/user/default.target.wants"
    wants.mkdir()
    (wants / "trailing-edge.service").symlink_to("../trailing-edge.service")
    return environ


def files_of(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_symlink() or path.is_file()}


@pytest.mark.parametrize("purge", [False, True], ids=["", "purge"])
def test_without_a_systemd_the_files_are_removed(purge: bool, tmp_path: Path, session: dict[str, str]) -> None:
    words = ["--user", "--uninstall", *(["--purge"] if purge else [])]
    done = processes.run([DEPLOY / "install.sh", *words], env=session, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "systemd is not running, so there was nothing to stop" in done.stdout
    assert files_of(tmp_path / "ann") == (set() if purge else {".config/trailing-edge/trailing-edge.env"})


def test_without_a_systemd_a_running_program_is_not_removed(tmp_path: Path, session: dict[str, str]) -> None:
    """A shell of another user may not reach the systemd that runs the service."""
    before = files_of(tmp_path / "ann")
    program = tmp_path / "ann/.local/share/trailing-edge/.venv-1/bin/trailing-edge"
    with processes.started(["/bin/sh", "-c", "read line; exit", program], stdin=subprocess.PIPE) as running:
        done = processes.run([DEPLOY / "install.sh", "--user", "--uninstall"], env=session, text=True)
    assert done.returncode == 1
    assert f"process {running.pid} still runs the program" in done.stderr
    assert "nothing was removed" in done.stderr
    assert files_of(tmp_path / "ann") == before


def test_a_service_that_does_not_stop_stays(tmp_path: Path, session: dict[str, str]) -> None:
    before = files_of(tmp_path / "ann")
    systemctl = executable(tmp_path / "tools/systemctl", MANAGER)
    busy = systemctl.with_name("systemctl.busy")
    busy.touch()
    done = processes.run([DEPLOY / "install.sh", "--user", "--uninstall"], env=session, text=True)
    assert done.returncode == 1
    assert "trailing-edge.service does not stop; nothing was removed" in done.stderr
    assert files_of(tmp_path / "ann") == before
    busy.unlink()
    assert processes.run([DEPLOY / "install.sh", "--user", "--uninstall"], env=session).returncode == 0
    assert "--user stop trailing-edge.service" in systemctl.with_name("systemctl.told").read_text()
    assert files_of(tmp_path / "ann") == {".config/trailing-edge/trailing-edge.env"}
