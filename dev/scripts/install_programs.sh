#!/usr/bin/env bash
# Install programs, by their Debian packages, where they are missing. None is started: whoever
# needs a server starts one of its own.
set -euo pipefail

missing=()
for package in "$@"; do
  case $package in
    # Debian keeps PostgreSQL's programs off PATH.
    postgresql) command -v initdb || compgen -G '/usr/lib/postgresql/*/bin/initdb' ;;
    *) command -v "$package" ;;
  esac >/dev/null || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
  echo "Install ${missing[*]} (Debian's names) first, or run this as root on Debian." >&2
  exit 1
fi

# Airflow's pages are made for this typeface.
case " ${missing[*]} " in *" chromium "*) missing+=(fonts-inter) ;; esac

# Debian starts a service as soon as it is installed, but where this file forbids it.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  trap 'rm -f "$policy"' EXIT
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod +x "$policy"
fi

echo "Installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
