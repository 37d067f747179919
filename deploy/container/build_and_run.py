"""Builds the ``api`` image and runs it the way production should, on a machine without a container engine.

As root: ``python3.11 deploy/container/build_and_run.py``. The first run makes a Python base image from Debian's
packages (debootstrap); later runs find it and every unchanged layer in the cache folder. The image is built by buildah
and started by runc, the runtime beneath Docker and containerd: non-root user, read-only root file system, no
capability, no new privileges, a process-id namespace of its own, and nothing but loopback. Then it must answer, refuse
to be written to, pass its own health check, and leave in time on SIGTERM. All that was started is ended.
"""

import argparse
import dataclasses
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder_pip import builder_secrets
from image_run import ContainerError, RunFacts, run_image

ROOT = Path(__file__).resolve().parents[2]
_TOOLS = {"buildah": "buildah", "debootstrap": "debootstrap", "runc": "runc"}
_SUITE = "bookworm"
# python3-distutils by name: debootstrap does not look for who provides the virtual package that python3-venv needs.
_PACKAGES = ("python3", "python3-distutils", "python3-venv", "ca-certificates")
_UNUSED = ("./var/cache/apt/archives/*", "./var/lib/apt/lists/*", "./usr/share/doc", "./usr/share/locale", "./dev/*")
_BASE = "localhost/llm-service-base"
_IMAGE = "localhost/llm-service:api"
_COMPILERS = ("cc", "c++", "gcc", "g++", "clang", "ld", "as", "make", "cmake", "rustc", "nvcc")


@dataclass(frozen=True, slots=True)
class Report:
    """What was seen.

    Attributes:
        base_seconds: Making or finding the base image.
        build_seconds: Building the target.
        image_mb: The image with its base.
        config: The image's own configuration, as Docker writes it.
        compilers: Compilers and linkers found in the image's PATH.
        pip_cache: Whether a pip cache lies in the image.
        run: What the running container showed.
    """

    base_seconds: float
    build_seconds: float
    image_mb: int
    config: dict[str, Any]
    compilers: list[str]
    pip_cache: bool
    run: RunFacts


def main() -> int:
    """Run all steps; 0 if each could be done. tests/container judges what they saw."""
    options = _options()
    started = time.monotonic()
    try:
        _require_root()
        _require_model(options.models, options.model)
        with _locked(options.cache):
            report = _steps(options)
    except ContainerError as error:
        print(f"container: {error}", file=sys.stderr)
        return 1
    if options.report:
        options.report.write_text(json.dumps(dataclasses.asdict(report), indent=1), "utf-8")
    run = report.run
    stops = ", ".join(f"{when} {stop.seconds:.1f} s (status {stop.exit_status})" for when, stop in run.stops.items())
    print(
        f"container: ok in {time.monotonic() - started:.0f} s | base {report.base_seconds:.0f} s, "
        f"build {report.build_seconds:.0f} s, image {report.image_mb} MB | uid {run.uid}, root read-only, "
        f"health 200 after {run.ready_seconds:.1f} s, answer in {run.answer_seconds:.1f} s | SIGTERM: {stops}"
    )
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--cache",
        type=Path,
        default=Path(os.environ.get("CONTAINER_CACHE") or ROOT / ".cache" / "container"),
        help="folder for the base image and the layers (CONTAINER_CACHE)",
    )
    parser.add_argument("--models", type=Path, default=ROOT / "models", help="mounted read-only at /models")
    parser.add_argument("--model", default="smollm2-135m", help="EMBEDDED_MODEL")
    parser.add_argument("--mirror", default=os.environ.get("DEBIAN_MIRROR", ""), help="for debootstrap (DEBIAN_MIRROR)")
    parser.add_argument("--report", type=Path, help="write what was seen to this file, as JSON")
    return parser.parse_args()


def _steps(options: argparse.Namespace) -> Report:
    with _step("tools"):
        _install_tools()
    buildah = [
        *("buildah", "--root", str(options.cache / "storage")),
        *("--runroot", str(options.cache / "runroot"), "--storage-driver", "overlay"),
    ]
    with _step("base image") as base_time:
        base = _base_image(buildah, options.cache, options.mirror)
    with _step("build of target api") as build_time:
        _build(buildah, base)
    image = json.loads(_output([*buildah, "inspect", "--type", "image", _IMAGE]))
    config = image["Docker"]["config"]
    with _mounted(buildah) as rootfs, _step("run"):
        run = run_image(rootfs, config, models=options.models.resolve(), model=options.model)
        return Report(
            base_seconds=base_time[0],
            build_seconds=build_time[0],
            image_mb=int(_output(["du", "-sxm", str(rootfs)]).split()[0]),
            config=config,
            compilers=_found(rootfs, config["Env"]),
            pip_cache=any((rootfs / folder).exists() for folder in ("root/.cache", "tmp/.cache")),
            run=run,
        )


def _require_root() -> None:
    if os.geteuid() != 0:
        raise ContainerError(
            "This needs root: debootstrap, buildah's chroot isolation and runc set up file systems and namespaces. "
            "Run it with sudo; the service itself runs as an ordinary user all the same."
        )


def _require_model(models: Path, model: str) -> None:
    if not (models / f"{model}.gguf").is_file():
        raise ContainerError(f"{models}/{model}.gguf is missing. Fetch it with: llm-service fetch {model}")


@contextmanager
def _locked(cache: Path) -> Generator[None, None, None]:
    """One run at a time in a cache folder: two builds would tag and unmount each other's images."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _step(name: str) -> Generator[list[float], None, None]:
    """Say what goes on and for how long; the list holds the seconds when it is over."""
    print(f"container: {name} ...", flush=True)
    started = time.monotonic()
    took: list[float] = []
    yield took
    took.append(round(time.monotonic() - started, 1))
    print(f"container: {name}: {took[0]} s", flush=True)


def _install_tools() -> None:
    missing = [package for tool, package in _TOOLS.items() if shutil.which(tool) is None]
    if not missing:
        return
    if shutil.which("apt-get") is None:
        raise ContainerError(f"{', '.join(missing)} must be installed; there is no apt-get here to do it.")
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    _quietly(["apt-get", "update"], environment)
    _quietly(["apt-get", "install", "--yes", "--no-install-recommends", *missing], environment)


def _base_image(buildah: Sequence[str], cache: Path, mirror: str) -> str:
    """The name of the base image; made anew only if what goes into it has changed."""
    recipe = hashlib.sha256(repr((_SUITE, _PACKAGES, _UNUSED)).encode()).hexdigest()[:12]
    name = f"{_BASE}:{recipe}"
    if subprocess.run([*buildah, "inspect", "--type", "image", name], capture_output=True, check=False).returncode == 0:
        return name
    rootfs = cache / "rootfs"
    archive = cache / "base.tar"
    shutil.rmtree(rootfs, ignore_errors=True)
    command = ["debootstrap", "--variant=minbase", f"--include={','.join(_PACKAGES)}", _SUITE, str(rootfs)]
    _quietly(command + ([mirror] if mirror else []))
    _quietly(["tar", "-C", str(rootfs), *(f"--exclude={path}" for path in _UNUSED), "-cf", str(archive), "."])
    shutil.rmtree(rootfs)
    container = _output([*buildah, "from", "scratch"]).strip()
    try:
        _quietly([*buildah, "add", "--quiet", container, str(archive), "/"])
        _quietly([*buildah, "commit", "--quiet", "--format", "docker", container, name])
    finally:
        _quietly([*buildah, "rm", container])
        archive.unlink()
    return name


def _build(buildah: Sequence[str], base: str) -> None:
    """Build the target with the package index and certificates that this machine uses."""
    with tempfile.TemporaryDirectory(prefix="container-") as folder:
        secrets = builder_secrets(Path(folder))
        _quietly(
            [
                *buildah,
                *("build", "--isolation", "chroot", "--format", "docker", "--layers", "--pull-never"),
                *("--target", "api", "--build-arg", f"PYTHON_IMAGE={base}", "--tag", _IMAGE),
                *(f"--secret=id={name},src={path}" for name, path in secrets.items()),
                str(ROOT),
            ]
        )


@contextmanager
def _mounted(buildah: Sequence[str]) -> Generator[Path, None, None]:
    """The image's file system, as a folder."""
    container = _output([*buildah, "from", "--pull-never", _IMAGE]).strip()
    try:
        yield Path(_output([*buildah, "mount", container]).strip())
    finally:
        with suppress(ContainerError):
            _quietly([*buildah, "umount", container])
        _quietly([*buildah, "rm", container])


def _found(rootfs: Path, environment: Sequence[str]) -> list[str]:
    """The compilers in the image's PATH; links are looked at, not followed: they would lead out of the image."""
    folders = next(item for item in environment if item.startswith("PATH=")).removeprefix("PATH=").split(":")
    return [name for name in _COMPILERS for folder in folders if os.path.lexists(rootfs / folder.lstrip("/") / name)]


def _quietly(command: Sequence[str], environment: dict[str, str] | None = None) -> None:
    """Run a command whose output matters only if it fails."""
    done = subprocess.run(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        tail = "\n".join(done.stdout.splitlines()[-30:])
        raise ContainerError(f"{' '.join(command[:8])} ... failed with status {done.returncode}:\n{tail}")


def _output(command: Sequence[str]) -> str:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ContainerError(f"{' '.join(command)} failed with status {done.returncode}: {done.stderr.strip()}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
