#!/usr/bin/env bash
# Stand-ins under an agent's name, started in the ways that agents are. Each is identified by a number.
# To be sourced, after machine.sh.
# shellcheck disable=SC2154,SC2016 # variables of the other parts; what is in quotes is for the guest

# Users, and what they start.
cast() {
    local user
    # What logs out is gone a second later.
    for user in alice bob carol dave; do
        guest userdel -rf "$user" >/dev/null 2>&1 || true
        guest useradd -m -s /bin/bash "$user"
    done
    guest mkdir -p /opt/agents
    guest sh -c 'cp "$(readlink -f "$(command -v sleep)")" /opt/agents/goose'
    put /opt/agents/leave <<'S'
#!/bin/sh
# leave NUMBER: leaves a goose behind, whose parent has died.
setsid sh -c '/opt/agents/goose "$0" & exit 0' "$1" </dev/null >/dev/null 2>&1
S
    put /opt/agents/terminal <<'S'
#!/bin/sh
# terminal NUMBER: a terminal that is a user service, and opens a scope for what is done in it.
systemd-run --user --scope --quiet /opt/agents/leave "$1"
exec sleep 100000
S
    guest chmod 0755 /opt/agents/leave /opt/agents/terminal
    guest loginctl enable-linger alice
    soon 30 ctl is-system-running
}

# pid NUMBER: the goose of this number.
pid() { guest pgrep -xf "/opt/agents/goose $1"; }
parent() { guest ps -o ppid= -p "$(pid "$1")" | tr -d ' '; }

# orphan USER NUMBER: leaves one behind in a login session; its parent is then PID 1.
orphan() { login "$1" env SPROUT_MANAGED_AGENT=1 /opt/agents/leave "$2"; soon 10 pid "$2"; }

# Processes that must live: each is marked, and looks like an orphan in some way.
bystanders() {
    local mark=SPROUT_MANAGED_AGENT=1
    # Imported by some desktop's start script: from now on every service of the user carries the marker.
    ctl set-environment "$mark"
    ctl restart dbus.service 2>/dev/null || true
    own alice systemd-run --user --quiet --unit=agent-main /opt/agents/goose 90001
    own alice systemd-run --user --quiet --unit=agent-fork -p Type=forking sh -c '/opt/agents/goose 90002 & exit 0'
    login alice env "$mark" tmux -L ci new-session -d /opt/agents/goose 90003
    # A launcher that is alive, in a session of its own.
    guest systemd-run --quiet --collect -p PAMName=login -p User=alice -E "$mark" sh -c '/opt/agents/goose 90004; exit 0'
    login alice /opt/agents/leave 90005 # without a marker
    login alice env "$mark" REAPER_KEEP=1 /opt/agents/leave 90006
    soon 10 all_there
}
all_there() {
    local number
    for number in 90001 90002 90003 90004 90005 90006; do pid "$number" >/dev/null || { echo "no $number"; return 1; }; done
    guest pgrep -u alice -x 'tmux: server' >/dev/null
}

# Their identities, one a line.
living() {
    local number pids
    pids=$(for number in 90001 90002 90003 90004 90005 90006; do pid "$number" || echo "no-$number"; done
        guest systemctl show -P MainPID "user@$(guest id -u alice).service"
        ctl show -P MainPID dbus.service
        guest pgrep -u alice -x '\(sd-pam\)' || echo no-sd-pam
        guest pgrep -u alice -x 'tmux: server' || echo no-tmux)
    for number in $pids; do guest ps -o pid=,lstart=,args= -p "$number" || echo "$number is gone"; done
}

# gone_after NUMBER SECONDS: it must end, and not before it was an orphan for so long.
gone_after() {
    local number=$1 least=$2 since limit
    since=$(guest ps -o etimes= -p "$(pid "$number")")
    limit=$((SECONDS + ${patience:-40} + least))
    while pid "$number" >/dev/null; do
        since=$(guest ps -o etimes= -p "$(pid "$number")" 2>/dev/null || echo "$since")
        [ "$SECONDS" -lt "$limit" ] || { echo "goose $number still runs"; guest ps -ef; return 1; }
        sleep 0.1
    done
    # Whole seconds, rounded down, seen a moment before the end.
    [ "$since" -ge "$((least - 1))" ] || { echo "goose $number lived for $since s only"; return 1; }
}
gone() { soon 30 eval "! pid $1"; }
still_there() { pid "$1" >/dev/null || { echo "goose $1 is gone"; return 1; }; }
