"""Audits what is installed from the lock files: a fresh install, .pth files, licences, an SBOM, known vulnerabilities.

``make audit`` writes ``build/sbom.cdx.json`` and ``build/licences.json``. Without a vulnerability service there is no
verdict on vulnerabilities, and the audit fails; ``--offline`` leaves that part out and says so.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

ROOT = Path(__file__).parent.parent
OUTPUT = ROOT / "build"
HERE = Path(sys.executable).parent
LOCKS = ("requirements.txt", "requirements-dev.txt")

# A .pth file runs at every start of the interpreter, which makes it a favourite of thieves. These are known:
# setuptools' own, and this project's in a checkout. Each is one line.
_KNOWN_PTH = {
    "distutils-precedence.pth": "import os; var = 'SETUPTOOLS_USE_DISTUTILS'",
    "__editable__.llm_service": "import __editable___llm_service_",
}
# Licences that let a product be shipped and sold, some with notices that must go with it.
_ALLOWED = (
    "MIT",
    "BSD",
    "Apache",
    "PSF",
    "Python Software Foundation",
    "ISC",
    "MPL",
    "Mozilla",
    "Unlicense",
    "0BSD",
    "Zlib",
)


def main() -> int:
    """Run all parts; the exit status is the number of those that failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--offline", action="store_true", help="no look for known vulnerabilities")
    offline = parser.parse_args().offline
    OUTPUT.mkdir(exist_ok=True)
    failures = [*_fresh_install(), *_strange_pth(Path(HERE.parent))]
    if offline:
        print("vulnerabilities: NOT looked for (--offline)")
    else:
        failures += _vulnerabilities()
    for failure in failures:
        print(f"! {failure}")
    print("audit: " + ("failed" if failures else "nothing found"))
    return 1 if failures else 0


def _fresh_install() -> Iterator[str]:
    """Install from the lock alone into an empty environment, and look at that."""
    with tempfile.TemporaryDirectory(prefix="audit-") as folder:
        python = Path(folder) / "bin" / "python"
        _run(sys.executable, "-m", "venv", folder)
        print("installing from requirements.txt, with hashes, into an empty environment ...", flush=True)
        _run(str(python), "-m", "pip", "install", "-q", "--require-hashes", "--no-deps", "-r", "requirements.txt")
        done = _run(str(python), "-m", "pip", "check", check=False)
        if done.returncode:
            yield f"the lock is not whole: {done.stdout.strip()[:500]}"
        _run(str(python), "-c", "import app.cli, app.main")
        print("fresh install from the lock: the service starts from it")
        yield from _strange_pth(Path(folder))
        yield from _licences(python)
        sbom = OUTPUT / "sbom.cdx.json"
        _run(
            *(str(HERE / "cyclonedx-py"), "environment", str(python), "--pyproject", "pyproject.toml"),
            *("--mc-type", "application", "--output-reproducible", "--output-format", "JSON", "-o", str(sbom)),
        )
        document = json.loads(sbom.read_text())
        print(f"SBOM: {len(document['components'])} components, CycloneDX {document['specVersion']}, {_shown(sbom)}")


def _strange_pth(environment: Path) -> Iterator[str]:
    found = sorted(environment.glob("lib/python*/site-packages/*.pth"))
    for path in found:
        text = path.read_text(errors="replace")
        known = [begin for name, begin in _KNOWN_PTH.items() if path.name.startswith(name)]
        if not known or not text.startswith(known[0]) or len(text.splitlines()) > 1:
            yield f"an unexpected .pth file: {path.name}: {text[:120]!r}"
    print(f".pth files: {', '.join(path.name for path in found) or 'none'}")


def _licences(python: Path) -> Iterator[str]:
    done = _run(str(HERE / "pip-licenses"), f"--python={python}", "--format=json", "--with-urls", "--from=mixed")
    rows: list[dict[str, str]] = json.loads(done.stdout)
    (OUTPUT / "licences.json").write_text(json.dumps(rows, indent=2, ensure_ascii=False) + "\n")
    for row in rows:
        if not any(word in row["License"] for word in _ALLOWED):
            yield f"licence of {row['Name']}: {row['License']}"
    kinds = sorted({row["License"] for row in rows})
    print(f"licences: {len(rows)} packages, {_shown(OUTPUT / 'licences.json')}: {', '.join(kinds)}")


def _vulnerabilities() -> Iterator[str]:
    for lock in LOCKS:
        done = _run(
            *(str(HERE / "pip-audit"), "-r", lock, "--disable-pip", "--require-hashes", "--no-deps"),
            *("--format", "json", "--progress-spinner", "off"),
            check=False,
        )
        if not done.stdout.startswith("{"):
            yield f"{lock}: pip-audit gave no verdict: {done.stderr.strip()[-300:]}"
            continue
        rows = cast("list[dict[str, Any]]", json.loads(done.stdout)["dependencies"])
        skipped = [row["name"] for row in rows if "skip_reason" in row]
        for row in rows:
            for fault in row.get("vulns", ()):
                fixed = ", ".join(fault["fix_versions"]) or "no version yet"
                yield f"{lock}: {row['name']} {row['version']}: {fault['id']}, fixed in {fixed}"
        print(f"vulnerabilities: {lock}: {len(rows) - len(skipped)} of {len(rows)} packages looked up")
        if skipped:
            yield f"{lock}: no verdict on {len(skipped)} packages that the vulnerability service does not know"


def _run(*command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if check and done.returncode:
        sys.exit(f"{' '.join(command[:4])} ...: {done.stderr.strip()[-800:]}")
    return done


def _shown(path: Path) -> Path:
    return path.relative_to(ROOT)


if __name__ == "__main__":
    sys.exit(main())
