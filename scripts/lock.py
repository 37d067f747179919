"""Writes the hash-locked requirements files from pyproject.toml, or checks that they match it (``--check``)."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
FILES = {"requirements.txt": (), "requirements-dev.txt": ("--extra", "dev", "-c", "requirements.txt")}


def compile_lock(options: tuple[str, ...], output: Path) -> None:
    """Resolve into ``output``; pins that ``output`` already holds are kept where they still fit."""
    command = [
        str(Path(sys.executable).parent / "uv"),
        *("pip", "compile", "pyproject.toml", "--quiet", "--generate-hashes", "--python-version", "3.11"),
        *("--no-emit-index-url", "--no-emit-find-links", "--custom-compile-command", "make lock"),
        *options,
        *("--output-file", str(output)),
    ]
    subprocess.run(command, cwd=ROOT, check=True)


def check(name: str, options: tuple[str, ...]) -> bool:
    """Whether resolving again, with the locked pins preferred, changes nothing."""
    locked = (ROOT / name).read_text()
    with tempfile.TemporaryDirectory() as folder:
        again = Path(folder) / name
        again.write_text(locked)
        compile_lock(options, again)
        return again.read_text() == locked


def main() -> None:
    """Write or check both files."""
    os.chdir(ROOT)
    if "--check" not in sys.argv:
        for name, options in FILES.items():
            compile_lock(options, ROOT / name)
        return
    stale = [name for name, options in FILES.items() if not check(name, options)]
    if stale:
        sys.exit(f"{', '.join(stale)} do not match pyproject.toml. Run: make lock")
    sys.stdout.write("lock files match pyproject.toml\n")


if __name__ == "__main__":
    main()
