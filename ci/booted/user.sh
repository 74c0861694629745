#!/usr/bin/env bash
# The service in a user's own service manager: what it ends, what it leaves, how it is stopped, repaired and queried.
# To be sourced, after actors.sh.
# shellcheck disable=SC2154,SC2016 # variables of the other parts; what is in quotes is for the guest

home_config=/home/alice/.config/reaper/config.toml
settings='interval = "1s"
grace = "2s"
term-timeout = "2s"'

prop() { ctl show -P "$1" reaper.service; }
is() { [ "$(prop "$1")" = "$2" ]; }
ready() { own alice reaper status --check ready; }

user_start() {
    put "$home_config" alice <<<"$settings"
    ctl daemon-reload
    ctl enable --now reaper.service
    same state active "$(prop ActiveState)"
    same watchdog 1min "$(prop WatchdogUSec)"
    soon 10 ready
}

in_scope() {
    own alice systemd-run --user --quiet --unit=terminal /opt/agents/terminal 20001
    soon 10 pid 20001
    grep -q '\.scope$' <<<"$(guest cat "/proc/$(pid 20001)/cgroup" | grep '^0:')"
    same "its parent" "$(guest systemctl show -P MainPID "user@$(guest id -u alice).service")" "$(parent 20001)"
    gone_after 20001 2
}
in_session() {
    orphan alice 20002
    grep -q 'session-.*\.scope$' <<<"$(guest cat "/proc/$(pid 20002)/cgroup" | grep '^0:')"
    same "its parent" 1 "$(parent 20002)"
    gone_after 20002 2
}
# A login at the machine itself, where systemd since 254 grants a capability that hides the environment from others.
at_the_machine() {
    guest systemd-run --quiet --pipe --wait --collect -p PAMName=login -p User=alice -E XDG_SEAT=seat0 \
        -E XDG_SESSION_TYPE=x11 -E SPROUT_MANAGED_AGENT=1 /opt/agents/leave 20004
    soon 10 pid 20004
    [ "$version" = 252 ] || guest grep '^CapPrm:.*0000000800000000' "/proc/$(pid 20004)/status"
    gone_after 20004 2
}
no_other_ended() { same "those who must live" "$before" "$(living)"; }

journal() {
    local entry
    soon 10 says '"REAPER_OUTCOME":"exited"' own alice journalctl --user -o json MESSAGE_ID=6f1f4c0e5a9f4f5c9d0f6d6b2f0a7c11
    entry=$(own alice journalctl --user -o json -n 1 REAPER_PROGRAM=goose REAPER_OUTCOME=exited)
    for field in '"REAPER_SIGNAL":"TERM"' '"REAPER_PROFILE":"sprout"' '"REAPER_GATES":"user yes' '"SYSLOG_IDENTIFIER":"reaper"' \
        '"_SYSTEMD_USER_UNIT":"reaper.service"'; do
        grep -qF "$field" <<<"$entry" || { echo "no $field in $entry"; return 1; }
    done
}
history() { says goose own alice reaper history; says exited own alice reaper history; }
doctor() { says "" login alice reaper doctor; }

watchdog() {
    local first
    put /home/alice/.config/systemd/user/reaper.service.d/ci.conf alice <<<$'[Service]\nWatchdogSec=2s\nRestartSec=100ms'
    ctl daemon-reload
    ctl restart reaper.service
    first=$(prop MainPID)
    guest kill -STOP "$first"
    soon 30 eval "! is MainPID $first && is ActiveState active"
    same restarts 1 "$(prop NRestarts)"
    own alice journalctl --user -u reaper -n 30 | grep -i 'watchdog timeout'
    guest rm -r /home/alice/.config/systemd/user/reaper.service.d
    ctl daemon-reload
    ctl restart reaper.service
}
reload() {
    local first
    first=$(prop MainPID)
    put "$home_config" alice <<<"${settings/grace = \"2s\"/grace = \"4s\"}"
    ctl reload reaper.service
    same state active "$(prop ActiveState)"
    same pid "$first" "$(prop MainPID)"
    says '"grace_s":4' own alice reaper status --format json
}
reload_broken() {
    local first
    first=$(prop MainPID)
    put "$home_config" alice <<<'grcae = "3s"'
    fails any "" ctl reload reaper.service
    same state active "$(prop ActiveState)"
    same pid "$first" "$(prop MainPID)"
    says '"grace_s":4' own alice reaper status --format json
    says "new config is refused" prop StatusText
    says "grcae" own alice reaper status
    put "$home_config" alice <<<"$settings"
    ctl reload reaper.service
    says '"grace_s":2' own alice reaper status --format json
}
restart() {
    local first
    first=$(prop MainPID)
    ctl restart reaper.service
    fails any "" same pid "$first" "$(prop MainPID)"
    soon 10 ready
}
stop() {
    ctl stop reaper.service
    same state inactive "$(prop ActiveState)"
    same result success "$(prop Result)"
    fails 4 "" own alice reaper status
}

# As after the administrator has fixed the problem.
afresh() { ctl reset-failed reaper.service; }

# fails_to_start CONFIG WORDS: once, visibly, and without another attempt.
fails_to_start() {
    ctl stop reaper.service
    afresh
    put "$home_config" alice <<<"$1"
    fails any "" ctl start reaper.service
    same state failed "$(prop ActiveState)"
    same "exit status" 3 "$(prop ExecMainStatus)"
    sleep 1
    same state failed "$(prop ActiveState)"
    same restarts 0 "$(prop NRestarts)"
    soon 10 says "$2" own alice journalctl --user -t reaper -n 20
    put "$home_config" alice <<<"$settings"
    ctl start reaper.service
    soon 10 ready
}
broken_config() { fails_to_start 'grace = ' 'config.toml:1:9'; }
old_config() { fails_to_start $'sweep-every = "30s"\ngrace = "3s"' 'sweep-every'; }

# A home that turns read-only: without a record nothing is ended.
home_turns() {
    local result=0
    guest mount --bind /home/alice /home/alice
    guest mount -o remount,bind,ro /home/alice
    # `set -e` is off in a condition, so the commands are joined by &&.
    orphan alice 20003 &&
        soon 20 says 'nothing was ended' own alice journalctl --user -t reaper --since -30s &&
        still_there 20003 || result=1
    guest umount -l /home/alice
    [ "$result" = 0 ] && gone_after 20003 2
}
# A home that was never writable: a few attempts, then a visible failure.
read_only_home() {
    local result=0 uid
    uid=$(guest id -u dave)
    put /etc/systemd/user/reaper.service.d/ci.conf <<<$'[Service]\nRestartSec=50ms'
    guest mount --bind /home/dave /home/dave
    guest mount -o remount,bind,ro /home/dave
    guest loginctl enable-linger dave
    soon 20 own dave systemctl --user is-system-running &&
        fails any "" own dave systemctl --user start reaper.service &&
        soon 30 own dave sh -c '[ "$(systemctl --user show -P ActiveState reaper)" = failed ]' &&
        # The last start was counted, or was not: that depends on the version.
        own dave systemctl --user show -P NRestarts reaper | grep -xE '9|10' &&
        same "exit status" 4 "$(own dave systemctl --user show -P ExecMainStatus reaper)" &&
        # Where a user's own journal cannot be told from the system's, root sees it.
        soon 10 says "cannot create the directory" guest journalctl "_UID=$uid" -n 50 &&
        fails 4 "cannot write" login dave "$copy" service install || result=1
    guest loginctl disable-linger dave
    guest systemctl stop "user@$uid.service"
    guest umount -l /home/dave
    guest rm -r /etc/systemd/user/reaper.service.d
    return "$result"
}

user_checks() {
    check "user unit: enabled, started and ready" user_start
    check "user unit: the doctor finds nothing wrong" doctor
    bystanders
    before=$(living)
    check "user unit: an orphan in a scope of a user service is ended after its grace" in_scope
    check "user unit: an orphan of a login session is ended after its grace" in_session
    check "user unit: and one of a login at the machine itself" at_the_machine
    check "user unit: services, Type=forking, tmux, a living launcher's, systemd --user, dbus and (sd-pam) live on" no_other_ended
    check "user unit: the journal holds the record, field by field" journal
    check "user unit: so does the history" history
    check "user unit: one that hangs is ended by the watchdog and started again" watchdog
    check "user unit: a reload takes the new config, in the same process" reload
    check "user unit: a reload of a broken config fails, and the old one stays" reload_broken
    check "user unit: restart" restart
    check "user unit: stop" stop
    check "user unit: a broken config fails the start once, visibly" broken_config
    check "user unit: an older config with an unknown key too" old_config
    check "user unit: a home that turns read-only: nothing is ended, and it reports that" home_turns
    check "user unit: a home that is read-only: given up after ten starts, visibly" read_only_home
    check "user unit: still no other process was ended" no_other_ended
}
