"""The seccomp profile that a container gets by default, as far as one is to be had here: podman's and CRI-O's own file. The
one of containerd and Docker has the same ancestor, and is built into them."""

import json
import pathlib

FILE = pathlib.Path("/usr/share/containers/seccomp.json")
MACHINE = {"amd64", "SCMP_ARCH_X86_64"}


def profile():
    """In the runtime's terms, for a container without capabilities; None where the file is not there."""
    if not FILE.exists():
        print("note: no seccomp profile is here (Debian's golang-github-containers-common), so none is tried")
        return None
    given = json.loads(FILE.read_text())
    rules = []
    for rule in given["syscalls"]:
        includes, excludes = rule.get("includes") or {}, rule.get("excludes") or {}
        wanted = not includes.get("caps") and (not includes.get("arches") or MACHINE & set(includes["arches"]))
        if not wanted or MACHINE & set(excludes.get("arches") or []):
            continue
        kept = {key: rule[key] for key in ("names", "action", "errnoRet") if rule.get(key) is not None}
        if rule.get("args"):
            kept["args"] = rule["args"]
        rules.append(kept)
    return {"defaultAction": given["defaultAction"], "defaultErrnoRet": given.get("defaultErrnoRet", 1),
            "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"], "syscalls": rules}
