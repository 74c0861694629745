"""The image as an engine builds it, beside the one that is made without: what is in them must be the same."""

import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import tarfile


def contents(layout):
    """The config and the files of an image in the OCI layout."""
    read = lambda of: json.loads(blob(of).read_text())
    blob = lambda of: layout / "blobs" / of["digest"].replace(":", "/")
    manifest = read(json.loads((layout / "index.json").read_text())["manifests"][0])
    config = read(manifest["config"])
    config["config"].get("Labels", {}).pop("io.buildah.version", None)
    files = {}
    for layer in manifest["layers"]:
        with tarfile.open(blob(layer)) as tar:
            for entry in tar:
                data = tar.extractfile(entry).read() if entry.isreg() else b""
                name = entry.name.strip("./")
                if name:
                    files[name] = (entry.type, oct(entry.mode & 0o7777), entry.uid, entry.gid, hashlib.sha256(data).hexdigest())
    wanted = ("Env", "Entrypoint", "Cmd", "User", "Labels", "StopSignal")
    return {**{key: config["config"].get(key) for key in wanted}, "machine": (config["architecture"], config["os"])}, files


def same_image(made):
    """Compares what `packaging/container/image` made with what buildah builds from the same folder."""
    if not shutil.which("buildah"):
        print("NOT CHECKED: that an engine builds the same image: no buildah here")
        return
    work = pathlib.Path(made).parent / "buildah"
    where = ["--root", work / "root", "--runroot", work / "run", "--storage-driver", "vfs"]
    for step in (["bud", "--isolation", "chroot", "-q", "-f", made / "Containerfile", "-t", "reaper", made],
                 ["push", "-q", "reaper", f"oci:{work}/oci:latest"]):
        done = subprocess.run(["buildah", *where, *step], capture_output=True, text=True)
        assert done.returncode == 0, f"buildah {step[0]}: {done.stderr}"
    (config, files), (theirs, their_files) = contents(made / "oci"), contents(work / "oci")
    assert config == theirs, f"the images' configs differ:\n{config}\n{theirs}"
    assert files == their_files, f"the images' files differ:\n{files}\n{their_files}"
    size = os.path.getsize(made / "reaper.oci.tar")
    print(f"ok: buildah builds the same image from the same files: {', '.join(sorted(files))}; {size / 1e6:.1f} MB packed")
