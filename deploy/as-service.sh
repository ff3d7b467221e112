#!/bin/sh
# Runs a command of Trailing Edge as its service would run: the same user, key, settings, folders and socket.
set -eu

usage() {
    cat <<'END'
usage: sudo /opt/trailing-edge/as-service [-i PAIR] COMMAND [FLAG…]

  -i PAIR   as the instance trailing-edge@PAIR

  sudo /opt/trailing-edge/as-service doctor
  sudo /opt/trailing-edge/as-service -i BTCFDUSD check --online
END
}

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
program=$here/.venv/bin/trailing-edge
instance=''
case ${1:-} in
-h | --help) usage; exit 0 ;;
-i)
    instance=${2:-}
    [ -n "$instance" ] || { usage >&2; exit 2; }
    shift 2
    ;;
esac
case ${1:-} in
'' | -*) usage >&2; exit 2 ;;
esac
word=$1
shift
# Not every command has settings; its help says whether it has.
help=$("$program" "$word" --help 2>/dev/null || :)
case $help in
*--env-file*) set -- --env-file "/etc/trailing-edge/${instance:-trailing-edge}.env" "$@" ;;
esac

# systemd replaces $NAME in the words of a command: $$ stands for one $. The dot keeps line ends at the end of a word.
for given do
    given=$(printf '%s.' "$given" | sed 's/\$/$$/g')
    set -- "$@" "${given%.}"
    shift
done

# systemd-run would end at a Ctrl-C and leave the command running: a signal goes to the command, whose end it awaits.
unit=trailing-edge-as-service-$$.service
pass_on() {
    signalled=yes
    systemctl kill --signal="$1" "$unit"
}
signalled=no
trap 'pass_on INT' INT
trap 'pass_on TERM' TERM HUP

# The manager's own properties, as in the units. The folder of the sockets belongs to running daemons as well.
systemd-run --quiet --collect --wait --pipe --unit="$unit" \
    --property=User=trailing-edge \
    --property=StateDirectory="trailing-edge${instance:+/$instance}" \
    --property=StateDirectoryMode=0700 \
    --property=WorkingDirectory="/var/lib/trailing-edge${instance:+/$instance}" \
    --property=LogsDirectory="trailing-edge${instance:+/$instance}" \
    --property=LogsDirectoryMode=0750 \
    --property=Environment=LOG_DIR="/var/log/trailing-edge${instance:+/$instance}" \
    --property=RuntimeDirectory=trailing-edge \
    --property=RuntimeDirectoryMode=0700 \
    --property=RuntimeDirectoryPreserve=yes \
    --property=LoadCredential=ed25519-priv.pem:trailing-edge.ed25519-priv.pem \
    --property=UMask=0077 \
    --property=LimitCORE=0 \
    --property=PrivateTmp=yes \
    --property=ProtectHome=yes \
    --property=ProtectSystem=strict \
    --property=NoNewPrivileges=yes \
    "$program" "$word" "$@" <&0 &
while :; do
    code=0
    wait $! || code=$?
    [ $signalled = yes ] || exit $code
    signalled=no # the wait was interrupted: the command is still ending
done
