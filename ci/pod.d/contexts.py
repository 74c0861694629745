"""Security contexts: which of them let a sidecar see and end which agents, one line each. A context that is not enough
must be told, with what would be: exit code 4."""

import os

from runtime import DOCKER, until

SEE = ["KILL", "SYS_PTRACE", "DAC_READ_SEARCH"]
# Victims: program (so that they can be told apart), user, capabilities.
VICTIMS = {"goose": ("uid 1000, no capabilities", 1000, []), "codex": ("root, Docker's capabilities", 0, DOCKER),
           "gemini": ("root, no capabilities", 0, [])}

# context, (uid, gid, capabilities, ambient), what it ends, exit code, text of its message
ROWS = [
    ("same uid, same gid, drop ALL", (1000, 1000, [], False), "goose", 0, None),
    ("same uid, other gid, drop ALL", (1000, 1001, [], False), "", 4, "runAsGroup"),
    ("other uid, drop ALL", (1234, 1234, [], False), "", 4, "runAsUser"),
    ("other uid, capabilities.add (not ambient)", (1234, 1234, SEE, False), "", 4, "runAsUser"),
    ("other uid, KILL+SYS_PTRACE ambient", (1234, 1234, SEE[:2], True), "", 4, "runAsUser"),
    ("other uid, all three ambient", (1234, 1234, SEE, True), "", 4, "runAsUser"),
    ("root, drop ALL", (0, 0, [], False), "gemini", 4, "CAP_SYS_PTRACE"),
    ("root, Docker's capabilities", (0, 0, DOCKER, False), "codex gemini", 4, "CAP_SYS_PTRACE"),
    ("root, drop ALL, add KILL+SYS_PTRACE", (0, 0, SEE[:2], False), "codex gemini", 4, "CAP_DAC_READ_SEARCH"),
    ("root, Docker's + SYS_PTRACE", (0, 0, [*DOCKER, "SYS_PTRACE"], False), "codex gemini goose", 0, None),
    ("root, drop ALL, add all three", (0, 0, SEE, False), "codex gemini goose", 0, None),
]


def contexts(pod, root, rootfs, config):
    for name, (_, uid, caps) in VICTIMS.items():
        pod.start(f"w-{name}", root, ["/bin/sleeper"], uid=uid, gid=uid, caps=caps, env=["SPROUT_MANAGED_AGENT=1"])
    faults = []
    print(f"   victims: {'; '.join(f'{name} = {what}' for name, (what, *_) in VICTIMS.items())}")
    for number, (what, (uid, gid, caps, ambient), wanted, code, words) in enumerate(ROWS):
        for name in VICTIMS:
            done = pod.exec(f"w-{name}", "/bin/sleeper", "leave", f"orphan:/bin/{name}")
            assert done.returncode == 0, done
        victims = {name: until(f"there is a {name}", lambda: pod.find(name)) for name in VICTIMS}
        how = {"uid": uid, "gid": gid, "caps": caps, "ambient": ambient, "env": config["Env"],
               "writable": ["/state", "/runtime"]}
        users = ["--all-users"] if uid == 0 else []
        scan = ["scan", "--yes", "--grace", "0s", "--format", "json", *users]
        acted = pod.once(f"scan-{number}", rootfs, [*config["Entrypoint"], *scan], **how)
        doctor = pod.once(f"doctor-{number}", rootfs, [*config["Entrypoint"], "doctor", "--no-self-test", *users], **how)
        ended = sorted(name for name, pids in victims.items() if not set(pids) & set(pod.processes()))
        told = not words or (words in acted.stderr and "hint:" in acted.stderr)
        checked = doctor.returncode == code and (not words or words in doctor.stdout)
        good = ended == sorted(wanted.split()) and acted.returncode == code and told and checked
        expected = f"ends {wanted or 'none'}, exit {code}" + (f", names {words}" if words else "")
        seen = f"ends {' '.join(ended) or 'none'}, exit {acted.returncode}, doctor {doctor.returncode}"
        print(f"{'ok' if good else 'fault'}: {what:<42} expected: {expected} | seen: {seen}")
        if not good or os.environ.get("REAPER_POD_VERBOSE"):
            print("\n".join(f"      {line}" for line in (acted.stdout + acted.stderr + doctor.stdout).splitlines()))
        if not good:
            faults.append(what)
        for pids in victims.values():
            for pid in set(pids) & set(pod.processes()):
                os.kill(pid, 9)  # ours, and left for the next context otherwise
    for name in VICTIMS:
        pod.run("delete", "-f", f"w-{name}")
    assert not faults, f"contexts that did not come out as the table says: {faults}"
