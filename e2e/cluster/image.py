#!/usr/bin/env python3
"""Makes an OCI archive with one layer of programs, without an engine; of the same files come the same bytes."""

import argparse
import hashlib
import io
import json
import os
import platform
import tarfile

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def layer_of(files):
    """A tar of the programs, each as (source, path), with the folders they need."""
    out, folders = io.BytesIO(), set()
    with tarfile.open(fileobj=out, mode="w") as tar:

        def add_folder(path):
            if path and path not in folders:
                add_folder(os.path.dirname(path))
                folders.add(path)
                folder = tarfile.TarInfo(path)
                folder.type, folder.mode = tarfile.DIRTYPE, 0o755
                tar.addfile(folder)

        for source, path in files:
            path = path.strip("/")
            add_folder(os.path.dirname(path))
            with open(source, "rb") as handle:
                data = handle.read()
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(data), 0o755
            tar.addfile(entry, io.BytesIO(data))
    return out.getvalue()


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def descriptor(kind, data, **more):
    return {"mediaType": "application/vnd.oci.image." + kind, "digest": digest(data), "size": len(data), **more}


def write_archive(path, name, layer, entrypoint):
    architecture = ARCHITECTURES[platform.machine()]
    config = json.dumps({
        "architecture": architecture,
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [digest(layer)]},
        "config": {"Entrypoint": entrypoint, "Env": ["PATH=/bin"]},
    }).encode()
    manifest = json.dumps({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": descriptor("config.v1+json", config),
        "layers": [descriptor("layer.v1.tar", layer)],
    }).encode()
    index = json.dumps({
        "schemaVersion": 2,
        "manifests": [descriptor(
            "manifest.v1+json", manifest,
            platform={"os": "linux", "architecture": architecture},
            # containerd goes by the first, others by the second.
            annotations={"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name},
        )],
    }).encode()
    blobs = [("blobs/" + digest(data).replace(":", "/"), data) for data in (layer, config, manifest)]
    with tarfile.open(path, "w") as archive:
        for member, data in [("oci-layout", b'{"imageLayoutVersion":"1.0.0"}'), ("index.json", index), *blobs]:
            made = tarfile.TarInfo(member)
            made.size = len(data)
            archive.addfile(made, io.BytesIO(data))


if __name__ == "__main__":
    cli = argparse.ArgumentParser(description=__doc__)
    cli.add_argument("archive")
    cli.add_argument("name", metavar="NAME:TAG")
    cli.add_argument("--file", action="append", default=[], type=lambda text: text.split(":", 1), metavar="FROM:TO")
    cli.add_argument("--entry", action="append", default=[], metavar="ARGUMENT")
    args = cli.parse_args()
    write_archive(args.archive, args.name, layer_of(args.file), args.entry)
