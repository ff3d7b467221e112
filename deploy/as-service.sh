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

# The manager's own properties, as in the units. The folder of the sockets belongs to running daemons as well.
exec systemd-run --quiet --collect --wait --pipe \
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
    /opt/trailing-edge/.venv/bin/trailing-edge "$word" \
    --env-file "/etc/trailing-edge/${instance:-trailing-edge}.env" "$@"
