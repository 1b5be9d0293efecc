#!/bin/bash
# Install what `make demo` and `make test` need: Debian packages that are missing, and a Python environment.
# Idempotent; packages that are installed already are not touched. Usage: scripts/setup.sh VENV
set -euo pipefail
cd "$(dirname "$0")/.."
venv=$1
python=${PYTHON:-python3}
policy=/usr/sbin/policy-rc.d

say() { printf 'setup: %s\n' "$*"; }
stop() { printf 'setup: %s\n' "$*" >&2; exit 1; }

if [ "$(id -u)" = 0 ] && [ -n "${SUDO_USER:-}" ] && [ "$SUDO_USER" != root ]; then
  stop "run 'make' without sudo: it asks for it only where a Debian package is missing"
fi

# Debian keeps some programs out of a user's PATH.
PATH=$PATH:/usr/sbin:/sbin

missing=()
command -v mosquitto >/dev/null || missing+=(mosquitto)
command -v influxd >/dev/null || missing+=(influxdb)
# influxd needs the system's zone database for days in local time (tz() in InfluxQL).
[ -e /usr/share/zoneinfo/Europe/Ljubljana ] || missing+=(tzdata)
command -v "$python" >/dev/null || missing+=(python3)
# Debian splits venv off; where Python is not Debian's, it has its own.
"$python" -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

restore_policy() {
  if [ "${kept_policy:-}" = yes ]; then
    as_root mv -f "$policy.zonewise-kept" "$policy"
  else
    as_root rm -f "$policy"
  fi
}

# Services of the packages must not start: the demo and the tests run private instances on free ports.
forbid_service_starts() {
  if [ -e "$policy" ]; then
    as_root mv -f "$policy" "$policy.zonewise-kept"
    kept_policy=yes
  fi
  trap restore_policy EXIT
  printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
  as_root chmod 755 "$policy"
}

disable_services() {
  [ -d /run/systemd/system ] || return 0
  for package in "$@"; do
    case $package in mosquitto | influxdb) as_root systemctl disable --now "$package.service" ;; esac
  done
}

if [ ${#missing[@]} -gt 0 ]; then
  command -v apt-get >/dev/null || stop "please install: ${missing[*]} (this system has no apt-get)"
  if [ "$(id -u)" != 0 ] && ! command -v sudo >/dev/null; then
    stop "missing Debian packages, and no sudo: as root, run 'apt-get install ${missing[*]}'"
  fi
  say "installing Debian packages: ${missing[*]} (their services stay off)"
  forbid_service_starts
  as_root apt-get update -qq
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
  restore_policy
  trap - EXIT
  disable_services "${missing[@]}"
else
  say "Debian packages: nothing missing"
fi

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || stop "Python 3.11 or newer is needed"
say "Python environment in $venv (packages of PyPI named in pyproject.toml)"
[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
"$venv/bin/python" -m pip install -q --disable-pip-version-check -e '.[edge,ingest,dashboards,simulators,dev]'
touch "$venv/ready"
say "done"
