#!/bin/sh
# Installs the Debian packages that Fulmar needs and that are missing; says which. Does nothing when
# all are there. As root or with sudo.
set -eu

packages="gcc g++ make pkg-config clang clang-format clang-tidy lld libclang-rt-14-dev
libuv1-dev libmicrohttpd-dev libcurl4-openssl-dev libsimdjson-dev libxml2-dev libyaml-dev
libsqlite3-dev libzstd-dev libsodium-dev zlib1g-dev libseccomp-dev libc-ares-dev libcmocka-dev mandoc shellcheck curl jq procps ca-certificates
chromium-headless-shell spin libhiredis-dev libpq-dev libjq-dev redis-server redis-sentinel postgresql"

missing=""
for package in $packages; do
    status=$(dpkg-query -W -f='${Status}' "$package" 2>/dev/null || true)
    case "$status" in
        *" installed") ;;
        *) missing="$missing $package" ;;
    esac
done
[ -z "$missing" ] && exit 0

echo "setup: installing missing Debian packages:$missing"
sudo=""
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "setup: not root and no sudo; as root run: apt-get install$missing" >&2
        exit 77
    fi
    sudo="sudo"
fi
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086
{
    $sudo apt-get update -qq
    $sudo apt-get install -y -qq --no-install-recommends $missing >/dev/null
} || {
    echo "setup: apt-get failed; see its message above" >&2
    exit 74
}
echo "setup: done"
