#!/bin/sh
# Installs Trailing Edge as a service: the environment, the units, a first env file. Can be run twice; what was
# running goes on with the old environment until it is restarted, and an env file is never overwritten.
#
# All that can fail comes first: the tools are tried, the environment is built and tried in a folder of its own, and
# every file is written beside its target. Only then are they renamed, all in a row. A run that fails before that
# removes what it has made.
set -eu

usage() {
    cat <<'END'
usage: deploy/install.sh [--user] [--root DIR] [--python FILE] [--systemd VERSION] [--no-environment]
       deploy/install.sh --uninstall [--purge] [--user] [--root DIR]

  --user             for this user's session instead of the whole system
  --root DIR         write below DIR and change nothing else (an image, a look before)
  --python FILE      the Python to use, 3.11 or newer
  --systemd VERSION  of the machine that will run it (this one's)
  --no-environment   units and env file alone
  --uninstall        stop it and remove it; settings, key, logs and state stay
  --purge            with --uninstall: remove these as well
END
}

say() { printf '%s\n' "$*"; }
fail() {
    printf 'install.sh: %s\n' "$*" >&2
    exit 1
}

user=no live=yes root='' python='' systemd='' environment=yes uninstall=no purge=no
while [ $# -gt 0 ]; do
    case $1 in
    --user) user=yes ;;
    --no-environment) environment=no ;;
    --uninstall) uninstall=yes ;;
    --purge) purge=yes ;;
    --root | --python | --systemd)
        [ $# -ge 2 ] || { usage >&2; exit 2; }
        case $1 in
        --root) root=${2%/} live=no ;;
        --python) python=$2 ;;
        --systemd) systemd=$2 ;;
        esac
        shift
        ;;
    -h | --help) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
    esac
    shift
done
[ $purge = no ] || [ $uninstall = yes ] || { usage >&2; exit 2; }

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
checkout=$(dirname -- "$here")
if [ $user = yes ]; then
    home=$HOME/.local/share/trailing-edge
    settings=$HOME/.config/trailing-edge
    units=$HOME/.config/systemd/user
    link=$HOME/.local/bin/trailing-edge
    # Unset after `su`; without it `systemctl --user` does not find a systemd that runs.
    export XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-/run/user/$(id -u)}"
    sockets=$XDG_RUNTIME_DIR/trailing-edge
    names='trailing-edge.service'
    systemctl='systemctl --user'
else
    [ $live = no ] || [ "$(id -u)" -eq 0 ] || fail 'run it as root (sudo), or with --user for your own session'
    home=/opt/trailing-edge
    settings=/etc/trailing-edge
    units=/etc/systemd/system
    link=/usr/local/bin/trailing-edge
    sockets=/run/trailing-edge
    names='trailing-edge.service trailing-edge@.service trailing-edge.slice'
    systemctl='systemctl'
fi
key=/etc/credstore/trailing-edge.ed25519-priv.pem
program=$home/.venv/bin/trailing-edge
umask 022
newline='
'

# --- Undoing a run that fails ---------------------------------------------------------------------

staged='' folders='' new='' done=no

undo() {
    code=$?
    trap - EXIT
    if [ $done = no ]; then
        IFS=$newline
        for target in $staged; do rm -f -- "$target.new"; done
        [ -z "$new" ] || rm -rf -- "$new"
        for folder in $folders; do rmdir -- "$folder" 2>/dev/null || :; done
        say 'install.sh: nothing was changed' >&2
    fi
    exit $code
}

# --- Python ---------------------------------------------------------------------------------------

# Says where the Python given really lives; fails if it is too old.
base_of() {
    "$1" -I -c 'import os, sys; sys.version_info >= (3, 11) or sys.exit(1); print(os.path.realpath(sys.base_prefix))' \
        2>/dev/null
}

# Whether a service cannot reach it: ProtectHome hides what is below these.
hidden() {
    case $1/ in
    /home/* | /root/* | /run/user/*) [ $user = no ] ;;
    *) false ;;
    esac
}

choose_python() {
    for candidate in ${python:-/usr/bin/python3 /usr/local/bin/python3 /usr/bin/python3.1[1-9] \
        /usr/local/bin/python3.1[1-9] /opt/python/*/bin/python3 "$(command -v python3 || :)"}; do
        base=$(base_of "$candidate") || continue
        hidden "$base" || { python=$candidate && return; }
    done
    fail "no Python 3.11 or newer under a system path${python:+ ($python is not)}: the service cannot see one below a
home. Install your distribution's, or one of uv's where all can read it:
    UV_PYTHON_INSTALL_DIR=/opt/python uv python install 3.12
and run this again."
}

# --- The environment ------------------------------------------------------------------------------

# uv if it works, else venv and pip of the Python chosen.
choose_tool() {
    if uv --version >/dev/null 2>&1; then
        tool=uv
    else
        "$python" -I -c 'import ensurepip, venv' 2>/dev/null || fail "$python cannot make environments: install \
python3-venv (Debian, Ubuntu), or uv"
        tool=pip
    fi
}

# The name of the next environment. Each has a folder of its own, so that a running program keeps the one it started
# with; `.venv` links to the newest.
next_environment() {
    number=1
    while [ -e "$root$home/.venv-$number" ]; do number=$((number + 1)); done
    say ".venv-$number"
}

# The packages, at the versions and with the hashes of uv.lock, by uv or pip. Nothing is built.
fetch_packages() {
    if [ $tool = uv ]; then
        uv venv --quiet --no-python-downloads --python "$python" "$new" &&
            (cd "$checkout" && UV_PROJECT_ENVIRONMENT=$new uv sync --quiet --frozen --no-dev --no-install-project \
                --no-build --compile-bytecode --link-mode copy --no-python-downloads --python "$python")
    else
        "$python" -m venv "$new" && "$python" -I "$here/locked_requirements.py" "$checkout/uv.lock" >"$new/locked.txt" &&
            "$new/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes \
                --only-binary :all: --requirement "$new/locked.txt"
    fi
}

build_environment() {
    name=$(next_environment)
    make_folder "$root$home"
    new=$root$home/$name
    fetch_packages || fail "$tool could not install the packages that uv.lock names; its message is above"
    packages=$("$new/bin/python" -I -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    cp -R -- "$checkout/src/trailingedge" "$packages/trailingedge"
    find "$packages/trailingedge" -name __pycache__ -prune -exec rm -rf {} +
    "$new/bin/python" -I -m compileall -q "$packages/trailingedge"
    cat >"$new/bin/trailing-edge" <<END
#!$home/$name/bin/python
import sys

from trailingedge.main import run

sys.exit(run())
END
    chmod 0755 "$new/bin/trailing-edge"
    version=$("$new/bin/python" -I "$new/bin/trailing-edge" --version) || fail 'the program does not start'
    stage_link "$name" "$home/.venv"
}

# Removes the environments that no process uses any more.
remove_old_environments() {
    for old in "$root$home"/.venv-*; do
        [ "$old" != "$new" ] || continue
        [ $live = yes ] && grep -qsF "$old/" /proc/[0-9]*/cmdline || rm -rf -- "$old"
    done
}

# --- Files ----------------------------------------------------------------------------------------

# make_folder FOLDER, with those above it
make_folder() {
    [ -d "$1" ] || {
        make_folder "$(dirname -- "$1")"
        mkdir -- "$1"
        folders=$1$newline$folders
    }
}

# Notes that the file beside TARGET will be renamed to it.
will_replace() {
    make_folder "$(dirname -- "$1")"
    staged=$staged$1$newline
    rm -f -- "$1.new"
}

# stage MODE SOURCE TARGET
stage() {
    [ ! -d "$root$3" ] || fail "$root$3 is a folder; move it away"
    will_replace "$root$3"
    cp -- "$2" "$root$3.new"
    chmod "$1" "$root$3.new"
}

# stage_link TO TARGET
stage_link() {
    will_replace "$root$2"
    ln -s -- "$1" "$root$2.new"
}

# The settings of a first start; whatever is there already stays.
stage_settings() {
    target=$settings/trailing-edge.env
    if [ -e "$root$target" ]; then
        say "keeps     $root$target"
    else
        stage 0640 "$checkout/.env.example" "$target"
        say "settings  $root$target"
    fi
}

# Whether the link of that name is ours.
is_ours() { [ "$(readlink "$root$link" || :)" = "$program" ]; }

# The program by its short name; what somebody else has put there stays.
stage_command() {
    if ! is_ours && { [ -e "$root$link" ] || [ -L "$root$link" ]; }; then
        say "keeps     $root$link, which is not ours; the program is $program"
    else
        stage_link "$program" "$link"
        say "command   $root$link"
    fi
}

# Directives that an older systemd would complain about.
stage_newer() {
    if [ -z "$systemd" ]; then
        systemd=$(systemctl --version 2>/dev/null | sed -n '1s/^systemd \([0-9]*\).*/\1/p')
    fi
    for unit in "$@"; do
        drop_in=$units/$unit.d/newer.conf
        if [ "${systemd:-0}" -ge 254 ]; then stage 0644 "$here/newer.conf" "$drop_in"; else outdated "$drop_in"; fi
    done
}

removed=''
outdated() { removed=$removed$root$1$newline; }

# Whether a service of this user starts with these properties, finds the program and may write to its folder.
starts_with() {
    command="test -w '$home'"
    [ -z "$new" ] || command="$command && '$new/bin/python' -I '$new/bin/trailing-edge' --version"
    systemd-run --user --quiet --collect --service-type=oneshot "$@" sh -c "$command" >/dev/null 2>&1
}

# The lines of the sandbox with which a service of this user starts. A container may refuse some or all of them.
stage_sandbox() {
    drop_in=$units/trailing-edge.service.d/sandbox.conf
    [ $live = yes ] && starts_with || {
        say 'sandbox   off: no service of this user can be started from here to try it; run this again in a session'
        outdated "$drop_in"
        return
    }
    will_replace "$root$drop_in"
    refused=''
    set --
    while read -r line; do
        case $line in
        [A-Z]*=*)
            property=--property=$(printf %s "$line" | sed "s|%h|$HOME|g")
            starts_with "$@" "$property" </dev/null || { refused="$refused $line" && continue; }
            set -- "$@" "$property"
            ;;
        esac
        printf '%s\n' "$line" >>"$root$drop_in.new"
    done <"$here/user/sandbox.conf"
    say "sandbox   on${refused:+, but for what does not start here:$refused}"
}

stage_for_the_system() {
    make_folder "$root$settings"
    make_folder "$root/etc/credstore"
    for unit in $names; do stage 0644 "$here/$unit" "$units/$unit"; done
    stage 0644 "$here/README.md" "$home/README.md"
    stage 0755 "$here/as-service.sh" "$home/as-service"
    stage_newer trailing-edge.service trailing-edge@.service
    stage_settings
    # Last, because it is not undone.
    if [ $live = yes ] && ! id trailing-edge >/dev/null 2>&1; then
        useradd --system --user-group --no-create-home --home-dir /var/lib/trailing-edge \
            --shell /usr/sbin/nologin trailing-edge
    fi
}

stage_for_the_user() {
    make_folder "$root$home"
    make_folder "$root$settings"
    stage 0644 "$here/user/trailing-edge.service" "$units/trailing-edge.service"
    stage_newer trailing-edge.service
    stage_sandbox
    stage_settings
}

install_files() {
    done=yes
    # An installation that had no links has a folder of that name.
    [ -L "$root$home/.venv" ] || [ ! -d "$root$home/.venv" ] ||
        mv -T -- "$root$home/.venv" "$root$home/$(next_environment)"
    IFS=$newline
    for target in $staged; do mv -f -T -- "$target.new" "$target"; done
    for target in $removed; do rm -f -- "$target"; done
    unset IFS
    if [ $user = yes ]; then
        chmod 0700 "$root$home" "$root$settings"
    else
        chmod 0700 "$root/etc/credstore"
        chmod 0750 "$root$settings"
        [ $live = no ] || chgrp -R trailing-edge "$settings"
    fi
}

# --- Removing it ----------------------------------------------------------------------------------

# Whether a systemd runs that could have started the service: that of the system, or that of this user.
systemd_runs() { $systemctl show --property=Version >/dev/null 2>&1; }

# The service cancels its order before it stops: what does not stop stays installed.
stop_services() {
    [ -e "$units/trailing-edge.service" ] || return 0
    if ! systemd_runs; then
        set -- /proc/[0-9]*/cmdline # listed before `grep` runs, which has the path in its own command line
        for process in $(grep -lsF "$home/.venv" "$@" | cut -d / -f 3); do
            fail "process $process still runs the program, and no systemd answers that could stop it: end it with
kill $process, which cancels its order, and run this again; nothing was removed"
        done
        say 'systemd is not running, so there was nothing to stop'
        return
    fi
    for unit in $names; do
        case $unit in *.slice) continue ;; esac
        $systemctl disable --quiet "$unit" || :
        $systemctl stop "$(printf %s "$unit" | sed 's/@\./@*./')" || fail "$unit does not stop; nothing was removed"
    done
    $systemctl stop 'trailing-edge-as-service-*.service'
}

remove_files() {
    for unit in $names; do
        rm -f -- "$root$units/$unit" "$root$units/$unit.d/newer.conf" "$root$units/$unit.d/sandbox.conf"
        rmdir -- "$root$units/$unit.d" 2>/dev/null || :  # what `systemctl edit` has put there stays
        # What `systemctl enable` has made, for a systemd that does not run and so does not disable it.
        for link_to_unit in "$root$units"/*.wants/$(printf %s "$unit" | sed 's/@\./@*./'); do
            rm -f -- "$link_to_unit"
        done
    done
    ! is_ours || rm -f -- "$root$link"
    rm -rf -- "$root$home"/.venv "$root$home"/.venv.new "$root$home"/.venv-*
    [ $user = yes ] || rm -rf -- "$root$home"
    [ $live = no ] || rm -rf -- "$sockets"
}

remove_the_rest() {
    rm -rf -- "$root$settings" "$root$home"
    for unit in $names; do rm -rf -- "$root$units/$unit.d"; done
    if [ $user = no ]; then
        rm -rf -- "$root$key" "$root/var/lib/trailing-edge" "$root/var/log/trailing-edge"
        if [ $live = yes ] && id trailing-edge >/dev/null 2>&1; then
            userdel trailing-edge || say 'the account trailing-edge stays: a process still runs under it'
        fi
    fi
}

if [ $uninstall = yes ]; then
    [ $live = no ] || stop_services
    remove_files
    if [ $purge = yes ]; then remove_the_rest; fi
    [ $live = no ] || ! systemd_runs || $systemctl daemon-reload || :
    if [ $purge = yes ]; then
        say 'removed, with settings, key, logs and state'
    elif [ $user = yes ]; then
        say "removed; settings stay in $root$settings, key, logs and state in $root$home (--purge removes them too)"
    else
        say "removed; settings stay in $root$settings, the key in $root$key, logs and state in" \
            "$root/var/log/trailing-edge and $root/var/lib/trailing-edge (--purge removes them too)"
    fi
    exit 0
fi

# --- Installing it --------------------------------------------------------------------------------

trap undo EXIT
trap 'exit 1' HUP INT TERM
if [ $environment = yes ]; then
    choose_python
    choose_tool
    build_environment
    say "program   $root$home/.venv, $version, with $("$python" -V)"
    stage_command
fi
if [ $user = yes ]; then stage_for_the_user; else stage_for_the_system; fi
install_files
[ $environment = no ] || remove_old_environments
say "units     $root$units"
[ $live = no ] || $systemctl daemon-reload || say 'systemd does not run here: the units wait for it'
say "next      $systemctl enable --now trailing-edge (again: $systemctl restart trailing-edge)"
if [ $user = yes ]; then
    say 'then      loginctl enable-linger keeps it running after you log out; where that is refused, as root:'
    say "          sudo loginctl enable-linger $(id -un)"
fi
