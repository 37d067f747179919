"""The access log: one line per request, formatted by hand and written in batches.

A line through structlog's chain costs 20 microseconds, a fifth of what a whole request should. These cost three if many
are formatted in a row, and more between the other work of a request, when the processor's caches hold something else;
docs/operations.md has the figures. They look the same as every other line: JSON, or words on a terminal.
"""

import asyncio
import json
import threading
import time
from functools import lru_cache
from queue import SimpleQueue
from typing import TextIO

from app.telemetry.record import UNKNOWN_ROUTE, RequestRecord

_BATCH = 32  # lines that are formatted in a row: 0.15 ms
_LATEST = 0.05  # seconds that an end waits for others
_MOST = 50_000  # lines that wait for a log that nobody reads; further ones are dropped and counted
_LONGEST_PATH = 200


class LineWriter:
    """Writes lines to a stream from a thread of its own, so that a full pipe stops nobody.

    Attributes:
        dropped: Lines that were lost because the stream took none.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._batches: SimpleQueue[list[str] | None] = SimpleQueue()
        self._waiting = 0
        self.dropped = 0
        self._thread = threading.Thread(target=self._run, name="access log", daemon=True)
        self._thread.start()

    def write(self, lines: list[str]) -> None:
        """Have ``lines`` written soon; on the event loop only."""
        if self._waiting + len(lines) > _MOST:
            self.dropped += len(lines)
            return
        self._waiting += len(lines)
        self._batches.put(lines)

    def stop(self) -> None:
        """Nothing more will be written."""
        self._batches.put(None)

    def join(self, limit: float = 2.0) -> None:
        """Return when all is written, or after ``limit`` seconds."""
        self._thread.join(limit)

    def _run(self) -> None:
        while (lines := self._batches.get()) is not None:
            try:
                self._stream.write("".join(lines))
                self._stream.flush()
            except (OSError, ValueError):  # the reader of the pipe is gone, or the stream is closed
                self.dropped += len(lines)
            self._waiting -= len(lines)


class AccessLog:
    """Turns records into lines."""

    def __init__(self, writer: LineWriter, *, terminal: bool) -> None:
        self._writer = writer
        self._line = _words if terminal else _json
        self._ended: list[tuple[RequestRecord, str, float]] = []
        self._lines: list[str] = []
        self._timer: asyncio.TimerHandle | None = None

    @property
    def dropped(self) -> int:
        """Lines that were lost."""
        return self._writer.dropped

    def ended(self, record: RequestRecord, key_name: str, now: float) -> None:
        """A request is over; on the event loop only."""
        self._ended.append((record, key_name, now))
        if len(self._ended) >= _BATCH:
            self._format()
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_LATEST, self._hand_over)

    def stop(self) -> None:
        """Hand over what is left; on the event loop only."""
        if self._timer is not None:
            self._timer.cancel()
        self._hand_over()
        self._writer.stop()

    def join(self) -> None:
        """Return when all is written, after two seconds at most."""
        self._writer.join()

    def _hand_over(self) -> None:
        self._timer = None
        self._format()
        if self._lines:
            self._writer.write(self._lines)
            self._lines = []

    def _format(self) -> None:
        since = time.time() - time.monotonic()  # what makes a time of day of a time here
        ended, self._ended = self._ended, []
        shown, stamp = 0, ""
        for record, key_name, now in ended:
            wall = since + now
            second = int(wall)
            if second != shown:
                shown, stamp = second, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
            fraction = int((wall - second) * 1e6)
            self._lines.append(self._line(record, key_name, now, f"{stamp}.{fraction:06d}Z"))


def _json(record: RequestRecord, key_name: str, now: float, stamp: str) -> str:
    """``id``, route and task come from fixed or checked alphabets; only the key's name and a path need quoting."""
    line = (
        f'{{"event":"request","logger":"access","level":"info","timestamp":"{stamp}","id":"{record.id}",'
        f'"route":"{record.route}","status":{record.status},"total":{now - record.arrived:.4f}'
    )
    if record.task:
        line += _of_task(record, now)
    if record.route is UNKNOWN_ROUTE:
        line += f',"path":{json.dumps(record.path[:_LONGEST_PATH])}'
    if key_name:
        line += f',"key":{_quoted(key_name)}'
    if record.error:
        line += f',"error":"{record.error}"'
    return line + "}\n"


def _of_task(record: RequestRecord, now: float) -> str:
    part = f',"task":"{record.task}"'
    if record.admitted_at:
        part += f',"queue":{record.admitted_at - record.asked_at:.4f}'
    if record.first_text:
        part += f',"ttft":{record.first_text - record.arrived:.4f}'
    if record.first_sentence:
        part += f',"sentence":{record.first_sentence - record.arrived:.4f}'
    if record.generations:
        taken, given, cached = record.usage
        part += (
            f',"tokens_in":{taken},"tokens_out":{given},"tokens_cached":{cached},'
            f'"generations":{len(record.generations)},"engine_id":"{record.engine_id}"'
        )
    if record.expires_at:
        part += f',"deadline_left":{record.expires_at - now:.1f}'
    if record.shared:
        part += ',"shared":true'
    return part


@lru_cache(256)
def _quoted(name: str) -> str:
    return json.dumps(name, ensure_ascii=False)


def _words(record: RequestRecord, key_name: str, now: float, stamp: str) -> str:
    """For a person: time, status, route, then what is known."""
    parts = [f"{stamp[11:23]} {record.status} {record.route:<24} {now - record.arrived:7.3f} s"]
    if record.route is UNKNOWN_ROUTE:
        parts.append(repr(record.path[:_LONGEST_PATH]))
    if record.admitted_at:
        parts.append(f"queue {record.admitted_at - record.asked_at:.3f}")
    if record.first_text:
        parts.append(f"ttft {record.first_text - record.arrived:.3f}")
    if record.generations:
        taken, given, cached = record.usage
        parts.append(f"tokens {taken} ({cached} cached) > {given}")
    if record.shared:
        parts.append("shared")
    if record.error:
        parts.append(f"[{record.error}]")
    if key_name:
        parts.append(f"key {key_name!r}")
    parts.append(f"id {record.id}")
    return "  ".join(parts) + "\n"
