"""Tests in the pod: the sidecar, and reaper as the first process of a container."""

import json
import os
import pathlib
import subprocess
import time

from runtime import until

ADDRESS = "10.88.0.2"
PORT = 9464
GRACE = 2.0
# SIGTERM to the end: the service abandons what it was ending after 5 s, and has 5 s more to record that.
STOP_LIMIT = 12


def say(what):
    print(f"ok: {what}")


def command(config, *args):
    """As a runtime adds them up: the image's entrypoint, and what the pod gives instead of its command."""
    return [*config["Entrypoint"], *(args or config["Cmd"])]


def sidecar(pod, root, rootfs, config, seccomp, gid):
    marked = ["SPROUT_MANAGED_AGENT=1"]
    # The pod has an address that is known only inside the pod.
    net = ["nsenter", f"--net=/proc/{pod.pause}/ns/net"]
    subprocess.run([*net, "ip", "link", "set", "lo", "up"], check=True)
    subprocess.run([*net, "ip", "address", "add", f"{ADDRESS}/32", "dev", "lo"], check=True)
    settings = [f"REAPER_METRICS_LISTEN={ADDRESS}:{PORT}", f"REAPER_GRACE={GRACE:.0f}s", "REAPER_INTERVAL=1s"]
    if seccomp:
        say("the sidecar runs under the default seccomp profile of podman and CRI-O")
    # A native sidecar starts first.
    pod.start("reaper", rootfs, command(config), uid=1000, gid=gid, env=[*config["Env"], *settings],
              writable=["/state", "/runtime"], seccomp=seccomp)
    probe = lambda what: pod.exec("reaper", "reaper", "status", "--check", what)  # as in the manifests
    until("it is alive", lambda: probe("live").returncode == 0)
    words = ["orphan:/bin/goose", "child:/bin/claude", "unmarked:/bin/opencode", "orphan:/bin/helper"]
    main = pod.start("workload", root, ["/bin/codex", "main", *words], uid=1000, gid=1000, env=marked)
    # Another container's agents have their own launcher outside of this namespace; its strays have no marker.
    other = pod.start("other", root, ["/bin/postgres", "main", "orphan:/bin/sleeper", "orphan:/bin/gemini"], uid=1000, gid=1000)
    agent = pod.start("agent", root, ["/bin/claude"], uid=1000, gid=1000, env=marked)
    [orphan] = until("the workload has left its orphan", lambda: pod.find("goose"))
    born = time.monotonic()
    spared = {"the main process of the workload": main, "the main process of another container": other,
              "a marked main process": agent, "pause": pod.pause}
    for name, what in [("claude", "a child of a living agent"), ("opencode", "an orphan without the marker"),
                       ("helper", "a marked orphan that is no agent"), ("sleeper", "an unmarked stray of another container"),
                       ("gemini", "an unmarked agent of another container")]:
        [pid] = until(f"there is {what}", lambda: [pid for pid in pod.find(name) if pid != agent])
        spared[what] = pid
    assert pod.processes()[orphan][2] == pod.pause, "the orphan's parent is not pause"
    until("it is ready", lambda: probe("ready").returncode == 0)
    say("`reaper status --check live` and `ready` answer in its container")
    until("the orphan is ended", lambda: orphan not in pod.processes(), 10)
    took = time.monotonic() - born
    assert took >= GRACE - 0.5, f"the orphan was ended after {took:.1f} s, within its grace of {GRACE} s"
    say(f"an orphan whose parent is pause was ended {took:.1f} s after it was first there (grace {GRACE} s)")
    for what, pid in spared.items():
        assert pid in pod.processes(), f"{what} is gone"
        say(f"untouched: {what}")
    history = pod.exec("reaper", "/usr/bin/reaper", "history", "--format", "json")
    assert history.stdout.count('"outcome":"exited"') == 1, history.stdout + history.stderr
    fetch = "import sys, urllib.request; sys.stdout.write(urllib.request.urlopen(sys.argv[1], timeout=5).read().decode())"
    scrape = subprocess.run([*net, "python3", "-c", fetch, f"http://{ADDRESS}:{PORT}/metrics"], capture_output=True, text=True)
    assert 'reaper_terminated_total{outcome="exited",profile="sprout"} 1' in scrape.stdout, scrape.stdout + scrape.stderr
    say(f"metrics are served on the pod's address: {len(scrape.stdout.splitlines())} lines")
    doctor = pod.exec("reaper", "reaper", "doctor")
    assert doctor.returncode == 0 and "self-test a process of our own was orphaned" in doctor.stdout, doctor.stdout
    say("`reaper doctor` tries the whole way there, on a process of its own")
    log = [json.loads(line) for line in pod.log("reaper").splitlines()]
    assert log, "the shipped config asks for a log of one object a line"
    started = time.monotonic()
    pod.run("kill", "reaper", "TERM")
    until("SIGTERM ends the sidecar", lambda: pod.state("reaper")["status"] in ("stopped", "gone"), STOP_LIMIT)
    say(f"SIGTERM ended it within {time.monotonic() - started:.2f} s")
    for name in ("workload", "other", "agent"):
        pod.run("delete", "-f", name)
    for pid in spared.values():
        if pid != pod.pause and pid in pod.processes():
            os.kill(pid, 9)  # ours: left behind by the container that this scene started


def mounted_config(pod, root, rootfs, config):
    """A ConfigMap as the kubelet mounts it: its folder is writable by all, a single file of it (`subPath`) is not."""
    folder = pod.work / "configmap"
    folder.mkdir()
    (folder / "config.toml").write_text('grace = "45s"\n')
    (folder / "config.toml").chmod(0o444)
    folder.chmod(0o777)
    bind = lambda source, where: [{"destination": where, "type": "bind", "source": str(source), "options": ["bind", "ro"]}]
    how = {"uid": 1000, "gid": 1000, "env": config["Env"], "writable": ["/state", "/runtime"]}
    alone = pod.once("file", rootfs, command(config, "config", "show"), **how,
                     mounts=bind(folder / "config.toml", "/etc/reaper/config.toml"))
    assert alone.returncode == 0 and "45s" in alone.stdout, alone
    whole = pod.once("folder", rootfs, command(config, "config", "show"), **how, mounts=bind(folder, "/etc/reaper"))
    assert whole.returncode == 3 and "subPath" in whole.stderr, whole
    say("a config that is mounted alone is read; one in a ConfigMap's folder is refused, with the way out: exit 3")


def first_process(pod, root, rootfs, config):
    """`docker run reaper` without a namespace to share: it is PID 1, and alone."""
    alone, pod.pause = pod.pause, None
    try:
        how = {"uid": 1000, "gid": 1000, "env": config["Env"], "writable": ["/state", "/runtime"]}
        scan = pod.once("alone", rootfs, command(config, "scan", "--dry-run"), **how)
        assert scan.returncode == 4 and "alone in its PID namespace" in scan.stderr, scan
        assert "shareProcessNamespace" in scan.stderr, scan.stderr
        say("alone in a namespace of its own, `reaper scan` says so, with the remedy: exit 4")
        pod.start("first", rootfs, command(config), **how)
    finally:
        pod.pause = alone
    probe = lambda what: pod.exec("first", "/usr/bin/reaper", "status", "--check", what)
    until("it is alive", lambda: probe("live").returncode == 0)
    ready = probe("ready")
    assert ready.returncode == 4 and "alone" in ready.stderr, ready
    say("and the service is alive and not ready")
    pod.run("kill", "first", "TERM")
    until("SIGTERM ends PID 1", lambda: pod.state("first")["status"] in ("stopped", "gone"), STOP_LIMIT)
    mounted_config(pod, root, rootfs, config)
    bare = pod.once("bare", rootfs, command(config, "run"), uid=1000, gid=1000, env=config["Env"])
    assert bare.returncode == 4 and "/runtime" in bare.stderr and "hint:" in bare.stderr, bare
    say(f"without a volume on a read-only root it says what to mount: {bare.stderr.splitlines()[0]}")
