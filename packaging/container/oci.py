"""Makes an image in the OCI layout from a Containerfile and its context, both in one directory: `oci.py DIR`;
`oci.py --machine BINARY` says what a static program is for.

For machines without a container engine. It knows the few instructions that an image of one file needs and refuses all
others, so that the Containerfile stays the one place where the image is described. Times and owners are fixed: the same
files and the same SOURCE_DATE_EPOCH give the same image.
"""

import datetime
import gzip
import hashlib
import io
import json
import os
import pathlib
import shlex
import struct
import sys
import tarfile

MACHINES = {62: "amd64", 183: "arm64"}  # e_machine of the ELF header
PT_INTERP = 3
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


def fail(what, hint):
    sys.exit(f"error: {what}\nhint: {hint}")


def instructions(text):
    """(line, NAME, argument), comments gone and continued lines joined."""
    joined, start = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("#") or not (line.strip() or joined):
            continue
        start = start if joined else number
        joined += line.strip()
        if joined.endswith("\\"):
            joined = joined[:-1] + " "
            continue
        name, _, argument = joined.partition(" ")
        yield start, name.upper(), argument.strip()
        joined = ""


def words(number, argument):
    try:
        found = json.loads(argument)
    except ValueError:
        fail(f"Containerfile:{number}: `{argument}` is no JSON list", "there is no shell in this image: write [\"/a\", \"b\"]")
    return found


def read(directory):
    """The config of the image, and what is copied where."""
    config, copies = {}, []
    for number, name, argument in instructions((directory / "Containerfile").read_text()):
        if name == "FROM":
            if argument != "scratch":
                fail(f"Containerfile:{number}: FROM {argument}", "only `FROM scratch` can be made without an engine")
        elif name == "COPY":
            source, target = shlex.split(argument)
            if not (directory / source).exists():
                fail(f"Containerfile:{number}: there is no `{source}` in {directory}", "`packaging/container/image` lays it out")
            copies.append((directory / source, target))
        elif name == "ENV":
            config.setdefault("Env", []).extend(shlex.split(argument))
        elif name == "LABEL":
            config.setdefault("Labels", {}).update(pair.split("=", 1) for pair in shlex.split(argument))
        elif name == "USER":
            config["User"] = argument
        elif name == "STOPSIGNAL":
            config["StopSignal"] = argument
        elif name in ("ENTRYPOINT", "CMD"):
            config[name.capitalize()] = words(number, argument)
        else:
            fail(f"Containerfile:{number}: {name} is not known here", "teach it to packaging/container/oci.py, or leave it out")
    return config, copies


def layer(copies):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for source, target in copies:
            for path in sorted(source.rglob("*")):
                entry = tar.gettarinfo(path, (pathlib.PurePosixPath(target.lstrip("/")) / path.relative_to(source)).as_posix())
                entry.uid = entry.gid = entry.mtime = 0
                entry.uname = entry.gname = ""
                with open(path, "rb") if entry.isreg() else io.BytesIO() as content:
                    tar.addfile(entry, content if entry.isreg() else None)
    return out.getvalue()


def architecture(binary):
    """What machine a program is for; refuses one that needs a loader, because the image has none (elf(5), 64 bit)."""
    data = binary.read_bytes()
    machine = struct.unpack_from("<H", data, 18)[0] if data[:5] == b"\x7fELF\x02" else None
    if machine not in MACHINES:
        fail(f"`{binary}` is for no machine that is known here", "give a Linux binary for x86_64 or aarch64")
    [at], (size, count) = struct.unpack_from("<Q", data, 32), struct.unpack_from("<HH", data, 54)
    if PT_INTERP in (struct.unpack_from("<I", data, at + size * number)[0] for number in range(count)):
        build = "cargo build --release --target x86_64-unknown-linux-gnu"
        fail(f"`{binary}` is not static: it needs a loader, which the image has not",
             f"RUSTFLAGS='-C target-feature=+crt-static' {build}")
    return MACHINES[machine]


def main(directory):
    oci = directory / "oci"
    blobs = oci / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def blob(data, kind):
        digest = hashlib.sha256(data).hexdigest()
        (blobs / digest).write_bytes(data)
        return {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(data)}

    def document(value, kind):
        return blob(json.dumps(value, separators=(",", ":")).encode(), kind)

    config, copies = read(directory)
    machine = architecture(directory / "rootfs/usr/bin/reaper")
    tar = layer(copies)
    packed = blob(gzip.compress(tar, mtime=0), LAYER)
    # https://reproducible-builds.org/specs/source-date-epoch/
    seconds = int(os.environ.get("SOURCE_DATE_EPOCH", "0"))
    epoch = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    image = {
        "created": epoch,
        "architecture": machine,
        "os": "linux",
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(tar).hexdigest()}"]},
        "history": [{"created": epoch, "created_by": "packaging/container/image"}],
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": document(image, "application/vnd.oci.image.config.v1+json"),
        "layers": [packed],
    }
    entry = document(manifest, manifest["mediaType"])
    entry["platform"] = {"architecture": machine, "os": "linux"}
    entry["annotations"] = {"org.opencontainers.image.ref.name": "latest", "io.containerd.image.name": "reaper:latest"}
    (oci / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    (oci / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    with tarfile.open(directory / "reaper.oci.tar", "w") as archive:
        for path in sorted(oci.rglob("*")):
            info = archive.gettarinfo(path, path.relative_to(oci).as_posix())
            info.uid = info.gid = info.mtime = 0
            info.uname = info.gname = ""
            with open(path, "rb") if info.isreg() else io.BytesIO() as content:
                archive.addfile(info, content if info.isreg() else None)


if __name__ == "__main__":
    os.umask(0o022)
    if sys.argv[1] == "--machine":
        print(architecture(pathlib.Path(sys.argv[2])))
    else:
        main(pathlib.Path(sys.argv[1]))
