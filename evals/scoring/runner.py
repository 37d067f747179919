"""Runs the items of all parts; every result is one line of a file at once, so that nothing is measured twice.

A line is used again only if its stamp is the same: engine, model, the code that judges, and what was asked.
"""

import asyncio
import contextlib
import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel

import app
from app.core.llm_engine import LLMEngine
from app.errors import ServiceError, StartupError
from evals.scoring.metering import MeteredEngine
from evals.scoring.results import Cost, Result

PartName = Literal["pairs", "retest", "variants", "injections", "situations", "agreement", "reports", "cost"]

_AWAY = 300.0  # seconds to wait for an engine that went away, instead of failing one item after the other

# What the score of an answer depends on; the words that are written to it depend on all of these and more.
_JUDGING = (
    "tasks/judging/case.py",
    "tasks/judging/choice.py",
    "tasks/judging/doubt.py",
    "tasks/judging/gates.py",
    "tasks/judging/integrity.py",
    "tasks/judging/labels.py",
    "tasks/judging/measure.py",
    "tasks/judging/listing.py",
    "tasks/judging/plainly.py",
    "tasks/judging/rubric.py",
    "tasks/judging/similar.py",
    "tasks/judging/rubrics/*.toml",
    "core/integrity.py",
    "core/attack_patterns.py",
    "core/folded.py",
    "core/defuse.py",
)
_ALL = ("tasks/**/*.py", "tasks/**/*.toml", "core/*.py")


@dataclass(frozen=True, slots=True)
class Item:
    """One thing to find out.

    Attributes:
        part: Where it belongs.
        id: Its name there.
        asked: Everything that is put before the engine.
        run: Finds it out.
        result: What ``run`` returns.
        weight: How long it takes, in measured scores; for the time that is left.
        alone: Whether nothing else may run at the same time, because its seconds count.
        words: Whether text is written, and not a score measured only.
    """

    part: PartName
    id: str
    asked: Sequence[BaseModel]
    run: Callable[[LLMEngine], Awaitable[Result]]
    result: type[Result]
    weight: float = 1.0
    alone: bool = False
    words: bool = False


@dataclass(frozen=True, slots=True)
class Record:
    """The result of one item, and what it cost."""

    result: Result
    cost: Cost


@dataclass(frozen=True, slots=True)
class Failure:
    """An item that could not be found out."""

    item: Item
    error: ServiceError


class Store:
    """``results.jsonl`` in the output folder.

    Raises:
        StartupError: the folder cannot be written.
    """

    def __init__(self, folder: Path, engine: LLMEngine) -> None:
        self._path = folder / "results.jsonl"
        self._engine = f"{engine.name} {engine.model}"
        self._code = {words: _fingerprint(_ALL if words else _JUDGING) for words in (True, False)}
        self._lines: dict[tuple[str, str], Mapping[str, Any]] = {}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._read()
            self._file = self._path.open("a", encoding="utf-8")
        except OSError as error:
            raise StartupError(f"{folder} cannot be written: {error.strerror}. Choose another --out.") from error

    def _read(self) -> None:
        text = self._path.read_text(encoding="utf-8", errors="replace") if self._path.exists() else ""
        for line in text.split("\n"):
            with contextlib.suppress(ValueError):  # a line that a crash cut short
                read = json.loads(line)
                self._lines[read["part"], read["item"]] = read
        if text and not text.endswith("\n"):
            self._path.write_text(text + "\n", encoding="utf-8")

    def get(self, item: Item) -> Record | None:
        """The result of ``item``, if it was found out before."""
        line = self._lines.get((item.part, item.id))
        if line is None or line["stamp"] != self._stamp(item):
            return None
        return Record(item.result.model_validate(line["result"]), Cost.model_validate(line["cost"]))

    def add(self, item: Item, result: Result, cost: Cost) -> None:
        """Keep a result, now."""
        line: dict[str, Any] = {
            "part": item.part,
            "item": item.id,
            "stamp": self._stamp(item),
            "result": result.model_dump(mode="json"),
            "cost": cost.model_dump(mode="json"),
        }
        self._lines[item.part, item.id] = line
        self._file.write(json.dumps(line, ensure_ascii=False) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _stamp(self, item: Item) -> str:
        asked = "\n".join(part.model_dump_json() for part in item.asked)
        return _hash(f"{self._engine}\n{self._code[item.words]}\n{asked}".encode())


def _fingerprint(patterns: Sequence[str]) -> str:
    root = Path(app.__file__).parent
    files = sorted({file for pattern in patterns for file in root.glob(pattern)})
    return _hash(b"\n".join(file.read_bytes() for file in files))


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


async def run_items(
    engine: LLMEngine, items: Sequence[Item], store: Store, concurrency: int, done: Callable[[Item], None]
) -> list[Failure]:
    """Find out what is not known yet; those that must be alone come last, one by one.

    Args:
        engine: The engine.
        items: Of all parts.
        store: Where results are kept.
        concurrency: Items at the same time.
        done: Told of each item that is over.
    """
    todo = [item for item in items if store.get(item) is None]
    failures: list[Failure] = []
    crowd = [item for item in todo if not item.alone]
    for group, width in ((crowd, concurrency), ([item for item in todo if item.alone], 1)):
        left = iter(group)
        async with asyncio.TaskGroup() as workers:
            for _ in range(min(width, len(group))):
                workers.create_task(_work(engine, left, store, done, failures))
    return failures


async def _work(
    engine: LLMEngine,
    left: Any,
    store: Store,
    done: Callable[[Item], None],
    failures: list[Failure],
) -> None:
    for item in left:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_AWAY):
                await engine.monitor.wait_ready()
        metered = MeteredEngine(engine)
        try:
            result = await item.run(metered)
        except ServiceError as error:
            failures.append(Failure(item, error))
        else:
            store.add(item, result, metered.spent)
        done(item)
