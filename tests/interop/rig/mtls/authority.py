"""Certificates in files, from a development authority in a process of its own."""

import json
from pathlib import Path
from typing import Any

from rig.place import binary
from rig.process import Child
from rig.resources import TYPES

SECONDS = 20.0
SECRET = TYPES + "envoy.extensions.transport_sockets.tls.v3.Secret"


class Authority:
    """The process, and the folder that it writes to."""

    def __init__(self, folder: Path, log: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._child = Child([str(binary("authority")), str(folder)], log)
        self._child.wait(0, lambda line: line == "ready", SECONDS)
        self._secret("ca", {"validation_context": {"trusted_ca": self.file("ca.pem")}})

    def issue(self, name: str, kind: str, path: str, seconds: int = 3600) -> int:
        """A certificate for the workload at a path, or a bad one; its serial number."""
        start = self._child.count()
        self._child.send(f"{name} {kind} {path} {seconds}")
        wanted = f"issued {name} "
        _, line = self._child.wait(start, lambda it: it.startswith(wanted), SECONDS)
        pair = {"certificate_chain": ".pem", "private_key": ".key"}
        # Envoy is given both in one file, so that it sees either the old ones or the new ones.
        texts = {
            key: {"inline_string": (self.folder / f"{name}{end}").read_text()}
            for key, end in pair.items()
        }
        self._secret(name, {"tls_certificate": texts})
        return int(line.removeprefix(wanted))

    def provider(self, name: str, *domains: str) -> dict[str, Any]:
        """A certificate provider of a gRPC bootstrap, whose authority is that of these domains."""
        files = {
            "certificate_file": str(self.folder / f"{name}.pem"),
            "private_key_file": str(self.folder / f"{name}.key"),
            "ca_certificate_file": str(self.folder / "ca.pem"),
            "refresh_interval": "1s",
        }
        if domains:
            bundles = self.folder / "bundles.json"
            pem = (self.folder / "ca.pem").read_text()
            der = "".join(it for it in pem.splitlines() if not it.startswith("-"))
            bundle = {"keys": [{"use": "x509-svid", "kty": "EC", "x5c": [der]}]}
            bundles.write_text(json.dumps({"trust_domains": dict.fromkeys(domains, bundle)}))
            files["spiffe_trust_bundle_map_file"] = str(bundles)
        return {"plugin_name": "file_watcher", "config": files}

    def file(self, name: str) -> dict[str, Any]:
        """A file, as Envoy has it."""
        return {"filename": str(self.folder / name)}

    def sds(self, name: str) -> dict[str, Any]:
        """Where Envoy finds a certificate, or by the name `ca` whom to trust."""
        source = {"path": str(self.folder / f"{name}.sds.json")}
        config = {"path_config_source": source, "resource_api_version": "V3"}
        return {"name": name, "sds_config": config}

    def stop(self) -> None:
        """Ends it."""
        self._child.stop()

    def _secret(self, name: str, content: dict[str, Any]) -> None:
        secret = {"@type": SECRET, "name": name, **content}
        new = self.folder / f"{name}.new"
        new.write_text(json.dumps({"resources": [secret]}))
        new.rename(self.folder / f"{name}.sds.json")
