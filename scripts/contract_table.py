"""Writes docs/contract.md: what each case of the engine contract gave on each engine.

The results come from ``pytest tests/contract``. ``--check`` fails where the simulator and the real SGLang differ or
were not run, or where the document is not what the results of all three engines say.
"""

import json
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / ".cache" / "contract"
DOCUMENT = ROOT / "docs" / "contract.md"
ENGINES = ("simulator", "sglang", "embedded")
HEAD = """# The engine contract

What the service relies on in every engine, and what each gave. Written by `make contract`, from the results of
`tests/contract` on the simulator, on a real SGLang 0.5.23 on the CPU (SmolLM2-135M-Instruct) and on the embedded engine
(the same model). Where the simulator and SGLang differ, the simulator is wrong, and `make test-sglang` fails.

| Case | Simulator | SGLang | Embedded |
|---|---|---|---|
"""


def read(engine: str) -> dict[str, dict[str, object]]:
    """What each case gave on ``engine``."""
    path = RESULTS / f"{engine}.json"
    return json.loads(path.read_text("utf-8")) if path.exists() else {}


def shown(outcome: dict[str, object] | None) -> str:
    """An outcome as a cell of the table."""
    if outcome is None:
        return "-"
    return ", ".join(f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in outcome.items())


def main() -> None:
    """Write or check the document."""
    results = {engine: read(engine) for engine in ENGINES}
    cases = sorted({case for outcomes in results.values() for case in outcomes})
    rows = [
        f"| {case.removeprefix('test_').replace('_', ' ')} | "
        + " | ".join(shown(results[engine].get(case)) for engine in ENGINES)
        + " |\n"
        for case in cases
    ]
    document = HEAD + "".join(rows)
    if "--check" not in sys.argv:
        DOCUMENT.write_text(document, "utf-8")
        return
    if not (results["simulator"] and results["sglang"]):
        sys.exit("No results of the simulator and of SGLang. Run: make test-sglang")
    differing = [case for case in cases if results["simulator"].get(case) != results["sglang"].get(case)]
    if differing:
        sys.exit(f"simulator and SGLang differ in: {', '.join(differing)}")
    if all(results.values()) and DOCUMENT.read_text("utf-8") != document:
        sys.exit("docs/contract.md is not what the last run gave. Run: make contract")
    sys.stdout.write(f"simulator and SGLang gave the same in {len(cases)} cases\n")


if __name__ == "__main__":
    main()
