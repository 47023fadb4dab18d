#!/bin/bash
# Tries the repository on a machine that has nothing: a minimal Debian 12 in a folder, with a clone of this repository in it.
#
#   tools/fresh_machine.sh [--keep] [FOLDER [COMMAND...]]
#
# COMMAND runs in the clone, as root; default: ./test. FOLDER defaults to a new one under /var/tmp, and must be empty if it
# exists; it is deleted at the end unless --keep is given. What is not committed is not in the clone. Needs root and
# debootstrap; packages come from wherever apt gets them here. The network, the loopback interface included (Bazel talks
# to itself over it), is this machine's.
set -euo pipefail

suite=bookworm
die() {
    echo "fresh_machine: $*" >&2
    exit 1
}

keep=no
if [ "${1:-}" = --keep ]; then
    keep=yes
    shift
fi
[ "$(id -u)" -eq 0 ] || die "must run as root"
command -v debootstrap >/dev/null || die "debootstrap is not installed"
[ "$(cat /sys/class/net/lo/carrier 2>/dev/null)" = 1 ] || die "the loopback interface is down"
repository=$(cd "$(dirname "$0")/.." && pwd)
root=${1:-$(mktemp -d /var/tmp/rhumb-fresh.XXXXXX)}
shift || true
[ "$#" -gt 0 ] || set -- ./test

mkdir -p "$root"
root=$(realpath "$root")
[ -z "$(ls -A "$root")" ] || die "$root is not empty"

# The mirror of the suite that apt uses here, from one-line (deb URI SUITE...) or deb822 sources (URIs:, Suites:).
mirror_of_suite() {
    local file
    for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
        [ -f "$file" ] || continue
        sed -n 's/^deb[[:space:]]\+\(\[[^]]*\][[:space:]]*\)\?//p' "$file" | awk -v suite="$suite" '$2 == suite { print $1 }'
    done
    for file in /etc/apt/sources.list.d/*.sources; do
        [ -f "$file" ] || continue
        awk -v suite="$suite" 'BEGIN { RS = ""; FS = "\n" } {
            uri = ""; found = 0
            for (i = 1; i <= NF; i++) {
                count = split($i, word, /[ \t]+/)
                if (word[1] == "URIs:") uri = word[2]
                for (j = 2; word[1] == "Suites:" && j <= count; j++) if (word[j] == suite) found = 1
            }
            if (found) print uri
        }' "$file"
    done
}
mirror=$(mirror_of_suite | head -n 1)
[ -n "$mirror" ] || die "no source of apt has the suite $suite"

# Everything mounted below the folder is taken away before the folder is; nothing is deleted through a mount.
mounted=()
clean_up() {
    local i
    for ((i = ${#mounted[@]} - 1; i >= 0; i--)); do umount "${mounted[i]}" || umount -l "${mounted[i]}" || keep=yes; done
    if [ "$keep" = no ]; then rm -rf --one-file-system "$root"; else echo "fresh_machine: kept $root"; fi
}
trap clean_up EXIT

# debootstrap does not read apt's settings; a proxy is the one that matters to it.
eval "$(apt-config shell apt_proxy Acquire::http::Proxy)"
[ -z "${apt_proxy:-}" ] || export http_proxy="${http_proxy:-$apt_proxy}"
debootstrap --variant=minbase --include=ca-certificates "$suite" "$root" "$mirror"

# apt in there shall find what apt finds here: sources, keys, proxies and certificates.
rm -rf "$root/etc/apt"
cp -a /etc/apt "$root/etc/apt"
cp -a /usr/share/keyrings/. "$root/usr/share/keyrings/"
cp -a /etc/ssl/certs/. "$root/etc/ssl/certs/"
[ ! -d /usr/local/share/ca-certificates ] ||
    cp -a /usr/local/share/ca-certificates/. "$root/usr/local/share/ca-certificates/"
cp -L /etc/resolv.conf /etc/hosts "$root/etc/"
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d" # installing a service does not start it
chmod +x "$root/usr/sbin/policy-rc.d"

# mount_at PLACE OPTION...: mounts something below the folder.
mount_at() {
    local place=$root/$1
    shift
    mount "$@" "$place"
    mounted+=("$place")
}
mount_at proc -t proc proc
mount_at sys -t sysfs sysfs
mount_at dev --bind /dev
[ ! -d /dev/pts ] || mount_at dev/pts --bind /dev/pts
[ ! -d /dev/shm ] || mount_at dev/shm -t tmpfs -o mode=1777 tmpfs

git clone --quiet --no-hardlinks "$repository" "$root/root/rhumb"
environment=(HOME=/root USER=root LANG=C.UTF-8 PATH=/usr/sbin:/usr/bin:/sbin:/bin)
for name in http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY; do
    [ -z "${!name:-}" ] || environment+=("$name=${!name}")
done
status=0
chroot "$root" /usr/bin/env -i "${environment[@]}" /bin/bash -c 'cd /root/rhumb && "$@"' bash "$@" || status=$?

# Bazel leaves a server behind; it would hold the folder.
chroot "$root" /usr/bin/env -i "${environment[@]}" /bin/bash -c \
    'cd /root/rhumb && ! command -v bazel >/dev/null || bazel shutdown' >/dev/null 2>&1 || true
exit "$status"
