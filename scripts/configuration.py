"""Writes docs/configuration.md from Settings, or checks that it matches (``--check``).

Names, defaults and bounds come from ``app.config.Settings``; the English words from the table of README.en.md, which a
test keeps complete.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

from app.config import Settings

ROOT = Path(__file__).parent.parent
OUTPUT = ROOT / "docs" / "configuration.md"
_HEAD = """# Configuration reference

Made from `app/config.py` by `make configuration`; do not edit. Sources, strongest first: the environment, then
`.env` in the working directory, then the default. A value that is not allowed ends the start with a sentence that
names it.

| name | default | allowed | meaning | 뜻 |
|---|---|---|---|---|
"""


def reference() -> str:
    """The page."""
    schema: dict[str, Any] = Settings.model_json_schema()["properties"]
    english = _english()
    return _HEAD + "".join(
        f"| `{name.upper()}` | {_default(field.default)} | {_allowed(schema[name])} | {english[name.upper()]} | "
        f"{_cell(field.description or '')} |\n"
        for name, field in Settings.model_fields.items()
    )


def _english() -> dict[str, str]:
    rows = re.findall(r"^\| `([A-Z_]+)` \|[^|]*\| (.*) \|$", (ROOT / "README.en.md").read_text("utf-8"), re.MULTILINE)
    return dict(rows)


def _default(value: object) -> str:
    shown = json.dumps(value) if isinstance(value, bool) else str(getattr(value, "get_secret_value", lambda: value)())
    return f"`{shown}`" if shown else ""


def _allowed(field: dict[str, Any]) -> str:
    if "enum" in field:
        return ", ".join(f"`{one}`" for one in field["enum"])
    if field.get("type") == "boolean":
        return "`true`, `false`"
    if field.get("type") not in {"integer", "number"}:
        return "text" if field.get("format") != "path" else "a path"
    low, above, high = (field.get(name) for name in ("minimum", "exclusiveMinimum", "maximum"))
    kind = "whole number" if field["type"] == "integer" else "number"
    return f"{kind}, {f'{low:g}' if low is not None else f'above {above:g}'} to {high:.15g}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def main() -> None:
    """Write the page, or compare."""
    if "--check" not in sys.argv:
        OUTPUT.write_text(reference(), "utf-8")
    elif OUTPUT.read_text("utf-8") != reference():
        sys.exit("docs/configuration.md does not match Settings. Run: make configuration")


if __name__ == "__main__":
    main()
