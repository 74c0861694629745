#!/usr/bin/env bash
# `reaper service` on machines of all kinds. To be sourced, after user.sh.
# shellcheck disable=SC2154,SC2016 # variables of the other parts; what is in quotes is for the guest

unit=/home/alice/.config/systemd/user/reaper.service

files() { guest find /home/alice/.config/systemd -type f -o -type l 2>/dev/null | sort; }

print() {
    local before after
    before=$(files)
    says "systemctl --user restart reaper.service" login alice "$copy" service install --print
    says 'ExecStart="/home/alice/my tools/100%%/reaper" run' login alice "$copy" service install --print
    same "files" "$before" "$(files)"
}
install_own() {
    says "wrote $unit" login alice "$copy" service install
    same state active "$(prop ActiveState)"
    same enabled enabled "$(prop UnitFileState)"
    same program "$copy" "$(guest readlink "/proc/$(prop MainPID)/exe")"
    soon 10 ready
    says "written by" login alice "$copy" service status
    ctl reload reaper.service
}
install_twice() {
    local before after
    before=$(files; guest sha256sum "$unit")
    says "the file is there" login alice "$copy" service install
    after=$(files; guest sha256sum "$unit")
    same "files" "$before" "$after"
    same state active "$(prop ActiveState)"
    orphan alice 40001
    gone_after 40001 2
}
changed_file() {
    guest cp -p "$unit" "$unit.kept"
    guest sed -i 's/^WatchdogSec=.*/WatchdogSec=5min/' "$unit"
    fails 4 "it was changed after" login alice "$copy" service install
    fails 4 "it was changed after" login alice "$copy" service uninstall
    same state active "$(prop ActiveState)"
    guest grep -q 'WatchdogSec=5min' "$unit"
    guest mv "$unit.kept" "$unit"
}
uninstall_own() {
    says "removed $unit" login alice "$copy" service uninstall
    # Only the state is left, and the package's unit is in force again.
    same "units of the user" "" "$(files)"
    guest test -s /home/alice/.local/state/reaper/history.jsonl
    fails 4 "" own alice reaper status
    says "" login alice "$copy" service uninstall
}
foreign_file() {
    put "$unit" alice <<<$'[Service]\nExecStart=/bin/sleep 100'
    fails 4 "did not write it" login alice "$copy" service install
    fails 4 "did not write it" login alice "$copy" service uninstall
    guest ln -sf /dev/null "$unit"
    fails 4 "masked" login alice "$copy" service install
    guest rm "$unit"
    ctl daemon-reload
}
install_broken() {
    put "$home_config" alice <<<'grcae = "3s"'
    fails 3 "grcae" login alice "$copy" service install
    put "$home_config" alice <<<"$settings"
    guest test ! -e "$unit"
}
packaged() {
    says "the unit is there: /usr/lib/systemd/user/reaper.service" login alice reaper service install
    guest test ! -e "$unit"
    same state active "$(prop ActiveState)"
    says "running" login alice reaper service status
    says "belongs to a package" login alice reaper service uninstall
    same state inactive "$(prop ActiveState)"
    same enabled disabled "$(prop UnitFileState)"
}
no_linger() {
    says "loginctl enable-linger" login bob reaper service install
    # It ends with the session, and comes back with the next one.
    soon 30 guest sh -c '! pgrep -u bob -x reaper'
    says "running" login bob sh -c 'for i in 1 2 3 4 5 6 7 8 9 10; do reaper service status && break; sleep 0.5; done'
    says "linger   off" login bob reaper service status
    login bob reaper service uninstall
}
no_manager() {
    fails 4 "enable-linger carol" bare carol reaper service install
    fails 4 "no user manager of systemd can be reached" bare carol reaper service install
    fails 4 "" bare carol reaper service status
    same "files" "" "$(guest find /home/carol -path '*systemd*')"
    says "ExecStart=" bare carol "$copy" service install --print
    fails 4 "export XDG_RUNTIME_DIR=" bare alice reaper service install
    fails 4 "without sudo" guest env SUDO_UID=1000 reaper service install
}

command_checks() {
    ctl disable --now reaper.service 2>/dev/null || true
    check "reaper service: --print does nothing" print
    check "reaper service: installs a program from an odd place, enabled and running" install_own
    check "reaper service: installing twice changes nothing" install_twice
    check "reaper service: a file that was edited is left alone" changed_file
    check "reaper service: uninstalling leaves nothing but the state" uninstall_own
    check "reaper service: another program's file, or a mask, is left alone" foreign_file
    check "reaper service: a broken config is not installed" install_broken
    check "reaper service: a package's unit is used, not shadowed" packaged
    check "reaper service: without linger it explains the consequence, and works" no_linger
    check "reaper service: without a user manager it says what to do" no_manager
}
