#!/bin/sh
# Installs Trailing Edge as a service: the environment, the units, a first env file. Can be run twice; what was
# running goes on with the old environment until it is restarted, and an env file is never overwritten.
set -eu

usage() {
    cat <<'END'
usage: deploy/install.sh [--user] [--root DIR] [--python FILE] [--systemd VERSION] [--no-environment]

  --user             for this user's session instead of the whole system
  --root DIR         write below DIR and change nothing else (an image, a look before)
  --python FILE      the Python to use, 3.11 or newer
  --systemd VERSION  of the machine that will run it (this one's)
  --no-environment   units and env file alone
END
}

say() { printf '%s\n' "$*"; }
fail() {
    printf 'install.sh: %s\n' "$*" >&2
    exit 1
}

user=no live=yes root='' python='' systemd='' environment=yes
while [ $# -gt 0 ]; do
    case $1 in
    --user) user=yes ;;
    --no-environment) environment=no ;;
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

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
checkout=$(dirname -- "$here")
if [ $user = yes ]; then
    home=$HOME/.local/share/trailing-edge
    settings=$HOME/.config/trailing-edge
    units=$HOME/.config/systemd/user
    systemctl='systemctl --user'
else
    [ $live = no ] || [ "$(id -u)" -eq 0 ] || fail 'run it as root (sudo), or with --user for your own session'
    home=/opt/trailing-edge
    settings=/etc/trailing-edge
    units=/etc/systemd/system
    systemctl='systemctl'
fi

# --- Python ---------------------------------------------------------------------------------------

# Says where the Python given really lives; fails if it is too old.
base_of() {
    "$1" -I -c 'import os, sys; sys.version_info >= (3, 11) or sys.exit(1); print(os.path.realpath(sys.base_prefix))' \
        2>/dev/null
}

# Whether a service can reach it: ProtectHome hides what is below these.
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

# Built beside the one in use and then put in its place.
build_environment() {
    new=$root$home/.venv.new
    rm -rf "$new" "$root$home/.venv.old"
    if command -v uv >/dev/null; then
        uv venv --quiet --no-python-downloads --python "$python" "$new"
        (cd "$checkout" && UV_PROJECT_ENVIRONMENT=$new uv sync --quiet --frozen --no-dev --no-editable \
            --compile-bytecode --link-mode copy --no-python-downloads --python "$python")
    else
        "$python" -m venv "$new" || fail "$python cannot make environments: install uv, or python3-venv"
        "$new/bin/python" -m pip install --quiet --disable-pip-version-check "$checkout"
    fi
    # What the tools write here names the folder it was built in.
    cat >"$new/bin/trailing-edge" <<END
#!$home/.venv/bin/python
import sys

from trailingedge.main import run

sys.exit(run())
END
    chmod 0755 "$new/bin/trailing-edge"
    [ ! -e "$root$home/.venv" ] || mv "$root$home/.venv" "$root$home/.venv.old"
    mv "$new" "$root$home/.venv"
    rm -rf "$root$home/.venv.old"
}

# --- Files ----------------------------------------------------------------------------------------

# put MODE SOURCE TARGET
put() {
    mkdir -p "$(dirname -- "$root$3")"
    cp -- "$2" "$root$3"
    chmod "$1" "$root$3"
}

# The settings of a first start; whatever is there already stays.
put_settings() {
    target=$settings/trailing-edge.env
    if [ -e "$root$target" ]; then
        say "kept      $root$target"
    else
        put 0640 "$checkout/.env.example" "$target"
        say "settings  $root$target"
    fi
}

# The program by its short name; what somebody else has put there stays.
put_on_path() {
    if [ $user = yes ]; then link=$HOME/.local/bin/trailing-edge; else link=/usr/local/bin/trailing-edge; fi
    target=$home/.venv/bin/trailing-edge
    if [ "$(readlink "$root$link" || :)" != "$target" ] && { [ -e "$root$link" ] || [ -L "$root$link" ]; }; then
        say "kept      $root$link, which is not ours; the program is $target"
    else
        mkdir -p "$(dirname -- "$root$link")"
        ln -sf "$target" "$root$link"
        say "command   $root$link"
    fi
}

# Directives that an older systemd would complain about.
put_newer() {
    if [ -z "$systemd" ]; then
        systemd=$(systemctl --version 2>/dev/null | sed -n '1s/^systemd \([0-9]*\).*/\1/p')
    fi
    for unit in "$@"; do
        drop_in=$units/$unit.d/newer.conf
        if [ "${systemd:-0}" -ge 254 ]; then
            put 0644 "$here/newer.conf" "$drop_in"
        else
            rm -f "$root$drop_in"
        fi
    done
}

umask 022
mkdir -p "$root$home" "$root$settings"
if [ $user = no ]; then
    if [ $live = yes ]; then
        id trailing-edge >/dev/null 2>&1 || useradd --system --user-group --no-create-home \
            --home-dir /var/lib/trailing-edge --shell /usr/sbin/nologin trailing-edge
    fi
    mkdir -p "$root/etc/credstore"
    chmod 0700 "$root/etc/credstore"
    for unit in trailing-edge.service trailing-edge@.service trailing-edge.slice; do
        put 0644 "$here/$unit" "$units/$unit"
    done
    put 0644 "$here/README.md" "$home/README.md"
    put 0755 "$here/as-service.sh" "$home/as-service"
    put_newer trailing-edge.service trailing-edge@.service
    put_settings
    chmod 0750 "$root$settings"
    [ $live = no ] || chgrp -R trailing-edge "$settings"
else
    put 0644 "$here/user/trailing-edge.service" "$units/trailing-edge.service"
    put_newer trailing-edge.service
    # Only where users may have namespaces does the sandbox start anything.
    if unshare --user --map-root-user --mount true 2>/dev/null; then
        put 0644 "$here/user/sandbox.conf" "$units/trailing-edge.service.d/sandbox.conf"
    else
        rm -f "$root$units/trailing-edge.service.d/sandbox.conf"
    fi
    put_settings
    chmod 0700 "$root$home" "$root$settings"
fi
say "units     $root$units"

if [ $environment = yes ]; then
    choose_python
    build_environment
    say "program   $root$home/.venv, with $("$python" -V)"
    put_on_path
fi
[ $live = no ] || $systemctl daemon-reload || say 'systemd does not run here: the units wait for it'
say "next      $systemctl enable --now trailing-edge (again: $systemctl restart trailing-edge)"
