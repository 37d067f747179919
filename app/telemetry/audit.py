"""Decision records: one JSON line for every answer of a task, on disk before the answer leaves.

A thread of its own makes the lines and writes them, many with one call when many come at once; a request waits for its
own line and the event loop waits for nobody. What has been written survives the end of this process at any moment, by
``kill -9`` too: it is in the operating system's hands. A crash of the machine may cost the last second, because the
disk is told to sync once a second; with AUDIT_REQUIRED before every answer.

The file is only ever appended to, in whole lines. At AUDIT_MAX_BYTES it is renamed to ``NAME-<time>.jsonl`` and a new
one is begun; nothing is deleted. Readable by its owner only.
"""

import asyncio
import hashlib
import json
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import structlog

from app.errors import NotRecorded, StartupError
from app.telemetry.record import Generated

_MOST_AT_ONCE = 512  # lines of one write
_ALARM_EVERY = 10.0  # seconds between two alarms about the same disk
_PATIENCE = 5.0  # seconds that an answer waits for a disk that hangs
_SYNC_EVERY = 1.0
_VERSION = 1

log = structlog.get_logger("audit")


@dataclass(frozen=True, slots=True)
class Decision:
    """What one answer was decided from; plain references, so that making one costs nothing on the event loop.

    Attributes:
        request_id: Of the request that gets the answer.
        decided_by: Of the request for which it was made: another one if identical requests shared it.
        key_name: The caller's key; empty without keys.
        task: Its name.
        contract: Version of its output contract.
        engine: The kind of engine.
        model: Its model.
        asked: What the caller sent, a pydantic model with ``system_prompt`` and ``user_prompt``.
        generations: What the engine was asked for it.
        answer: What is sent, a pydantic model with ``meta``.
    """

    request_id: str
    decided_by: str
    key_name: str
    task: str
    contract: str
    engine: str
    model: str
    asked: Any
    generations: Sequence[Generated]
    answer: Any


@dataclass(slots=True)
class _Entry:
    decision: Decision
    at: float
    loop: asyncio.AbstractEventLoop
    done: "asyncio.Future[bool]"


class AuditLog:
    """Appends decisions to a file."""

    def __init__(
        self,
        path: Path,
        *,
        max_bytes: int,
        output: bool,
        required: bool,
        count: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Open it.

        Args:
            path: The file.
            max_bytes: Size at which a new one is begun.
            output: Whether the answer's own texts are recorded.
            required: Whether an answer must not leave without its record.
            count: Told ``written`` or ``lost`` for each record, and ``late`` if an answer did not wait for it.

        Raises:
            StartupError: it cannot be written.
        """
        self._path = path
        self._max_bytes = max_bytes
        self._output = output
        self._required = required
        self._count = count
        self._alarmed = 0.0
        self._synced = 0.0
        self._dirty = False
        self._entries: SimpleQueue[_Entry | None] = SimpleQueue()
        try:
            self._file = self._open()
        except OSError as error:
            raise StartupError(
                f"AUDIT_LOG={path}: {error.strerror}. Name a file in a folder that this user may write to."
            ) from error
        self._thread = threading.Thread(target=self._run, name="audit log", daemon=True)
        self._thread.start()

    async def record(self, decision: Decision) -> None:
        """Return when the decision is on record, or is lost and need not be.

        Raises:
            NotRecorded: it is lost, and AUDIT_REQUIRED is set.
        """
        loop = asyncio.get_running_loop()
        done: asyncio.Future[bool] = loop.create_future()
        self._entries.put(_Entry(decision, time.time(), loop, done))
        await asyncio.wait({done}, timeout=_PATIENCE)
        if not done.done():
            self._late()
        if self._required and not (done.done() and done.result()):
            raise NotRecorded(
                "The answer was made but could not be put on record, so it is not given. Repeat the call later.",
                retry_after=5.0,
            )

    def close(self) -> None:
        """Write what is left and close the file."""
        self._entries.put(None)
        self._thread.join(_PATIENCE)

    def _late(self) -> None:
        self._count("late")
        log.error("decision records wait for a disk that hangs", file=str(self._path), seconds=_PATIENCE)

    # --- in the thread ---

    def _run(self) -> None:
        while True:
            entries = self._next()
            if entries is None:
                break
            if entries:
                written = self._write(entries)
                for entry in entries:
                    self._count("written" if written else "lost")
                    with suppress(RuntimeError):  # its loop has ended
                        entry.loop.call_soon_threadsafe(_tell, entry.done, written)
            elif self._dirty:
                self._sync()
        with suppress(OSError):
            self._sync()
            os.close(self._file)

    def _next(self) -> list[_Entry] | None:
        """All entries that wait, some at least; none when it is time to sync; None at the end."""
        try:
            first = self._entries.get(timeout=_SYNC_EVERY if self._dirty else None)
        except Empty:
            return []
        if first is None:
            return None
        entries = [first]
        while len(entries) < _MOST_AT_ONCE:
            try:
                more = self._entries.get_nowait()
            except Empty:
                break
            if more is None:
                self._entries.put(None)
                break
            entries.append(more)
        return entries

    def _write(self, entries: Sequence[_Entry]) -> bool:
        """Append the lines of ``entries``, all or none."""
        try:
            data = b"".join(line_of(entry.decision, entry.at, output=self._output) for entry in entries)
            size = os.fstat(self._file).st_size
            if size and size + len(data) > self._max_bytes:
                self._rotate()
                size = 0
            self._append(data, size)
            self._dirty = True
            if self._required or time.monotonic() - self._synced > _SYNC_EVERY:
                self._sync()
        except OSError as error:
            self._alarm(error.strerror or str(error), len(entries))
            return False
        except (ValueError, TypeError, LookupError, AttributeError) as error:  # a record that cannot be written as JSON
            self._alarm(repr(error), len(entries))
            return False
        return True

    def _append(self, data: bytes, size: int) -> None:
        left = memoryview(data)
        try:
            while left:
                left = left[os.write(self._file, left) :]
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._file, size)  # half a line would spoil the next one
            raise

    def _rotate(self) -> None:
        self._sync()
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
        self._path.rename(self._path.with_name(f"{self._path.stem}-{stamp}{self._path.suffix or '.jsonl'}"))
        before, self._file = self._file, self._open()
        os.close(before)

    def _open(self) -> int:
        file = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        _mend(file)
        return file

    def _sync(self) -> None:
        os.fdatasync(self._file)
        self._synced = time.monotonic()
        self._dirty = False

    def _alarm(self, reason: str, count: int) -> None:
        now = time.monotonic()
        if now - self._alarmed > _ALARM_EVERY or not self._alarmed:
            self._alarmed = now
            log.error("decision records are lost", file=str(self._path), reason=reason, records=count)


def _mend(file: int) -> None:
    """End a line that a crash of the machine cut short, so that the next one stands by itself."""
    size = os.fstat(file).st_size
    if size and os.pread(file, 1, size - 1) != b"\n":
        os.write(file, b"\n")


def _tell(done: "asyncio.Future[bool]", written: bool) -> None:  # noqa: FBT001  the outcome itself
    if not done.done():
        done.set_result(written)


def line_of(decision: Decision, at: float, *, output: bool) -> bytes:
    """The record as one line; documented field by field in docs/operations.md."""
    answer: dict[str, Any] = decision.answer.model_dump(mode="json")
    meta: Mapping[str, Any] = answer.pop("meta")
    asked = decision.asked
    record: dict[str, Any] = {
        "version": _VERSION,
        "time": datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds"),
        "request_id": decision.request_id,
        "decided_by": decision.decided_by,
        "key": decision.key_name,
        "task": decision.task,
        "contract": decision.contract,
        "engine": decision.engine,
        "model": decision.model,
        "input": {
            "sha256": _digest(asked.model_dump_json(exclude_none=True)),
            "system_prompt_length": len(asked.system_prompt),
            "user_prompt_length": len(asked.user_prompt),
        },
        "generations": [_generation(one) for one in decision.generations],
        "decided": {name: answer[name] for name in _DECIDED if name in answer},
        "scores": meta["scores"] if meta["scores"] is not None else [meta["score"]] if meta["score"] else [],
        "decision": meta["decision"],
        "finish": meta["finish"],
        "attempts": meta["attempts"],
        "repaired": meta["repaired"],
        "integrity_flags": meta["integrity_flags"],
        "usage": meta["usage"],
    }
    if "question_feedbacks" in answer:
        record["decided"]["question_scores"] = [one["score"] for one in answer["question_feedbacks"]]
    if output:
        record["output"] = answer
    return json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace") + b"\n"


# Of an answer: what was decided about a person, without the words.
_DECIDED = ("score", "is_passed", "overall_score", "action")


def _generation(one: Generated) -> dict[str, Any]:
    asked = one.request
    sampling = asked.sampling
    said = [f"{message.role}\x1f{message.content}" for message in asked.messages]
    if asked.begun:
        said.append(f"assistant\x1f{asked.begun}")
    return {
        "id": one.id,
        "prompt_sha256": _digest("\x1e".join(said)),
        "grammar_sha256": _digest_of_grammar(asked.grammar) if asked.grammar else None,
        "sampling": {
            name: value
            for name in ("temperature", "top_p", "presence_penalty", "repetition_penalty", "frequency_penalty")
            if (value := getattr(sampling, name)) is not None
        },
        "seed": sampling.seed,
        "max_tokens": asked.max_tokens,
        "finish": one.finish,
        "tokens_in": one.prompt_tokens,
        "tokens_out": one.completion_tokens,
    }


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


@lru_cache(64)
def _digest_of_grammar(grammar: str) -> str:
    return _digest(grammar)
