#!/usr/bin/env bash
# Runs a command in a control group of its own that may use so many MB (10^6 bytes) of memory, page cache included:
#
#   bench/under_limit.sh MB COMMAND...
#
# The group is made below the one that this shell is in, and is gone at the end; that takes root, or a group that has
# been delegated. For figures that mean something, drop the page cache first (echo 3 >/proc/sys/vm/drop_caches): pages
# that are in it already are charged to the group that read them, and cost this one nothing. Exits as the command does,
# or with 125 where there is no such group to be had.
set -u
fail() { echo "under_limit.sh: $1" >&2; exit 125; }

[ $# -ge 2 ] || { sed -n '2,9s/^# \{0,1\}//p' "$0" >&2; exit 125; }
megabytes=$1
shift
case $megabytes in *[!0-9]* | '') fail "MB is a whole number, not '$megabytes'" ;; esac

# The folder of this shell's group under a mount, by its line in /proc/self/cgroup; the mount itself where a container
# does not show that folder.
folder_of() {
    local path
    path=$(grep -m 1 "$2" /proc/self/cgroup | cut -d: -f3-)
    if [ -d "$1$path" ]; then echo "$1${path%/}"; else echo "$1"; fi
}

name=rhumb-limit-$$
if [ -d /sys/fs/cgroup/memory ]; then # version 1
    group=$(folder_of /sys/fs/cgroup/memory '^[0-9]*:\([^:]*,\)\?memory[,:]')/$name
    limit_file=memory.limit_in_bytes
elif [ -f /sys/fs/cgroup/cgroup.controllers ]; then # version 2
    parent=$(folder_of /sys/fs/cgroup '^0::')
    # A group with processes of its own cannot pass the controller on, except for the root.
    grep -qw memory "$parent/cgroup.subtree_control" 2>/dev/null ||
        echo +memory >"$parent/cgroup.subtree_control" 2>/dev/null ||
        fail "$parent does not pass on its memory controller; try 'systemd-run --scope -p MemoryMax=${megabytes}M ...'"
    group=$parent/$name
    limit_file=memory.max
else
    fail "no control groups of memory are mounted at /sys/fs/cgroup"
fi

mkdir "$group" || fail "$group cannot be made"
trap 'rmdir "$group"' EXIT
echo "${megabytes}000000" >"$group/$limit_file" || fail "the limit cannot be set"
(
    echo "$BASHPID" >"$group/cgroup.procs" || exit 125
    exec "$@"
)
