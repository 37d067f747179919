"""Decision records -> a table for a bias audit: one row for every score or step, no texts.

What an audit of selection rates needs is who got which score when, by which rules; who that was is known to the caller
under the same request id. Columns are described in docs/operations.md.
"""

import csv
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any, TextIO, cast

COLUMNS = (
    "time", "request_id", "decided_by", "key", "task", "question", "score", "is_passed", "action", "expected",
    "entropy", "method", "gate", "rubric", "review_recommended", "engine", "model", "contract", "finish", "attempts",
    "repaired", "integrity_flags", "input_sha256", "user_prompt_length", "reused",
)  # fmt: skip


def files_of(path: Path) -> list[Path]:
    """The file of AUDIT_LOG and those it was rotated to, oldest first."""
    rotated = sorted(path.parent.glob(f"{path.stem}-*{path.suffix or '.jsonl'}"))
    return [*rotated, *([path] if path.exists() else [])]


def export(path: Path, first: date | None, last: date | None, out: TextIO) -> tuple[int, int]:
    """Write the records from the day ``first`` to the day ``last``, both included, UTC.

    Returns:
        How many rows were written, and how many lines were no records: a machine that crashed may leave half a line.
    """
    start = datetime.combine(first or date.min, time.min, UTC)
    end = datetime.combine(last, time.min, UTC) + timedelta(days=1) if last else datetime.max.replace(tzinfo=UTC)
    table = csv.writer(out, lineterminator="\n")
    table.writerow(COLUMNS)
    rows = broken = 0
    for file in files_of(path):
        with file.open("rb") as lines:
            for line in lines:
                try:
                    record = cast("dict[str, Any]", json.loads(line))
                    when = datetime.fromisoformat(record["time"])
                except (ValueError, LookupError, TypeError):
                    broken += bool(line.strip())
                    continue
                if start <= when < end:
                    for row in _rows(record):
                        table.writerow([_cell(row.get(name)) for name in COLUMNS])
                        rows += 1
    return rows, broken


def _rows(record: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """One row for the decision as a whole, and for a report one for each question."""
    decided: Mapping[str, Any] = record["decided"]
    scores: list[Mapping[str, Any]] = record["scores"]
    common = {name: record[name] for name in COLUMNS if name in record}
    common["repaired"] = "; ".join(record["repaired"])
    common["integrity_flags"] = "; ".join(flag["kind"] for flag in record["integrity_flags"])
    common["input_sha256"] = record["input"]["sha256"]
    common["user_prompt_length"] = record["input"]["user_prompt_length"]
    questions: list[int] | None = decided.get("question_scores")
    whole = common | {"score": decided.get("score", decided.get("overall_score"))}
    whole |= {name: decided.get(name) for name in ("is_passed", "action")}
    if questions is None and scores:
        whole |= _measured(scores[0])
    yield whole
    for number, score in enumerate(questions or (), 1):
        measured = _measured(scores[number - 1]) if number <= len(scores) else {}
        yield common | {"question": number, "score": score} | measured


def _measured(score: Mapping[str, Any]) -> dict[str, Any]:
    told = {name: score[name] for name in ("expected", "entropy", "method", "gate", "rubric", "review_recommended")}
    return {**told, "reused": score.get("reused")}  # older records do not say


def _cell(value: object) -> object:
    """Text that a spreadsheet would take for a formula is quoted; keys are named by people."""
    if isinstance(value, str) and value[:1] in {"=", "+", "-", "@", "\t", "\r"}:
        return f"'{value}"
    return "" if value is None else value
