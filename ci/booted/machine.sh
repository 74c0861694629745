#!/usr/bin/env bash
# A booted systemd, and how to do something in it. To be sourced; wants $scratch, $lower and $version.

# boot: boots it, and waits until the system is up.
boot() {
    local cgroups=/sys/fs/cgroup/unified deadline
    [ -d "$cgroups" ] || cgroups=/sys/fs/cgroup
    branch="$cgroups/reaper-ci-$$"
    mkdir -p "$branch" "$scratch/machine"
    # In a session of its own: what ends this script must not end the guest half-way.
    setsid unshare --pid --fork --kill-child --mount --uts --ipc --net --propagation private \
        "$here/booted/boot" "$scratch/machine" "$lower" "$branch" </dev/null >"$scratch/boot.log" 2>&1 &
    outer=$!
    deadline=$((SECONDS + 60))
    while [ "$SECONDS" -lt "$deadline" ] && kill -0 "$outer" 2>/dev/null; do
        read -r leader <"/proc/$outer/task/$outer/children" 2>/dev/null || true
        leader=${leader%% *}
        case "$(guest systemctl is-system-running 2>/dev/null)" in
        running | degraded) return 0 ;;
        esac
        sleep 0.1
    done
    echo "cannot boot systemd:"
    tail -n 20 "$scratch/boot.log"
    return 1
}

# halt: ends it, and leaves nothing.
halt() {
    [ -n "${outer:-}" ] || return 0
    # Our own child, and with it everything in its namespaces.
    kill -KILL "$outer" 2>/dev/null || true
    wait "$outer" 2>/dev/null || true
    for _ in {1..50}; do
        find "$branch" -depth -type d -exec rmdir {} + 2>/dev/null && break
        sleep 0.1
    done
    outer=
}

# guest COMMAND…: as root, by the way of the namespaces.
guest() {
    [ -n "${leader:-}" ] || return 1
    nsenter -t "$leader" -a env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 "$@" </dev/null
}

# login USER COMMAND…: in a login session of its own, as sshd would open one.
login() {
    local user=$1
    shift
    guest systemd-run --quiet --pipe --wait --collect -p PAMName=login -p "User=$user" -p "WorkingDirectory=~" \
        -E LC_ALL=C.UTF-8 -- "$@"
}

# bare USER COMMAND…: as the user, and no session: neither a runtime directory nor a bus is named.
bare() {
    local user=$1
    shift
    guest systemd-run --quiet --pipe --wait --collect -p "User=$user" -E LC_ALL=C.UTF-8 -- "$@"
}

# own USER COMMAND…: as the user with a running manager; quick, for questions.
own() {
    local user=$1 uid home
    shift
    uid=$(guest id -u "$user") home=/home/$user
    nsenter -t "$leader" -a setpriv --reuid "$uid" --regid "$uid" --init-groups env -i LC_ALL=C.UTF-8 HOME="$home" USER="$user" \
        PATH=/usr/local/bin:/usr/bin:/bin XDG_RUNTIME_DIR="/run/user/$uid" "$@" </dev/null
}

# put FILE [MODE]: standard input becomes this file of the guest's.
put() {
    local text
    text=$(cat)
    guest mkdir -p "$(dirname "$1")"
    nsenter -t "$leader" -a tee "$1" <<<"$text" >/dev/null
    guest chmod "${2:-0644}" "$1"
}

# until SECONDS COMMAND…: tries until it succeeds, or the time is over.
until_ok() {
    local deadline=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$deadline" ] || return 1
        sleep 0.1
    done
}
