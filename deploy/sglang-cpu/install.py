"""Installs SGLang 0.5.23 for the CPU into a virtual environment of its own.

    python3.11 deploy/sglang-cpu/install.py [--venv FOLDER]

A second run finds the stamp of the first and does nothing. A run that was interrupted is taken up where it
stopped.
"""

import argparse
import contextlib
import fcntl
import hashlib
import json
import platform
import shutil
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Generator
from pathlib import Path

import layout

PINS = layout.HERE / "requirements.txt"
TORCH_PIN = layout.HERE / "torch.txt"
GRAMMAR_PINS = layout.HERE / "grammar.txt"
STAMP = "sglang-cpu.json"
DISK_NEEDED_GB = 3

# Importing the server's two main modules needs every package of the lock and every stand-in.
_CHECK = """
import torch
assert torch.version.cuda is None, f"torch {torch.__version__} is a CUDA build"
import sglang.srt.entrypoints.http_server, sglang.srt.managers.scheduler
import llguidance, sglang, transformers, xgrammar
print(f"sglang {sglang.__version__}, torch {torch.__version__}, transformers {transformers.__version__}")
"""


def say(text: str) -> None:
    """Tells the user about progress, at once even when output goes to a file."""
    print(text, flush=True)


def fingerprint() -> str:
    """Names what an install was made from: its pins."""
    parts = (PINS.read_bytes(), TORCH_PIN.read_bytes(), GRAMMAR_PINS.read_bytes())
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def is_installed(venv: Path) -> bool:
    """Tells whether a folder holds a finished install of exactly these pins."""
    try:
        stamp = json.loads((venv / STAMP).read_text())
    except (OSError, ValueError):
        return False
    return stamp.get("fingerprint") == fingerprint() and layout.python_of(venv).exists()


def check_machine(venv: Path) -> None:
    """Refuses a machine on which the install is known to fail, before anything is downloaded.

    Args:
        venv: Where the install is to go.

    Raises:
        SetupError: With what is missing.
    """
    python = ".".join(platform.python_version_tuple()[:2])
    here = f"{platform.system()} {platform.machine()}, Python {python}"
    if here != "Linux x86_64, Python 3.11":
        raise layout.SetupError(f"The pins fit Linux x86_64 with Python 3.11 only; this is {here}.")
    disk = next(folder for folder in venv.parents if folder.exists())
    free_gb = shutil.disk_usage(disk).free / 1e9
    if free_gb < DISK_NEEDED_GB and not venv.exists():
        raise layout.SetupError(f"{DISK_NEEDED_GB} GB of disk are needed in {disk}; {free_gb:.1f} are free.")


@contextlib.contextmanager
def only_one(lock: Path) -> Generator[None]:
    """Lets one process at a time past a lock file; a second one waits and then finds the work done."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def pip_install(venv: Path, pins: Path) -> None:
    """Installs one hash-locked file of pins.

    Args:
        venv: The virtual environment.
        pins: A requirements file.

    Raises:
        SetupError: With the last lines that pip wrote.
    """
    total = sum(1 for line in pins.read_text().splitlines() if line[:1].isalpha())
    command = [
        *(str(layout.python_of(venv)), "-m", "pip", "install", "--no-input", "--disable-pip-version-check"),
        # Wheels only: nothing that was downloaded runs while it is being installed.
        *("--no-deps", "--require-hashes", "--only-binary", ":all:", "--progress-bar", "off", "-r", str(pins)),
    ]
    last_lines: deque[str] = deque(maxlen=12)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as pip:
        show = _progress(total)
        try:
            for line in pip.stdout or ():
                last_lines.append(line.rstrip())
                show(line)
        except BaseException:
            # Interrupted: leaving the block would otherwise wait for pip to finish.
            pip.kill()
            raise
    if pip.returncode:
        raise layout.SetupError("pip failed:\n  " + "\n  ".join(last_lines))


def _progress(total: int) -> Callable[[str], None]:
    found = 0

    def show(line: str) -> None:
        nonlocal found
        # One such line for each pin: from an index, from a local folder, or there since an earlier run.
        if line.startswith(("Collecting", "Processing", "Requirement already")):
            found += 1
            if found in {total, *range(20, total, 20)}:
                say(f"  {found} of {total} found")
        if line.startswith("Installing collected"):
            say("  unpacking")

    return show


def install_torch(venv: Path) -> None:
    """Installs the CPU build of torch.

    Args:
        venv: The virtual environment.

    Raises:
        SetupError: If no package source offers that build.
    """
    try:
        pip_install(venv, TORCH_PIN)
    except layout.SetupError as error:
        raise layout.SetupError(
            f"{error}\nNo usable CPU build of torch 2.13.0 came from pip's package sources: put the wheel "
            "torch-2.13.0+cpu-cp311-cp311-manylinux_2_28_x86_64.whl in a folder and run this again with "
            "PIP_FIND_LINKS set to that folder."
        ) from error


def verify(venv: Path) -> str:
    """Imports the whole server once.

    Args:
        venv: The virtual environment.

    Returns:
        The versions that were found.

    Raises:
        SetupError: With the end of the traceback.
    """
    command = [str(layout.python_of(venv)), "-W", "ignore", "-c", _CHECK]
    done = subprocess.run(command, env=layout.engine_environment(), capture_output=True, text=True, check=False)
    if done.returncode:
        end = "\n  ".join(done.stderr.strip().splitlines()[-4:])
        raise layout.SetupError(f"The install cannot be imported; remove {venv} and run this again:\n  {end}")
    return done.stdout.strip().splitlines()[-1]


def install(venv: Path) -> None:
    """Makes the virtual environment, or finds it made.

    Args:
        venv: Where it is, or is to be.

    Raises:
        SetupError: If a step fails; what was done so far is kept for the next run.
    """
    if is_installed(venv):
        return
    venv = venv.resolve()
    check_machine(venv)
    started = time.monotonic()
    with only_one(venv / ".lock"):
        if is_installed(venv):
            return
        say(f"Making {venv}")
        subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
        say("Installing torch (CPU build, 200 MB)")
        install_torch(venv)
        say("Installing SGLang and what it imports")
        pip_install(venv, PINS)
        say("Installing a second grammar engine")
        pip_install(venv, GRAMMAR_PINS)
        say("Importing the server once")
        versions = verify(venv)
        # Written last: its presence means that everything above succeeded.
        (venv / STAMP).write_text(json.dumps({"fingerprint": fingerprint(), "versions": versions}))
    say(f"Installed {versions} in {time.monotonic() - started:.0f} s")


def main() -> int:
    """Runs the command line.

    Returns:
        The exit status.
    """
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--venv", type=Path, default=layout.VENV, help="folder (default: %(default)s)")
    venv = parser.parse_args().venv
    try:
        install(venv)
    except (layout.SetupError, subprocess.CalledProcessError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted; the next run goes on from here.", file=sys.stderr)
        return 130
    say(f"SGLang for the CPU is ready in {venv}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
