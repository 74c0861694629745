#!/bin/sh
# real_systemd.sh DIR CGROUP SHARED LOG: becomes a booted systemd that also runs a manager for root's own services. Its files
# are this machine's under a throw-away overlay in DIR; CGROUP is an empty branch of the machine's cgroup tree; SHARED
# is seen as /test. To be run as PID 1 of PID, mount, UTS, IPC and network namespaces.
set -eu
dir=$1 cgroup=$2 shared=$3
exec >"$4" 2>&1
mount -t tmpfs -o mode=755 tmpfs "$dir"
mkdir "$dir/up" "$dir/work" "$dir/root"
mount -t overlay -o "lowerdir=/,upperdir=$dir/up,workdir=$dir/work" overlay "$dir/root"
cd "$dir/root"
mkdir -p test var/lib/systemd/linger
mount --bind "$shared" test
: >etc/machine-id
: >etc/fstab
: >var/lib/systemd/linger/root
# Nothing that this machine has enabled.
rm -rf etc/systemd/system/*.wants etc/systemd/system/*.requires
mount -t proc proc proc
# The guest must not set what is the machine's.
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount -t sysfs -o ro sysfs sys
mount -t tmpfs -o mode=755 tmpfs dev
for node in null zero full random urandom tty; do : >"dev/$node"; mount --bind "/dev/$node" "dev/$node"; done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
# From here on the branch is the root of all cgroups.
echo 0 >"$cgroup/cgroup.procs"
exec unshare --cgroup sh -euc '
mount -t cgroup2 cgroup2 sys/fs/cgroup
mkdir .old
pivot_root . .old
umount -l .old
exec env -i container=test PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --log-level=warning --log-target=console
'
