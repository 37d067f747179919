"""Tables in docs/benchmarks.md, each between two marks of its own."""

from collections.abc import Sequence
from pathlib import Path

DOCUMENT = Path(__file__).parent.parent / "docs" / "benchmarks.md"
_END = "<!-- end -->"


def put(section: str, lines: Sequence[str]) -> None:
    """Replace the tables of ``section`` (``gateways``, ``interview``, ``answers`` or ``flat``)."""
    DOCUMENT.write_text(replaced(DOCUMENT.read_text(), section, lines))


def replaced(text: str, section: str, lines: Sequence[str]) -> str:
    """``text`` with other lines between the marks of ``section``.

    Raises:
        RuntimeError: there are no such marks.
    """
    begin = f"<!-- written by make bench: {section} -->"
    before, found, rest = text.partition(begin)
    _, ended, after = rest.partition(_END)
    if not found or not ended:
        raise RuntimeError(f"{DOCUMENT.name} has no place for the tables of {section}: {begin} ... {_END}")
    return "\n".join([before + begin, *lines, _END]) + after


def row(cells: Sequence[object]) -> str:
    """One row of a table."""
    return "| " + " | ".join(map(str, cells)) + " |"
