#!/usr/bin/env python3
"""Makes an OCI archive with one layer from files, without an engine; of the same files come the same bytes."""

import argparse
import hashlib
import io
import json
import os
import platform
import tarfile

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def layer_of(files, links):
    """A tar of the files ((source, path) each) and symbolic links ((path, target) each), with the folders they need."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        folders = set()

        def entry(path, kind, mode, **more):
            folder = os.path.dirname(path)
            if folder and folder not in folders:
                folders.add(folder)
                tar.addfile(entry(folder, tarfile.DIRTYPE, 0o755))
            made = tarfile.TarInfo(path)
            made.type, made.mode = kind, mode
            for name, value in more.items():
                setattr(made, name, value)
            return made

        for source, path in files:
            with open(source, "rb") as handle:
                data = handle.read()
            tar.addfile(entry(path.strip("/"), tarfile.REGTYPE, 0o755, size=len(data)), io.BytesIO(data))
        for path, target in links:
            tar.addfile(entry(path.strip("/"), tarfile.SYMTYPE, 0o777, linkname=target))
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


def pair(text):
    one, _, other = text.partition(":")
    return one, other


if __name__ == "__main__":
    cli = argparse.ArgumentParser(description=__doc__)
    cli.add_argument("archive")
    cli.add_argument("name", metavar="NAME:TAG")
    cli.add_argument("--file", action="append", default=[], type=pair, metavar="FROM:TO")
    cli.add_argument("--link", action="append", default=[], type=pair, metavar="PATH:TARGET")
    cli.add_argument("--entry", action="append", default=[], metavar="ARGUMENT")
    args = cli.parse_args()
    write_archive(args.archive, args.name, layer_of(args.file, args.link), args.entry)
