#!/usr/bin/env bash
# A booted systemd, and commands to use it. To be sourced; wants $here, $scratch and $lower.
# shellcheck disable=SC2154,SC2016 # variables of the other parts; what is in quotes is for the guest

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

# halt: ends it, and removes its files.
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

# guest COMMAND…: as root.
guest() {
    [ -n "${leader:-}" ] || return 1
    nsenter -t "$leader" -a env -i LC_ALL=C.UTF-8 HOME=/root \
        PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@" </dev/null
}

# login USER COMMAND…: in a login session of its own, as sshd would open one.
login() {
    local user=$1
    shift
    guest systemd-run --quiet --pipe --wait --collect -p PAMName=login -p "User=$user" \
        -p "WorkingDirectory=/home/$user" -E LC_ALL=C.UTF-8 -- "$@"
}

# bare USER COMMAND…: as the user, with no session: neither a runtime directory nor a bus is named.
bare() {
    local user=$1
    shift
    guest systemd-run --quiet --pipe --wait --collect -p "User=$user" -E LC_ALL=C.UTF-8 -- "$@"
}

# own USER COMMAND…: as a user with a running manager; quick, for commands to it.
own() {
    local user=$1 uid
    shift
    uid=$(guest id -u "$user")
    nsenter -t "$leader" -a setpriv --reuid "$uid" --regid "$uid" --init-groups env -i LC_ALL=C.UTF-8 \
        HOME="/home/$user" USER="$user" PATH=/usr/local/bin:/usr/bin:/bin XDG_RUNTIME_DIR="/run/user/$uid" "$@" </dev/null
}

# ctl COMMAND…: alice's service manager.
ctl() { own alice systemctl --user "$@"; }

# put FILE [USER]: standard input becomes this file of the guest's.
put() {
    if [ -n "${2:-}" ]; then own "$2" mkdir -p "$(dirname "$1")"; else guest mkdir -p "$(dirname "$1")"; fi
    nsenter -t "$leader" -a tee "$1" >/dev/null
    guest chown "${2:-root}:" "$1"
    guest chmod 0644 "$1"
}

# soon SECONDS COMMAND…: until it succeeds.
soon() {
    local deadline=$((SECONDS + $1)) said
    shift
    until said=$("$@" 2>&1); do
        [ "$SECONDS" -lt "$deadline" ] || { echo "in vain: $*: $said"; return 1; }
        sleep 0.1
    done
}

# check NAME COMMAND…: prints one line; on failure also the command's output.
check() {
    local name=$1 said code=0 start=$EPOCHREALTIME took
    shift
    checks=$((checks + 1))
    set +e
    # Each command of a check counts, not only the last.
    said=$(set -e; "$@" 2>&1)
    code=$?
    set -e
    took=$(awk -v a="$start" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.1f s", b - a }')
    if [ "$code" = 0 ]; then
        echo "ok      $name ($took)"
    else
        echo "FAILED  $name ($took)"
        tail -n 25 <<<"$said" | sed 's/^/        | /'
        failures=$((failures + 1))
    fi
}

# says TEXT COMMAND…: the command must succeed and print the text; `fails` expects it to fail and print the text.
says() {
    local words=$1 said
    shift
    said=$("$@" 2>&1) || { echo "$* failed: $said"; return 1; }
    grep -qF -- "$words" <<<"$said" || { echo "$*: not a word of \`$words\` in: $said"; return 1; }
}
fails() {
    local code=$1 words=$2 said got=0
    shift 2
    said=$("$@" 2>&1) || got=$?
    [ "$got" != 0 ] || { echo "$* did not fail: $said"; return 1; }
    [ "$code" = any ] || [ "$got" = "$code" ] || { echo "$* failed by $got, not $code: $said"; return 1; }
    grep -qF -- "$words" <<<"$said" || { echo "$*: not a word of \`$words\` in: $said"; return 1; }
}
# same WHAT EXPECTED GOT
same() { [ "$2" = "$3" ] || { echo "$1: expected \`$2\`, got \`$3\`"; return 1; }; }
