"""What the install script writes: units that systemd reads without a word, hardened, for the environment installed."""

import configparser
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests import processes

from trailingedge.config import env_example, read_settings
from trailingedge.config_validator import checked_settings
from trailingedge.core.errors import ExitCode

ROOT = Path(__file__).parent.parent
DEPLOY = ROOT / "deploy"
UNITS = Path("etc/systemd/system")
ENV_FILE = Path("etc/trailing-edge/trailing-edge.env")
PROGRAM = Path("opt/trailing-edge/.venv/bin/trailing-edge")
AS_SERVICE = Path("opt/trailing-edge/as-service")

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a shell script for systemd")
needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze here")


def install(
    *words: str | Path, home: Path | None = None, script: Path = DEPLOY / "install.sh"
) -> subprocess.CompletedProcess[str]:
    environ = {"PATH": os.environ["PATH"], "HOME": str(home or "/nowhere")}
    return processes.run(["/bin/sh", script, *words], text=True, env=environ)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What was written for a machine with systemd 252."""
    root = tmp_path_factory.mktemp("image")
    done = install("--root", root, "--systemd", "252", "--no-environment")
    assert (done.returncode, done.stderr) == (0, "")
    return root


def unit(path: Path) -> configparser.ConfigParser:
    """A unit's sections; of a directive that is repeated only the last."""
    parser = configparser.ConfigParser(strict=False, interpolation=None, delimiters="=", comment_prefixes="#")
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # names of directives keep their capitals
    parser.read(path)
    return parser


def directives(path: Path) -> list[tuple[str, str]]:
    lines = path.read_text().splitlines()
    return [
        (name, value) for name, equals, value in (line.partition("=") for line in lines) if equals and name[0] != "#"
    ]


# --- The script -------------------------------------------------------------------------------


def test_it_writes_units_and_settings_and_nothing_else(image: Path) -> None:
    written = {str(path.relative_to(image)) for path in image.rglob("*") if path.is_file()}
    names = ("trailing-edge.service", "trailing-edge@.service", "trailing-edge.slice")
    assert written == {
        *(str(UNITS / name) for name in names),
        str(ENV_FILE),
        "opt/trailing-edge/README.md",
        str(AS_SERVICE),
    }
    assert (image / ENV_FILE).stat().st_mode & 0o777 == 0o640
    assert (image / "etc/trailing-edge").stat().st_mode & 0o777 == 0o750
    assert (image / "etc/credstore").stat().st_mode & 0o777 == 0o700


def test_a_second_time_changes_no_setting_and_renews_the_units(tmp_path: Path) -> None:
    words = ("--root", tmp_path, "--systemd", "252", "--no-environment")
    install(*words)
    (tmp_path / ENV_FILE).write_text("SYMBOL=BTCFDUSD\n")
    (tmp_path / UNITS / "trailing-edge.service").write_text("old\n")
    done = install(*words)
    assert (done.returncode, done.stderr) == (0, "")
    assert "kept" in done.stdout
    assert (tmp_path / ENV_FILE).read_text() == "SYMBOL=BTCFDUSD\n"
    assert "Type=notify" in (tmp_path / UNITS / "trailing-edge.service").read_text()


def test_younger_directives_are_added_where_they_are_known_and_taken_away_where_not(tmp_path: Path) -> None:
    drop_ins = [tmp_path / UNITS / f"trailing-edge{kind}.service.d/newer.conf" for kind in ("", "@")]
    for version, there in (("254", True), ("252", False), ("257", True)):
        install("--root", tmp_path, "--systemd", version, "--no-environment")
        assert [path.exists() for path in drop_ins] == [there, there], version
    settings = dict(directives(drop_ins[0]))
    assert settings["RestartMaxDelaySec"] == "5min"
    assert int(settings["RestartSteps"]) > 1


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


def python_below_a_home(folder: Path) -> Path:
    """A Python that says it lives where a service cannot see it."""
    python = folder / "python3"
    python.write_text("#!/bin/sh\necho /home/ann/.pyenv/versions/3.12.1\n")
    python.chmod(0o755)
    return python


def test_a_python_below_a_home_is_refused_with_what_to_do(tmp_path: Path) -> None:
    done = install("--root", tmp_path / "root", "--python", python_below_a_home(tmp_path))
    assert done.returncode == 1
    assert "no Python 3.11 or newer under a system path" in done.stderr
    assert "UV_PYTHON_INSTALL_DIR=/opt/python uv python install" in done.stderr


@pytest.mark.parametrize("words", [["--sudo"], ["--root"], ["trailing-edge"]], ids=" ".join)
def test_what_it_does_not_know_is_a_fault_of_usage(words: list[str]) -> None:
    done = install(*words)
    assert (done.returncode, done.stdout) == (ExitCode.USAGE, "")
    assert "usage: " in done.stderr


def test_help_is_no_fault() -> None:
    done = install("--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "--root DIR" in done.stdout


def test_it_is_found_from_anywhere_and_may_be_run(tmp_path: Path) -> None:
    assert os.access(DEPLOY / "install.sh", os.X_OK)
    done = processes.run([DEPLOY / "install.sh", "--root", "image", "--no-environment"], cwd=tmp_path)
    assert done.returncode == 0
    assert (tmp_path / "image" / UNITS / "trailing-edge.service").exists()


def install_with_environment(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """With stand-ins for uv, since a test has no network: what matters is where it ends up and what it is called."""
    tools = folder / "tools"
    tools.mkdir(exist_ok=True)
    uv = ["#!/bin/sh", "for last; do :; done", 'case $1 in venv) mkdir -p "$last/bin" ;;']
    uv += [f'sync) echo "$*" > {folder}/synced ;; esac', ""]
    (tools / "uv").write_text("\n".join(uv))
    (tools / "python3").write_text("#!/bin/sh\necho /usr\n")
    for tool in tools.iterdir():
        tool.chmod(0o755)
    return processes.run(
        ["/bin/sh", DEPLOY / "install.sh", "--root", folder / "root", "--python", tools / "python3", *words],
        env={"PATH": f"{tools}:{os.environ['PATH']}", "HOME": "/home/ann"},
        text=True,
    )


def test_a_program_of_that_name_that_is_not_ours_stays(tmp_path: Path) -> None:
    theirs = tmp_path / "root/home/ann/.local/bin/trailing-edge"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("theirs\n")
    done = install_with_environment(tmp_path, "--user")
    assert (done.returncode, done.stderr) == (0, "")
    assert theirs.read_text() == "theirs\n"
    assert "which is not ours" in done.stdout
    theirs.unlink()
    for _ in range(2):
        assert install_with_environment(tmp_path, "--user").returncode == 0
        assert theirs.readlink() == Path("/home/ann/.local/share/trailing-edge/.venv/bin/trailing-edge")


def test_the_environment_it_builds_starts_by_itself(tmp_path: Path) -> None:
    done = install_with_environment(tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    launcher = tmp_path / "root" / PROGRAM
    assert launcher.read_text().startswith("#!/opt/trailing-edge/.venv/bin/python\n")
    assert os.access(launcher, os.X_OK)
    assert (tmp_path / "root/usr/local/bin/trailing-edge").readlink() == Path("/") / PROGRAM
    for word in ("--frozen", "--no-dev", "--no-editable"):
        assert word in (tmp_path / "synced").read_text()
    assert not (launcher.parent.parent.parent / ".venv.new").exists()


# --- The units --------------------------------------------------------------------------------

SERVICES = ["trailing-edge.service", "trailing-edge@.service"]


@pytest.mark.parametrize("path", [*(DEPLOY / name for name in SERVICES), DEPLOY / "user/trailing-edge.service"])
def test_a_service_says_what_its_life_needs(path: Path) -> None:
    service = unit(path)["Service"]
    assert (service["Type"], service["NotifyAccess"]) == ("notify", "main")
    assert (service["Restart"], service["RestartPreventExitStatus"]) == ("always", "2 3 78")
    assert unit(path)["Unit"]["StartLimitIntervalSec"] == "0"
    assert service["ExecStart"].split()[0].endswith("/.venv/bin/trailing-edge")
    assert int(service["WatchdogSec"]) >= 30
    assert int(service["TimeoutStopSec"]) >= 10


def test_an_instance_differs_from_the_service_by_its_name_alone() -> None:
    service, instance = (directives(DEPLOY / name) for name in SERVICES)
    assert [name for name, _ in service] == [name for name, _ in instance]
    different = {name for (name, one), (_, other) in zip(service, instance, strict=True) if one != other}
    assert different == {
        "Description",
        "Environment",
        "ExecStart",
        "LogsDirectory",
        "StateDirectory",
        "WorkingDirectory",
    }
    assert "--env-file /etc/trailing-edge/%i.env" in dict(instance)["ExecStart"]


def test_the_key_is_handed_over_under_the_name_that_is_looked_for(tmp_path: Path) -> None:
    for name in SERVICES:
        credential, _, source = unit(DEPLOY / name)["Service"]["LoadCredential"].partition(":")
        assert "/" not in source  # from the credential store: it may be missing, as sim needs no key
        (tmp_path / credential).touch()
    read = read_settings({}, {"CREDENTIALS_DIRECTORY": str(tmp_path)}, tmp_path / "none")
    assert read.settings.binance_ed25519_priv_path == tmp_path / "ed25519-priv.pem"


def test_all_pairs_together_have_a_quota() -> None:
    quotas = dict(directives(DEPLOY / "trailing-edge.slice"))
    assert {"CPUQuota", "MemoryHigh", "MemoryMax"} <= set(quotas)
    for name in SERVICES:
        assert unit(DEPLOY / name)["Service"]["Slice"] == "trailing-edge.slice"


def test_the_settings_of_a_first_start_are_the_template_and_in_order(image: Path) -> None:
    path = image / ENV_FILE
    assert path.read_text(encoding="utf-8") == env_example()
    settings, sources, warnings = checked_settings({}, {"LOG_DIR": "/var/log/x"}, path, file_needed=True, ask=None)
    assert (settings.trading_mode.value, str(settings.log_dir), warnings) == ("sim", "/var/log/x", [])
    assert sources["SYMBOL"] == str(path)


# --- A command in the place of the service ---


def as_service(folder: Path, *words: str) -> tuple[int, list[str]]:
    """The exit code, and what a stand-in for systemd-run is given."""
    asked = folder / "asked"
    (folder / "systemd-run").write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {asked}\n')
    (folder / "systemd-run").chmod(0o755)
    done = processes.run(["/bin/sh", DEPLOY / "as-service.sh", *words], env={"PATH": f"{folder}:{os.environ['PATH']}"})
    return done.returncode, asked.read_text().splitlines() if asked.exists() else []


@pytest.mark.parametrize(
    ("words", "name", "env_file"),
    [
        pytest.param([], "trailing-edge.service", "trailing-edge", id="the service"),
        pytest.param(["-i", "BTCFDUSD"], "trailing-edge@.service", "BTCFDUSD", id="an instance"),
    ],
)
def test_a_command_can_be_run_as_the_service_would_be(
    words: list[str], name: str, env_file: str, tmp_path: Path
) -> None:
    code, asked = as_service(tmp_path, *words, "doctor", "--order")
    assert code == 0
    program = ["/opt/trailing-edge/.venv/bin/trailing-edge", "doctor"]
    assert asked[-5:] == [*program, "--env-file", f"/etc/trailing-edge/{env_file}.env", "--order"]
    properties = [word.removeprefix("--property=") for word in asked if word.startswith("--property=")]
    service = {f"{key}={value.replace('%i', env_file)}" for key, value in directives(DEPLOY / name)}
    assert set(properties) <= service
    for key in ("User", "LoadCredential", "Environment", "RuntimeDirectory", "RuntimeDirectoryPreserve"):
        assert [each for each in properties if each.startswith(f"{key}=")], key


@pytest.mark.parametrize("words", [[], ["--order"], ["-i"], ["-i", "BTCFDUSD"]], ids=" ".join)
def test_without_a_command_nothing_is_run_as_the_service(words: list[str], tmp_path: Path) -> None:
    assert as_service(tmp_path, *words) == (ExitCode.USAGE, [])


# --- What systemd thinks of them --------------------------------------------------------------


def analyze(*words: str | Path, home: Path | None = None) -> subprocess.CompletedProcess[str]:
    environ = {"PATH": os.environ["PATH"], "HOME": str(home or "/nowhere"), "XDG_RUNTIME_DIR": str(home or "/nowhere")}
    return processes.run(["systemd-analyze", *words], text=True, env=environ)


def stub(path: Path) -> None:
    """Something that can be executed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)


@needs_systemd
@pytest.mark.parametrize("version", ["252", "254"])
def test_systemd_finds_nothing_to_say_about_what_was_written(version: str, tmp_path: Path) -> None:
    """Below a root that holds nothing else, not even systemd's own units. Directives of 254 are strange to a 252."""
    install_with_environment(tmp_path, "--systemd", version)
    if version == "254" and systemd_version() < 254:
        pytest.skip("this systemd is older")
    for name in ("trailing-edge.service", "trailing-edge@ETHFDUSD.service", "trailing-edge.slice"):
        done = analyze("verify", f"--root={tmp_path / 'root'}", name)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), name


def systemd_version() -> int:
    return int(analyze("--version").stdout.split()[1])


def exposure(*words: str | Path, home: Path | None = None) -> float:
    done = analyze(*words, home=home)
    (line,) = (line for line in done.stdout.splitlines() if "Overall exposure level" in line)
    return float(line.split(":")[1].split()[0])


STARTS_A_PROCESS = {"vfork", "clone", "execve", "setsid", "pipe2", "socketpair", "dup2", "close_range", "wait4", "kill"}


def allowed(filters: list[str]) -> set[str]:
    """The system calls that are left by `SystemCallFilter=` lines in that order."""
    calls = of_group("@default")
    for line in filters:
        named = {call for word in line.removeprefix("~").split() for call in of_group(word)}
        calls = calls - named if line.startswith("~") else calls | named
    return calls


def of_group(name: str) -> set[str]:
    """A group and the groups in it, taken apart."""
    if not name.startswith("@"):
        return {name}
    words = {line.strip() for line in analyze("syscall-filter", name).stdout.splitlines() if line.startswith(" ")}
    return {call for word in words if not word.startswith("#") for call in of_group(word)}


@needs_systemd
@pytest.mark.parametrize("path", [*(DEPLOY / name for name in SERVICES), DEPLOY / "user/trailing-edge.service"])
def test_a_service_may_start_the_process_that_signs(path: Path) -> None:
    told = directives(path)
    assert allowed([value for name, value in told if name == "SystemCallFilter"]) >= STARTS_A_PROCESS
    assert not {"NoExecPaths", "ExecPaths", "RestrictFileSystems", "LimitNPROC"} & {name for name, _ in told}
    assert all(int(value) >= 32 for name, value in told if name == "TasksMax")


@needs_systemd
@pytest.mark.parametrize("name", ["trailing-edge.service", "trailing-edge@.service"])
def test_the_service_is_exposed_to_little(name: str, image: Path) -> None:
    assert exposure("security", "--offline=true", image / UNITS / name) <= 1.5


@needs_systemd
def test_the_users_service_is_in_order_and_hardened_as_far_as_users_can(tmp_path: Path) -> None:
    install("--user", "--root", tmp_path, "--systemd", "252", "--no-environment", home=Path("/home/ann"))
    home = tmp_path / "home/ann"
    stub(home / ".local/share" / PROGRAM.relative_to("opt"))
    path = home / ".config/systemd/user/trailing-edge.service"
    done = analyze("--user", "verify", path, home=home)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    sandboxed = (path.parent / "trailing-edge.service.d/sandbox.conf").exists()
    assert exposure("--user", "security", "--offline=true", path, home=home) <= (2.0 if sandboxed else 6.5)
