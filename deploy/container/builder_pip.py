"""The package index and certificates that pip uses on this machine, as secrets for an image build."""

import shlex
import ssl
import subprocess
import sys
from pathlib import Path

_KEYS = ("index-url", "extra-index-url", "trusted-host", "proxy", "timeout")
_SOURCES = ("global", "user", "site", ":env:")  # pip's own order: the later is stronger


def builder_secrets(folder: Path) -> dict[str, Path]:
    """The files for the secrets ``pip_conf`` and ``ca_bundle`` of the Dockerfile, the first in ``folder``.

    Folders of this machine (file: indexes) are left out: a build cannot see them.
    """
    settings = _pip_settings()
    lines = [f"{key} = {settings[key]}" for key in _KEYS if key in settings]
    secrets = {"pip_conf": folder / "pip.conf"}
    bundle = settings.get("cert") or ssl.get_default_verify_paths().cafile
    if bundle and Path(bundle).is_file():
        secrets["ca_bundle"] = Path(bundle)
        lines.append("cert = /run/secrets/ca_bundle")
    secrets["pip_conf"].touch(mode=0o600)  # an index address may hold a password
    secrets["pip_conf"].write_text("\n".join(["[global]", *lines, ""]), "utf-8")
    return secrets


def _pip_settings() -> dict[str, str]:
    """What ``pip config list`` says, the stronger source over the weaker."""
    done = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False)
    found: dict[tuple[str, str], str] = {}
    for line in done.stdout.splitlines():
        name, separator, value = line.partition("=")
        source, _, key = name.rpartition(".")
        if separator:
            found[source, key] = _without_folders(" ".join(shlex.split(value)))
    return {key: found[source, key] for source in _SOURCES for key in (*_KEYS, "cert") if found.get((source, key))}


def _without_folders(value: str) -> str:
    return " ".join(part for part in value.split() if not part.startswith("file:"))
