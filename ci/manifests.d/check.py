"""Checks the rendered manifests and the compose file: `check.py TREE REAPER COMPOSE-SCHEMA`.

The schemas refuse what Kubernetes and compose would not know (a misspelt field is dropped in silence by a server). The
rest are this product's own needs: without them everything is applied, and nothing is ever seen or ended.
"""

import json
import pathlib
import re
import subprocess
import sys
import tempfile

import jsonschema
import kubernetes_validate
import yaml

# The first version with native sidecars, and the newest that is known here.
VERSIONS = ["1.29", "1.37"]
SEE = {"KILL", "SYS_PTRACE", "DAC_READ_SEARCH"}
tree, reaper, compose_schema = (pathlib.Path(argument).resolve() for argument in sys.argv[1:])
faults = []


def fault(where, what):
    faults.append(f"fault: {where}: {what}")


# The operator's resource is in no schema of Kubernetes: its fields, as far as they are used here.
MONITOR = {
    "": {"apiVersion", "kind", "metadata", "spec"},
    "spec": {"selector", "podMetricsEndpoints", "namespaceSelector", "jobLabel"},
    "spec.selector": {"matchLabels", "matchExpressions"},
    "spec.podMetricsEndpoints.": {"port", "path", "interval", "scrapeTimeout", "scheme", "relabelings", "metricRelabelings"},
}


def known_fields(where, value, table, path=""):
    if path in table:
        for name in set(value) - table[path]:
            fault(where, f"`{name}` is no field of {path or 'it'}")
    for name, inner in value.items():
        below = f"{path}.{name}".strip(".")
        for one in inner if isinstance(inner, list) else [inner]:
            if isinstance(one, dict):
                known_fields(where, one, table, below + ("." if isinstance(inner, list) else ""))


def image_env():
    text = (tree / "packaging/container/Containerfile").read_text()
    return dict(pair.split("=", 1) for line in re.findall(r"^ENV (.*)$", text, re.M) for pair in line.split())


def parses(where, arguments):
    """Whether the shipped program takes these words; help is printed instead of doing anything."""
    done = subprocess.run([reaper, *arguments, "--help"], capture_output=True, text=True)
    if done.returncode != 0:
        fault(where, f"reaper does not take `{' '.join(arguments)}`: {done.stderr.strip()}")


def is_config(where, text):
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
        file.write(text)
        file.flush()
        done = subprocess.run([reaper, "config", "check", "--config", file.name], capture_output=True, text=True)
    if done.returncode != 0 or "warning" in done.stderr:
        fault(where, f"the config is refused: {done.stderr.strip()}")


def need(where, condition, what):
    if not condition:
        fault(where, what)


def container_is_safe(where, pod, one):
    own, of_pod = one.get("securityContext") or {}, pod.get("securityContext") or {}
    effective = lambda key: own.get(key, of_pod.get(key))
    need(where, own.get("readOnlyRootFilesystem") is True, "its root can be written")
    need(where, own.get("allowPrivilegeEscalation") is False, "it may gain privileges")
    need(where, own.get("capabilities", {}).get("drop") == ["ALL"], "it does not drop all capabilities")
    need(where, (effective("seccompProfile") or {}).get("type") == "RuntimeDefault", "no seccomp profile")
    need(where, one.get("resources", {}).get("requests") and one["resources"].get("limits", {}).get("memory"), "no resources")
    parses(where, one["args"])
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        command = one.get(probe, {}).get("exec", {}).get("command", [])
        need(where, command[:1] == ["reaper"], f"{probe} does not ask reaper")
        parses(f"{where}: {probe}", command[1:])
    volumes = {volume["name"]: volume for volume in pod.get("volumes", [])}
    mounts = {mount["mountPath"]: mount for mount in one.get("volumeMounts", [])}
    for variable in ("XDG_STATE_HOME", "XDG_RUNTIME_DIR"):
        place = image_env()[variable]
        mount = mounts.get(place)
        need(where, mount and not mount.get("readOnly"), f"no volume that can be written on {place} ({variable} of the image)")
        need(where, mount and {"emptyDir", "hostPath"} & set(volumes.get(mount["name"], {})), f"{place} is on no volume of the pod")
    env = {entry["name"]: entry.get("value") for entry in one.get("env", [])}
    port = env.get("REAPER_METRICS_LISTEN", "").rpartition(":")[2]
    named = {str(port["containerPort"]): port["name"] for port in one.get("ports", [])}
    need(where, named.get(port) == "reaper-metrics", f"the port of the metrics, {port}, is not called reaper-metrics")
    return effective("runAsUser"), effective("runAsGroup"), own, port


def workload(where, document):
    template = document["spec"]["template"]
    pod = template["spec"]
    sidecars = [one for one in pod.get("initContainers", []) if one["name"] == "reaper"]
    mains = [one for one in pod["containers"] if one["name"] == "reaper"]
    need(where, sidecars or mains, "there is no container `reaper`")
    for one in sidecars + mains:
        user, group, own, port = container_is_safe(where, pod, one)
        note = template["metadata"].get("annotations", {})
        need(where, note.get("prometheus.io/port") == port, "the annotation names another port than the metrics are on")
        added = set(own.get("capabilities", {}).get("add", []))
        if one in sidecars:
            need(where, one.get("restartPolicy") == "Always", "not a native sidecar: restartPolicy is not Always")
            need(where, pod.get("shareProcessNamespace") is True, "shareProcessNamespace is not set: it would see only itself")
            need(where, not added, f"it has capabilities: {added}")
            for other in pod["containers"]:
                theirs = {**(pod.get("securityContext") or {}), **(other.get("securityContext") or {})}
                same = user is not None and group is not None and (user, group) == (theirs.get("runAsUser"), theirs.get("runAsGroup"))
                need(where, same, f"runAsUser and runAsGroup of reaper ({user}, {group}) are not those of `{other['name']}`")
        else:
            need(where, pod.get("hostPID") is True, "hostPID is not set")
            need(where, (user, group) == (0, 0), "it is not root: added capabilities are not ambient")
            need(where, added == SEE, f"its capabilities are {sorted(added)}, not {sorted(SEE)}")
            need(where, "--all-users" in one["args"], "it looks at root's processes only")


def overlay(directory):
    name = f"overlays/{directory.name}"
    rendered = subprocess.run(["kubectl", "kustomize", directory], capture_output=True, text=True)
    if rendered.returncode != 0 or rendered.stderr:
        fault(name, f"kustomize: {rendered.stderr.strip()}")
        return
    kinds = []
    for document in yaml.safe_load_all(rendered.stdout):
        kind = document["kind"]
        where = f"{name}: {kind} {document['metadata']['name']}"
        kinds.append(kind)
        if kind == "PodMonitor":
            known_fields(where, document, MONITOR)
            for endpoint in document["spec"].get("podMetricsEndpoints", []):
                need(where, endpoint.get("port") == "reaper-metrics", "it scrapes another port")
            continue
        for version in VERSIONS:
            try:
                kubernetes_validate.validate(document, version, strict=True)
            except kubernetes_validate.ValidationError as error:
                fault(where, f"Kubernetes {version}: {'.'.join(map(str, error.path))}: {error.message[:300]}")
        if kind in ("Deployment", "DaemonSet", "StatefulSet"):
            workload(where, document)
        if kind == "ConfigMap":
            is_config(where, document["data"]["config.toml"])
    print(f"checked: {name}: {', '.join(kinds)} (Kubernetes {' and '.join(VERSIONS)})")


def compose(path):
    where = path.name
    document = yaml.safe_load(path.read_text())
    schema = json.loads(compose_schema.read_text())
    for error in jsonschema.Draft7Validator(schema).iter_errors(document):
        fault(where, f"{'.'.join(map(str, error.path))}: {error.message[:300]}")
    services = document["services"]
    own = services["reaper"]
    beside = own.get("pid", "").removeprefix("service:")
    need(where, beside in services, f"reaper's `pid` names no service: {own.get('pid')}")
    need(where, own.get("user") and own["user"] == services.get(beside, {}).get("user"), "reaper runs as another `user`")
    need(where, own.get("cap_drop") == ["ALL"] and own.get("read_only") is True, "reaper has more than it needs")
    test = own.get("healthcheck", {}).get("test", [])
    need(where, test[:2] == ["CMD", "reaper"], "the health check does not ask reaper")
    parses(f"{where}: healthcheck", test[2:])
    places = [*own.get("tmpfs", []), *(volume.split(":")[1] for volume in own.get("volumes", []))]
    for variable in ("XDG_STATE_HOME", "XDG_RUNTIME_DIR"):
        need(where, image_env()[variable] in places, f"nothing that can be written on {image_env()[variable]}")
    print(f"checked: {where}")


def alerts(path):
    names = (tree / "tests/e2e/metrics/expected/names.txt").read_text()
    for rule in (rule for group in yaml.safe_load(path.read_text())["groups"] for rule in group["rules"]):
        for metric in re.findall(r"\breaper_\w+", rule["expr"]):
            need(f"{path.name}: {rule['alert']}", re.search(rf"\b{metric}\b", names), f"there is no metric {metric}")
        need("docs/operators.md", f"`{rule['alert']}`" in (tree / "docs/operators.md").read_text(), f"{rule['alert']} is not explained")
    print(f"checked: {path.name} against the names of the metrics")


found = sorted(path.parent for path in (tree / "packaging/kubernetes/overlays").glob("*/kustomization.yaml"))
need("packaging/kubernetes", len(found) >= 2, "there are no overlays")
for directory in found:
    overlay(directory)
compose(tree / "packaging/container/compose.yaml")
is_config("packaging/container/config.toml", (tree / "packaging/container/config.toml").read_text())
alerts(tree / "packaging/prometheus/alerts.yaml")
print("\n".join(faults) or "no faults")
sys.exit(bool(faults))
