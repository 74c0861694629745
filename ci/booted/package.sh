#!/usr/bin/env bash
# What is installed, how it is upgraded, and what is left after its removal. To be sourced, after command.sh.
# shellcheck disable=SC2154,SC2016 # variables of the other parts; what is in quotes is for the guest

# A program in an unusual directory.
copy="/home/alice/my tools/100%/reaper"
generator=/usr/lib/systemd/user-generators/reaper
user_units=(reaper.service reaper-scan.service reaper-scan.timer)
system_units=(reaper@.service reaper-system.service)

# Puts it where the package would; or the package itself.
put_in() {
    if [ -n "$deb" ]; then
        guest mkdir -p /opt/packages
        nsenter -t "$leader" -a tee /opt/packages/reaper.deb <"$deb" >/dev/null
        guest dpkg -i /opt/packages/reaper.deb
    else
        local unit
        nsenter -t "$leader" -a tee /usr/bin/reaper <"$program" >/dev/null
        guest chmod 0755 /usr/bin/reaper
        for unit in "${user_units[@]}"; do put "/usr/lib/systemd/user/$unit" <"$units/user/$unit"; done
        for unit in "${system_units[@]}"; do put "/usr/lib/systemd/system/$unit" <"$units/system/$unit"; done
        put "$generator" <"$units/user-generators/reaper"
        guest chmod 0755 "$generator"
    fi
    guest systemctl daemon-reload
}
all_put_in() {
    local unit
    put_in
    guest /usr/bin/reaper --version
    for unit in "${user_units[@]}"; do same mode "644 root" "$(guest stat -c '%a %U' "/usr/lib/systemd/user/$unit")"; done
    for unit in "${system_units[@]}"; do same mode "644 root" "$(guest stat -c '%a %U' "/usr/lib/systemd/system/$unit")"; done
    guest install -d -o alice "$(dirname "$copy")"
    guest cp /usr/bin/reaper "$copy"
    guest chmod 0755 /home/alice
    # Nothing runs until it is enabled.
    fails any "" guest pgrep -x reaper
}

# Any output is a failure: an unknown key is only a warning, and the exit status is 0.
verify() {
    local unit said
    for unit in "${user_units[@]}"; do
        said=$(own alice systemd-analyze verify --user --man=no "/usr/lib/systemd/user/$unit" 2>&1)
        same "verify $unit" "" "$said"
    done
    for unit in "${system_units[@]}"; do
        # Only messages on our units: other units of the machine are not ours to check.
        said=$(guest systemd-analyze verify --man=no "/usr/lib/systemd/system/${unit/@/@1000}" 2>&1 | grep -i reaper || true)
        same "verify $unit" "" "$said"
    done
}
# The exposure level of a unit, in tenths, by systemd's own count. A user unit allows little hardening: see reaper.service.
exposure() {
    own alice systemd-analyze security --user --offline=true --threshold=65 /usr/lib/systemd/user/reaper.service | tail -n 1
    own alice systemd-analyze security --user --offline=true --threshold=65 /usr/lib/systemd/user/reaper-scan.service | tail -n 1
    guest systemd-analyze security --offline=true --threshold=26 /usr/lib/systemd/system/reaper-system.service | tail -n 1
    guest systemd-analyze security --offline=true --threshold=20 /usr/lib/systemd/system/reaper@.service | tail -n 1
}

# The same package under the next version.
upgrade() {
    local first tree="$scratch/deb"
    ctl enable --now reaper.service
    first=$(prop MainPID)
    rm -rf "$tree"
    dpkg-deb -R "$deb" "$tree"
    sed -i 's/^Version: .*/&+next/' "$tree/DEBIAN/control"
    dpkg-deb -b --root-owner-group "$tree" "$scratch/next.deb" >/dev/null
    put /etc/reaper/config.toml <<<'grace = "7s"'
    nsenter -t "$leader" -a tee /opt/packages/next.deb <"$scratch/next.deb" >/dev/null
    guest dpkg -i /opt/packages/next.deb
    says "+next" guest dpkg-query -W reaper
    says 'grace = "7s"' guest cat /etc/reaper/config.toml
    # A package must not end what a user runs; `service install` brings it up to date.
    same state active "$(prop ActiveState)"
    login alice reaper service install
    fails any "" same pid "$first" "$(prop MainPID)"
    soon 10 ready
    guest rm -r /etc/reaper
}

# Everything of ours that is left anywhere, but settings and state, and what this check put there.
left_over() {
    guest find /etc /home /opt /root /run /usr /var \( -path /opt/packages -o -path '/home/alice/my tools' \
        -o -path '/home/*/.config/reaper' -o -path '/home/*/.local/state/reaper' -o -path '/run/user/*/reaper' \
        -o -path /var/lib/reaper -o -path /var/log/journal -o -path '/run/user/*/systemd/transient' -o -path '/run/user/*/systemd/generator' \) -prune \
        -o -newer /run/ci-start -name '*reaper*' -print
}
removal() {
    login alice reaper service uninstall
    if [ -n "$deb" ]; then
        guest dpkg -r reaper
        guest sh -c '! test -e /usr/bin/reaper'
        guest dpkg -P reaper
        fails any "" guest dpkg -s reaper
        # A purge removes the administrator's settings, not the users'.
        guest test ! -e /var/lib/reaper
    else
        local unit
        guest rm /usr/bin/reaper
        for unit in "${user_units[@]}"; do guest rm "/usr/lib/systemd/user/$unit"; done
        for unit in "${system_units[@]}"; do guest rm "/usr/lib/systemd/system/$unit"; done
        guest rm "$generator"
    fi
    guest systemctl daemon-reload
    ctl daemon-reload
    same "what is left" "" "$(left_over)"
    fails any "" guest pgrep -x reaper
    guest test -s /home/alice/.local/state/reaper/history.jsonl
}

package_checks() {
    check "units: systemd-analyze verify reports nothing" verify
    check "units: systemd-analyze security stays under the thresholds" exposure
}
removal_checks() {
    [ -z "$deb" ] || check "package: upgraded under a running service" upgrade
    check "removal: nothing is left but settings and state" removal
    check "removal: it ended no process" no_other_ended
}
