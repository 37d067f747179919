"""Recorded exchanges of the real server, and what it means to look like one."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

FOLDER = Path(__file__).parent / "samples"


@dataclass(frozen=True)
class Sample:
    """A recorded response."""

    status: int
    header_names: list[str]
    content_type: str | None
    body: str


def response(name: str) -> Sample:
    """Read a recorded response."""
    raw = (FOLDER / name).read_text("utf-8")
    head, _, body = raw.partition("\n\n")
    status, *lines = head.split("\n")
    headers = [(line.partition(": ")[0].lower(), line.partition(": ")[2]) for line in lines if line]
    return Sample(int(status.split()[1]), [key for key, _ in headers], dict(headers).get("content-type"), body)


def request(name: str) -> bytes:
    """Read a recorded request body."""
    return (FOLDER / f"{name}.request.json").read_bytes()


def shape(value: Any) -> Any:
    """Keys in order and types, without the values; the rows of a list count once a shape."""
    if isinstance(value, dict):
        return [(key, shape(part)) for key, part in cast("dict[str, Any]", value).items()]
    if isinstance(value, list):
        rows: list[Any] = []
        for part in cast("list[Any]", value):
            if (found := shape(part)) not in rows:
                rows.append(found)
        return rows
    return type(value).__name__


def stream_shape(events: list[Any]) -> list[Any]:
    """The shapes of a stream's events, runs of the same shape once."""
    shapes = [event if isinstance(event, str) else shape(event) for event in events]
    return [found for at, found in enumerate(shapes) if at == 0 or found != shapes[at - 1]]


def timeless(text: str) -> str:
    """The text without clock times."""
    return re.sub(r"\[\d\d:\d\d:\d\d\]", "[TIME]", text)


def numberless(text: str) -> str:
    """The text without figures: for messages that count tokens of another vocabulary."""
    return re.sub(r"\d+", "N", text)


def parsed(text: str) -> Any:
    """The JSON value of a body."""
    return json.loads(text)
