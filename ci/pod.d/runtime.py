"""Containers of one pod by an OCI runtime alone (runc or crun): the namespaces that a kubelet would make them share."""

import json
import os
import pathlib
import subprocess
import time

# The default capabilities of Docker and containerd.
DOCKER = ("CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE SYS_CHROOT KILL "
          "AUDIT_WRITE").split()
PATIENCE = 20


def until(what, condition, patience=PATIENCE):
    """Waits until the condition returns something true, and returns it."""
    end = time.monotonic() + patience
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError(f"not within {patience} s: {what}")
        time.sleep(0.02)


class Pod:
    """A pause container, and the containers that join its namespaces."""

    def __init__(self, tool, work, cgroup):
        self.tool, self.work, self.cgroup = tool, pathlib.Path(work), cgroup
        self.containers = []
        self.pause = None

    def run(self, *args, **how):
        command = [self.tool, "--root", str(self.work / "runtime"), *args]
        return subprocess.run(command, text=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=60, **how)

    def bundle(self, name, root, args, uid=0, gid=0, caps=(), ambient=False, env=(), mounts=(), writable=(), seccomp=None):
        """Writes a container's config.json. As Kubernetes does it, capabilities that are added to a user other than root
        are in its bounding set only; `ambient` gives it them for real."""
        caps = [f"CAP_{cap}" for cap in caps]
        has = caps if uid == 0 or ambient else []
        shared = ("pid", "network", "ipc")
        path = lambda kind: f"/proc/{self.pause}/ns/{ {'network': 'net'}.get(kind, kind)}"
        namespaces = [{"type": kind} for kind in ("mount", "uts", "cgroup")]
        namespaces += [{"type": kind, **({"path": path(kind)} if self.pause else {})} for kind in shared]
        volume = lambda where: {"destination": where, "type": "tmpfs", "source": "tmpfs",
                                # As the kubelet makes an emptyDir: owned by root, writable by all.
                                "options": ["nosuid", "nodev", "noexec", "mode=0777", "size=64m"]}
        process = {"terminal": False, "user": {"uid": uid, "gid": gid}, "args": args, "cwd": "/", "env": list(env),
                   "noNewPrivileges": True,
                   "capabilities": {"bounding": caps, "permitted": has, "effective": has,
                                    "inheritable": caps if ambient else [], "ambient": caps if ambient else []}}
        spec = {"ociVersion": "1.0.2", "hostname": name, "root": {"path": str(root), "readonly": True}, "process": process,
                "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"},
                           {"destination": "/dev", "type": "tmpfs", "source": "tmpfs"},
                           *map(volume, writable), *mounts],
                "linux": {"namespaces": namespaces, "cgroupsPath": f"{self.cgroup}/{name}",
                          **({"seccomp": seccomp} if seccomp else {})}}
        where = self.work / "bundles" / name
        where.mkdir(parents=True, exist_ok=True)
        (where / "config.json").write_text(json.dumps(spec))
        return where

    def start(self, name, *args, **how):
        """Starts a container and leaves it running; its pid as the machine sees it."""
        where = self.bundle(name, *args, **how)
        log = open(self.work / f"{name}.log", "w")
        command = [self.tool, "--root", str(self.work / "runtime"), "run", "-d", "-b", str(where), name]
        self.containers.append(name)
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, timeout=60)
        if done.returncode != 0:
            raise AssertionError(f"{name} does not start: {self.log(name)}")
        pid = self.state(name)["pid"]
        if self.pause is None:
            self.pause = pid
        return pid

    def once(self, name, *args, **how):
        """Runs a container to its end."""
        where = self.bundle(name, *args, **how)
        done = self.run("run", "-b", str(where), name)
        self.run("delete", "-f", name)
        return done

    def exec(self, name, *args):
        """Runs a command in a running container, with the container's own user, environment and rights."""
        process = json.loads((self.work / "bundles" / name / "config.json").read_text())["process"]
        spec = self.work / "process.json"
        spec.write_text(json.dumps({**process, "args": list(args)}))
        return self.run("exec", "--process", str(spec), name)

    def state(self, name):
        said = self.run("state", name)
        return json.loads(said.stdout) if said.returncode == 0 else {"status": "gone", "pid": 0}

    def log(self, name):
        return (self.work / f"{name}.log").read_text()

    def end(self):
        """Ends the containers that this pod started, the pause last."""
        for name in reversed(self.containers):
            self.run("delete", "-f", name)

    def processes(self):
        """The living processes of the pod: {pid: (name, pid inside, parent, state)}, by the machine's pids."""
        ours = os.readlink(f"/proc/{self.pause}/ns/pid")
        found = {}
        for entry in os.listdir("/proc"):
            try:
                if not entry.isdigit() or os.readlink(f"/proc/{entry}/ns/pid") != ours:
                    continue
                status = dict(line.split(":\t", 1) for line in pathlib.Path(f"/proc/{entry}/status").read_text().splitlines()
                              if ":\t" in line)
                found[int(entry)] = (status["Name"], int(status["NSpid"].split()[-1]), int(status["PPid"]), status["State"][0])
            except (OSError, KeyError):
                continue  # it has ended meanwhile
        return found

    def find(self, name):
        """The living processes of this name that have begun to run it."""
        living = {pid: one for pid, one in self.processes().items() if one[0] == name and one[3] != "Z"}
        return [pid for pid in living if not os.readlink(f"/proc/{pid}/exe").endswith("/agent")]
