#!/usr/bin/env bash
# The system's units, for one user and for all of them, and the timer. To be sourced, after user.sh.
# shellcheck disable=SC2154,SC2016 # variables of the other parts; what is in quotes is for the guest

sys() { guest systemctl show -P "$1" "$2"; }

system_start() {
    ctl disable --now reaper.service
    put /etc/reaper/config.toml <<<"$settings"$'\n[[profile]]\nname = "roots"\nmarkers = ["ROOTS_AGENT"]\nprograms = ["goose"]'
    # No user's config may affect root's service.
    put "$home_config" alice <<<"$settings"$'\n[[profile]]\nname = "mine"\nmarkers = ["ALICES_AGENT"]\nprograms = ["goose"]'
    guest systemctl daemon-reload
    guest systemctl enable --now reaper-system.service
    same state active "$(sys ActiveState reaper-system)"
    soon 10 guest reaper status --check ready
    says '"scope":"all-users"' guest reaper status --format json
}
system_ends() {
    orphan alice 30001
    orphan bob 30002
    login bob env ROOTS_AGENT=1 /opt/agents/leave 30003
    login alice env ALICES_AGENT=1 /opt/agents/leave 30004
    soon 10 pid 30004
    gone_after 30001 2
    gone 30002
    gone 30003
    still_there 30004
}
system_accounts() {
    # From a login of root's as well, which has directories of its own.
    says all-users guest systemd-run --quiet --pipe --wait --collect -p PAMName=login -p User=root reaper status --format json
    says goose guest systemd-run --quiet --pipe --wait --collect -p PAMName=login -p User=root reaper history --all-users
    same "mode and owner" "700 root" "$(guest stat -c '%a %U' /var/lib/reaper)"
    soon 10 says '"REAPER_OUTCOME":"exited"' guest journalctl -o json _SYSTEMD_UNIT=reaper-system.service REAPER_PROGRAM=goose REAPER_OUTCOME=exited
}
system_reload() {
    guest systemctl reload reaper-system.service
    put /etc/reaper/config.toml <<<'grcae = 1'
    fails any "" guest systemctl reload reaper-system.service
    same state active "$(sys ActiveState reaper-system)"
    guest systemctl stop reaper-system.service
    fails any "" guest systemctl start reaper-system.service
    sleep 1
    same state failed "$(sys ActiveState reaper-system)"
    same restarts 0 "$(sys NRestarts reaper-system)"
}
system_stop() {
    guest systemctl disable --now reaper-system.service
    guest systemctl reset-failed reaper-system.service 2>/dev/null || true
    guest rm -r /etc/reaper
    put "$home_config" alice <<<"$settings"
    same state inactive "$(sys ActiveState reaper-system)"
}

instance() {
    local uid
    uid=$(guest id -u alice)
    guest systemctl enable --now "reaper@$uid.service"
    same state active "$(sys ActiveState "reaper@$uid")"
    same user "$uid" "$(guest stat -c %u "/proc/$(sys MainPID "reaper@$uid")")"
    soon 10 own alice reaper status --check ready
    orphan alice 30011
    orphan bob 30012
    gone_after 30011 2
    still_there 30012
    says goose own alice reaper history
    # One service for each user, whichever user starts the second.
    put /home/alice/.config/systemd/user/reaper.service.d/ci.conf alice <<<$'[Service]\nRestart=no'
    ctl daemon-reload
    fails any "" ctl start reaper.service
    same "exit status" 4 "$(prop ExecMainStatus)"
    guest rm -r /home/alice/.config/systemd/user/reaper.service.d
    ctl daemon-reload
    ctl reset-failed reaper.service
    guest systemctl disable --now "reaper@$uid.service"
    guest kill "$(pid 30012)"
}

timer() {
    put /home/alice/.config/systemd/user/reaper-scan.timer.d/ci.conf alice <<<$'[Timer]\nOnActiveSec=\nOnActiveSec=1s\nOnUnitInactiveSec=1s\nAccuracySec=100ms'
    ctl daemon-reload
    orphan alice 30021
    ctl enable --now reaper-scan.timer
    gone_after 30021 2 || { own alice journalctl --user -n 30; return 1; }
    orphan alice 30022
    gone_after 30022 2
    soon 20 same result success "$(ctl show -P Result reaper-scan.service)"
    ctl disable --now reaper-scan.timer
    guest rm -r /home/alice/.config/systemd/user/reaper-scan.timer.d
    ctl daemon-reload
}

system_checks() {
    check "system unit: enabled, started and ready, for all users" system_start
    check "system unit: orphans of two users are ended, by root's config only" system_ends
    check "system unit: no other process is ended" no_other_ended
    check "system unit: the history is root's, in /var/lib/reaper and the journal" system_accounts
    check "system unit: a broken config fails reload and start, once, visibly" system_reload
    check "system unit: disabled and stopped" system_stop
    check "unit for one user: ends that user's orphans only, found by the user's own commands" instance
    check "unit for one user: no other process is ended" no_other_ended
    check "timer: an orphan is ended without a daemon, and the next one too" timer
    check "timer: no other process is ended" no_other_ended
}
