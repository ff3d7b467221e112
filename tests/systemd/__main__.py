"""The life of the service under a real systemd: install, trade, be killed, reload, update, stop, uninstall.

    sudo python3 -m tests.systemd

For a machine that may be spoilt, a container or a virtual machine, with nothing of Trailing Edge installed: the run
installs it and removes it again, settings and logs included. It needs root, a running systemd of version 252 or later,
a network for pip or uv, and the packages that deploy/README.md names; Python's own library is enough. It takes about
six minutes, prints every command with its output and every fact that it has checked, and ends with 0 if all held.
"""

import json
import os
import pwd
import shutil
import signal
import sys
import time
from functools import partial
from pathlib import Path
from typing import Final

from tests.systemd.machine import (
    ENV_FILE,
    HOME,
    INSTALL,
    KEY,
    ROOT,
    SERVICE,
    NotSoError,
    cursor,
    expect,
    interrupt,
    is_ready,
    journal,
    prop,
    quietly,
    run,
    say,
    set_settings,
    version,
    wait_for,
)

KILLS: Final = 6
LONGEST_PAUSE_S: Final = 30.0
EXCHANGE: Final = "trailing-edge-exchange"
PERSON: Final = "te-person"
PLACES: Final = ("/opt", "/etc/systemd/system", "/etc/trailing-edge", "/etc/credstore", "/usr/local/bin", "/var/lib",
                 "/var/log", "/run")  # fmt: skip
NO_NETWORK: Final = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "", "UV_OFFLINE": "1", "UV_NO_CACHE": "1"}


def ours() -> set[str]:
    """Return everything on this machine that bears our name."""
    found = {str(path) for place in PLACES if Path(place).exists() for path in Path(place).rglob("*trailing-edge*")}
    return found | {f"user {each.pw_name}" for each in pwd.getpwall() if each.pw_name == SERVICE}


def left_over() -> set[str]:
    """What is ours, without the journal of systemd and the stamps of its timers."""
    return {each for each in ours() if "/systemd/" not in each.removeprefix("/etc/systemd")}


def install() -> None:
    """A run that fails leaves nothing; the next one installs."""
    output = run(INSTALL, code=1, environ=NO_NETWORK)
    expect("nothing was changed" in output, "without a network it says that nothing was changed")
    expect(not left_over(), f"and nothing is there: {sorted(left_over())}")
    run(INSTALL)
    run("systemd-analyze", "verify", "trailing-edge.service", "trailing-edge@ETHFDUSD.service", "trailing-edge.slice")
    run("systemctl", "enable", "--now", SERVICE)
    expect(is_ready(), "the service is ready")


def trade_in_the_simulation() -> None:
    """A first start needs neither settings nor a key, and trades by itself."""
    since = cursor()
    run("trailing-edge", "status", "--socket", "/run/trailing-edge/ETHFDUSD.sock")
    wait_for(lambda: "filled" in journal(since), "an order has been filled in the simulation")
    run(HOME / "as-service", "today")
    run("systemctl", "status", SERVICE, "--lines=5")


def run_commands_as_the_service() -> None:
    """Any command runs as the service would, whether it has settings or not."""
    run(HOME / "as-service", "check")
    run(HOME / "as-service", "exchange", "--help")
    run(HOME / "as-service", "no-such-command", code=2)
    expect(interrupt(HOME / "as-service", "exchange") == 0, "as-service ends with the exit code of the command, 0")
    expect("as-service" not in quietly("systemctl", "list-units", "--all", "--plain"), "and nothing of it runs on")


def miss_the_key() -> None:
    """A missing key names the place where the unit looks for it."""
    set_settings(TRADING_MODE="testnet", BINANCE_ED25519_API_KEY="trailing-edge-run")
    since = cursor()
    run("systemctl", "restart", SERVICE, code=1)
    expect(prop("ExecMainStatus") == "78", "it ends with 78")
    said = journal(since)
    expect(str(KEY) in said, f"the journal names {KEY}")
    expect("secrets/" not in said, "and no folder of the checkout")
    expect(prop("NRestarts") == "0", "it is not restarted")


def open_an_exchange() -> None:
    """An exchange of its own, which outlives the service, and a key that may log on."""
    folder = Path("/run/trailing-edge-run")
    folder.mkdir(mode=0o700)
    run("trailing-edge", "keygen", "--out", folder / "ed25519-priv.pem")
    # What a killed service leaves on the book is still there at its next start, as on a real exchange.
    run("systemd-run", "--quiet", f"--unit={EXCHANGE}", f"--property=StandardOutput=file:{folder}/urls.json",
        HOME / ".venv/bin/trailing-edge", "exchange", "--speed", "60",
        "--register-key", folder / "ed25519-pub.pem", "--api-key", "trailing-edge-run")  # fmt: skip
    urls = folder / "urls.json"
    wait_for(lambda: urls.exists() and urls.read_text().endswith("\n"), "the exchange listens")
    at = json.loads(urls.read_text())
    run("install", "-m", "0600", folder / "ed25519-priv.pem", KEY)
    set_settings(
        TRADING_MODE="testnet",
        BINANCE_ED25519_API_KEY="trailing-edge-run",
        BINANCE_WS_API_URL=at["ws_api_url"],
        BINANCE_WS_STREAM_URL=at["ws_stream_url"],
    )
    run("systemctl", "restart", SERVICE)
    expect(is_ready(), "the service is ready, with its key as a credential")


def flip_and_wait() -> None:
    """Make it sell or buy, and wait for the fill."""
    since = cursor()
    run(HOME / "as-service", "flip")
    wait_for(lambda: "order filled" in journal(since), "the flip is filled")


def has_another_process(before: str) -> bool:
    """Whether the service has a main process, and not that one."""
    return prop("MainPID") not in ("0", before)


def kill_it_again_and_again() -> None:
    """Each kill is followed by a start after a bearable pause, however many there have been."""
    pauses = []
    for number in range(1, KILLS + 1):
        before = prop("MainPID")
        run(HOME / "as-service", "flip", code=None)  # an exit may be under way
        killed_s = time.monotonic()
        os.kill(int(before), signal.SIGKILL)
        wait_for(partial(has_another_process, before), f"started again after kill {number}")
        pauses.append(time.monotonic() - killed_s)
        say(f"      pause {pauses[-1]:.1f} s")
        wait_for(is_ready, "ready again")
        expect(int(prop("NRestarts")) == number, f"{number} restarts are counted")
    expect(max(pauses) <= LONGEST_PAUSE_S, f"no pause is longer than {LONGEST_PAUSE_S:g} s")
    if version() >= 254:
        expect(pauses[0] < 7 < pauses[1] < pauses[2] < pauses[3], "the pauses grow, from 5 s")
    else:
        expect(max(pauses) < 7, "each pause is 5 s, which this systemd cannot make grow")
    run("journalctl", "--unit", SERVICE, "--lines=25", "--no-pager", "--output=cat")


def reload_it() -> None:
    """A reload says whether the settings were taken, and reaches the process whose settings they are."""
    text = ENV_FILE.read_text()
    pid = prop("MainPID")
    ENV_FILE.write_text(f"{text}LOG_LEVEL_FILE=INFO\n")
    run("systemctl", "reload", SERVICE)
    expect("LOG_LEVEL_FILE applied" in prop("StatusText"), "the status tells what was applied")
    ENV_FILE.write_text(f"{text}FEE=abc\n")
    since = cursor()
    run("systemctl", "reload", SERVICE, code=1)
    expect("FEE is 'abc'" in journal(since), "the journal names the setting that is wrong")
    expect(is_ready(), "the service goes on")
    ENV_FILE.write_text(f"{text}SYMBOL=BTCFDUSD\n")
    run("systemctl", "reload", SERVICE)
    expect("SYMBOL changed; restart to apply" in prop("StatusText"), "another symbol waits for a restart")
    ENV_FILE.write_text(text)
    run("systemctl", "reload", SERVICE)
    expect(prop("MainPID") == pid, "it is still the same process")


def run_another_pair() -> None:
    """An instance is another daemon with a socket in the same folder; each reload reaches its own."""
    settings = Path("/etc/trailing-edge/BTCFDUSD.env")
    settings.write_text("SYMBOL=BTCFDUSD\n")
    run("systemctl", "enable", "--now", "trailing-edge@BTCFDUSD")
    expect(prop("SubState", "trailing-edge@BTCFDUSD") == "running", "the instance is ready")
    run(HOME / "as-service", "-i", "BTCFDUSD", "status")
    settings.write_text("SYMBOL=BTCFDUSD\nFEE=abc\n")
    run("systemctl", "reload", "trailing-edge@BTCFDUSD", code=1)
    run("systemctl", "reload", SERVICE)
    settings.write_text("SYMBOL=BTCFDUSD\n")
    run("systemctl", "reload", "trailing-edge@BTCFDUSD")


def update_it() -> None:
    """The running service keeps the program it was started with, until it is restarted."""
    pid = prop("MainPID")
    before = Path(f"/proc/{pid}/cmdline").read_text().split("\0")[0]
    run(INSTALL)
    expect(Path(before).exists(), f"the running service still has its {before}")
    flip_and_wait()
    run("systemctl", "restart", SERVICE)
    now = Path(f"/proc/{prop('MainPID')}/cmdline").read_text().split("\0")[0]
    expect(now != before, f"after a restart it is {now}")
    expect(is_ready(), "the service is ready")


def lose_the_program() -> None:
    """A program that is not there is for a person to put back, not to be tried again and again."""
    link = HOME / ".venv"
    link.rename(HOME / ".away")
    os.kill(int(prop("MainPID")), signal.SIGKILL)
    wait_for(lambda: prop("ActiveState") == "failed", "the service has failed")
    expect(prop("ExecMainStatus") == "203", "by 203/EXEC, and is not restarted")
    (HOME / ".away").rename(link)
    run("systemctl", "start", SERVICE)
    expect(is_ready(), "the service is ready")


def stop_it() -> None:
    """A stop cancels the order, says goodbye, and is quick."""
    since, begun_s = cursor(), time.monotonic()
    run("systemctl", "stop", SERVICE)
    took_s = time.monotonic() - begun_s
    expect(took_s < 6, f"it took {took_s:.1f} s")
    expect("shutdown: SIGTERM" in journal(since), "the journal has the shutdown")
    expect((prop("Result"), prop("ExecMainStatus")) == ("success", "0"), "it ended with 0")


def uninstall() -> None:
    """What a person wrote and what it logged stay; with --purge nothing stays."""
    run("systemctl", "start", SERVICE)
    run(INSTALL, "--uninstall")
    for unit in (SERVICE, "trailing-edge@BTCFDUSD"):
        expect((prop("LoadState", unit), prop("ActiveState", unit)) == ("not-found", "inactive"), f"{unit} is gone")
    expect(not list(Path("/etc/systemd/system").rglob("trailing-edge*")), "nothing is enabled")
    expect(ENV_FILE.exists() and KEY.exists() and Path("/var/log/trailing-edge").exists(), "settings, key, logs stay")
    expect(not HOME.exists() and not Path("/run/trailing-edge").exists(), "the program is gone")
    run(INSTALL, "--uninstall", "--purge")
    run("systemctl", "stop", EXCHANGE)
    shutil.rmtree("/run/trailing-edge-run")
    expect(not left_over(), f"nothing is left: {sorted(left_over())}")
    expect("trailing-edge" not in quietly("systemctl", "list-units", "--all", "--failed"), "no failed unit is left")


def serve_a_person() -> None:
    """The service of a user session starts, in a container too, reloads, and is removed."""
    run("useradd", "--create-home", "--shell", "/bin/bash", PERSON)
    try:
        home = Path(pwd.getpwnam(PERSON).pw_dir)
        for name in ("deploy", "src", "uv.lock", ".env.example"):
            run("cp", "-R", ROOT / name, home)
        run("chown", "-R", f"{PERSON}:", home)
        run("loginctl", "enable-linger", PERSON)
        uid = pwd.getpwnam(PERSON).pw_uid
        wait_for(Path(f"/run/user/{uid}/systemd/private").exists, "the user's manager runs")

        def as_person(line: str, code: int = 0) -> str:
            return run("su", "-", PERSON, "-c", f"export XDG_RUNTIME_DIR=/run/user/{uid}; {line}", code=code)

        expect("sandbox   o" in as_person("deploy/install.sh --user"), "the sandbox was tried")
        as_person("cat .config/systemd/user/trailing-edge.service.d/sandbox.conf || :")
        as_person("systemctl --user enable --now trailing-edge")
        as_person("systemctl --user reload trailing-edge")
        as_person("echo FEE=abc >>.config/trailing-edge/trailing-edge.env; systemctl --user reload trailing-edge", 1)
        as_person(".local/bin/trailing-edge status --socket $XDG_RUNTIME_DIR/trailing-edge/ETHFDUSD.sock")
        as_person("deploy/install.sh --user --uninstall && test -e .config/trailing-edge/trailing-edge.env")
        as_person("deploy/install.sh --user --uninstall --purge")
        as_person("! find .config .local $XDG_RUNTIME_DIR/trailing-edge 2>/dev/null | grep trailing-edge")
    finally:
        run("loginctl", "disable-linger", PERSON, code=None)
        wait_for(lambda: not quietly("pgrep", "--uid", PERSON), "the user's processes have ended")
        run("userdel", "--remove", PERSON, code=None)


STEPS: Final = (
    install,
    trade_in_the_simulation,
    run_commands_as_the_service,
    miss_the_key,
    open_an_exchange,
    flip_and_wait,
    kill_it_again_and_again,
    reload_it,
    run_another_pair,
    update_it,
    lose_the_program,
    stop_it,
    uninstall,
    serve_a_person,
)


def main() -> int:
    """Run all steps; return the exit code."""
    if len(sys.argv) > 1:
        print(__doc__)
        return 0 if sys.argv[1:] == ["--help"] else 2
    if os.geteuid() != 0 or not Path("/run/systemd/system").is_dir():
        print("this needs root and a running systemd; see --help", file=sys.stderr)
        return 2
    if left_over():
        print(f"Trailing Edge is on this machine already: {', '.join(sorted(left_over()))}", file=sys.stderr)
        return 2
    say(f"systemd {version()}, {quietly('uname', '-srm').strip()}, Python {sys.version.split()[0]}")
    for step in STEPS:
        say(f"--- {step.__name__.replace('_', ' ')}: {step.__doc__}")
        try:
            step()
        except NotSoError as wrong:
            say(f"FAILED {step.__name__}: {wrong}")
            print(quietly("journalctl", "--unit", SERVICE, "--lines=40", "--no-pager"))
            return 1
    say(f"all {len(STEPS)} steps held")
    return 0


if __name__ == "__main__":
    sys.exit(main())
