"""What the install script writes: units that systemd reads without a word, hardened, for the environment installed."""

import configparser
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests import processes
from tests.deploy.installing import DEPLOY, ENV_FILE, PROGRAM, UNITS, executable, install, install_with_environment
from tests.limits import PATIENCE_S

from trailingedge.config import env_example, read_settings
from trailingedge.config_validator import CREDENTIAL_STORE, checked_settings
from trailingedge.core.errors import ExitCode

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a shell script for systemd")
needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze here")


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


# --- The units --------------------------------------------------------------------------------

SERVICES = ["trailing-edge.service", "trailing-edge@.service"]


@pytest.mark.parametrize("path", [*(DEPLOY / name for name in SERVICES), DEPLOY / "user/trailing-edge.service"])
def test_a_service_says_what_its_life_needs(path: Path) -> None:
    service = unit(path)["Service"]
    assert (service["Type"], service["NotifyAccess"]) == ("notify", "main")
    assert (service["Restart"], service["RestartPreventExitStatus"]) == ("always", "2 3 78 203")
    assert unit(path)["Unit"]["StartLimitIntervalSec"] == "0"
    assert service["ExecStart"].split()[0].endswith("/.venv/bin/trailing-edge")
    assert int(service["WatchdogSec"]) >= 30
    assert int(service["TimeoutStopSec"]) >= 10
    # Not ignored with a leading "-": the answer of the daemon is the result of the reload.
    assert service["ExecReload"] == f"{service['ExecStart'].split()[0]} reload --pid $MAINPID"


def test_the_pause_before_a_restart_grows_to_less_than_half_a_minute() -> None:
    """systemd counts all restarts since the last start by hand: after weeks of health the longest pause is the next.

    The half minute counts from the kill to the next process, so a second of it is left for what comes on top.
    """
    base = float(unit(DEPLOY / SERVICES[0])["Service"]["RestartSec"])
    newer = dict(directives(DEPLOY / "newer.conf"))
    assert set(newer) == {"RestartSteps", "RestartMaxDelaySec"}
    longest, steps = float(newer["RestartMaxDelaySec"]), int(newer["RestartSteps"])
    pauses = [base * (longest / base) ** (min(restart, steps) / steps) for restart in range(6)]
    assert [round(pause) for pause in pauses] == [5, 9, 16, 29, 29, 29]


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
        assert f"/etc/credstore/{source}" == CREDENTIAL_STORE  # it may be missing, as sim needs no key
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
    """The exit code, and what a stand-in for systemd-run is given. The program lies beside the script, as installed."""
    asked = folder / "asked"
    executable(folder / "systemd-run", f'#!/bin/sh\nprintf "%s\\n" "$@" > {asked}\n')
    executable(folder / ".venv/bin/trailing-edge", f'#!/bin/sh\nexec {sys.executable} -m trailingedge "$@"\n')
    shutil.copy(DEPLOY / "as-service.sh", folder / "as-service")
    environ = {"PATH": f"{folder}:{os.environ['PATH']}"}
    done = processes.run(["/bin/sh", folder / "as-service", *words], env=environ)
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
    program = [str(tmp_path / ".venv/bin/trailing-edge"), "doctor"]
    assert asked[-5:] == [*program, "--env-file", f"/etc/trailing-edge/{env_file}.env", "--order"]
    properties = [word.removeprefix("--property=") for word in asked if word.startswith("--property=")]
    service = {f"{key}={value.replace('%i', env_file)}" for key, value in directives(DEPLOY / name)}
    assert set(properties) <= service
    for key in ("User", "LoadCredential", "Environment", "RuntimeDirectory", "RuntimeDirectoryPreserve"):
        assert [each for each in properties if each.startswith(f"{key}=")], key


@pytest.mark.parametrize(("name", "has_settings"), [("reload", True), ("exchange", False)])
def test_only_a_command_that_has_settings_gets_those_of_the_service(
    name: str, has_settings: bool, tmp_path: Path
) -> None:
    """An option that a command does not have would be a fault of usage."""
    _, asked = as_service(tmp_path, name, "--seed", "1")
    settings = ["--env-file", "/etc/trailing-edge/trailing-edge.env"] if has_settings else []
    assert asked[asked.index(name) :] == [name, *settings, "--seed", "1"]


def test_a_dollar_sign_reaches_the_command(tmp_path: Path) -> None:
    """systemd would replace $HOME; it makes one $ of two."""
    _, asked = as_service(tmp_path, "exchange", "--set", "A=$HOME b", "$$", "plain")
    assert asked[asked.index("exchange") :] == ["exchange", "--set", "A=$$HOME b", "$$$$", "plain"]


def test_a_signal_goes_to_the_command_whose_end_is_awaited(tmp_path: Path) -> None:
    """systemd-run ends at a Ctrl-C and leaves the command running, an exchange for instance."""
    os.mkfifo(tmp_path / "ended")
    executable(tmp_path / "systemd-run", f"#!/bin/sh\ntouch {tmp_path}/runs\nread code <{tmp_path}/ended\nexit $code\n")
    executable(tmp_path / "systemctl", f'#!/bin/sh\necho "$*" >{tmp_path}/asked\necho 7 >{tmp_path}/ended\n')
    shutil.copy(DEPLOY / "as-service.sh", tmp_path / "as-service")
    environ = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    with processes.started(["/bin/sh", tmp_path / "as-service", "exchange"], env=environ) as process:
        processes.wait_until((tmp_path / "runs").exists)
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == 7
    words = (tmp_path / "asked").read_text().split()
    assert words[:2] == ["kill", "--signal=INT"]
    assert words[2].startswith("trailing-edge-as-service-")


@pytest.mark.parametrize("words", [[], ["--order"], ["-i"], ["-i", "BTCFDUSD"]], ids=" ".join)
def test_without_a_command_nothing_is_run_as_the_service(words: list[str], tmp_path: Path) -> None:
    assert as_service(tmp_path, *words) == (ExitCode.USAGE, [])


# --- What systemd thinks of them --------------------------------------------------------------


def analyze(*words: str | Path, home: Path | None = None) -> subprocess.CompletedProcess[str]:
    environ = {"PATH": os.environ["PATH"], "HOME": str(home or "/nowhere"), "XDG_RUNTIME_DIR": str(home or "/nowhere")}
    return processes.run(["systemd-analyze", *words], text=True, env=environ)


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
    executable(home / ".local/share" / PROGRAM.relative_to("opt"), "#!/bin/sh\n")
    path = home / ".config/systemd/user/trailing-edge.service"
    done = analyze("--user", "verify", path, home=home)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    drop_in = path.parent / "trailing-edge.service.d/sandbox.conf"
    assert not drop_in.exists()  # it is added where it has been tried, which is not below a root
    assert exposure("--user", "security", "--offline=true", path, home=home) <= 6.5
    drop_in.parent.mkdir()
    shutil.copy(DEPLOY / "user/sandbox.conf", drop_in)
    done = analyze("--user", "verify", path, home=home)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert exposure("--user", "security", "--offline=true", path, home=home) <= 2.0
