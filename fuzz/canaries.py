"""Line 3: secrets and personal data in every part of a request; none of it in logs, traces, metrics or error bodies.

The service is a process of its own with its log at DEBUG; its whole output is read at the end.
"""

import asyncio
import json
import re
import tempfile
import time
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any, cast

from app.core.api_keys import make_key
from app.core.key_store import write_keys
from chaos.client import Answer, call, get
from chaos.stage import stage
from chaos.verdict import Verdict
from fuzz.bodies import CHAT, MODEL, OPENAI, TASKS, good_body
from fuzz.sink import sink

_WORKERS = 8
_BAD = 400
_NO_KEY = 401
_FAULTY = 250  # so often the engine fails a dozen times
_OVERSIZED = 400  # so often a body is too large
_NAMES = ("홍길동", "김서연", "이도윤", "박지우", "Kim Seoyeon", "최예준")
_RESUMES = (
    "○○전자 결제팀에서 3년간 정산 배치를 맡았습니다",
    "서울시 강남구 테헤란로 12길 34, 502호",
    "생년월일 1998-03-14, 희망 연봉 5,200만 원",
)
_KINDS = (*("body", "body", "body", "broken", "wrong", "key", "header", "query", "type", "field", "late", "media"),)


def canary(seed: int, number: int) -> str:
    """Personal data with a mark that is there once: ``홍길동 010-1234-5678 ... zq1f0000a3``."""
    random = Random(f"canary {seed}/{number}")
    phone = f"010-{random.randrange(10_000):04}-{random.randrange(10_000):04}"
    return f"{random.choice(_NAMES)} {phone} {random.choice(_RESUMES)} {_mark(seed, number)}"


def _mark(seed: int, number: int) -> str:
    return f"zq{seed:02x}{number:06x}x"


def planted(random: Random, text: str) -> tuple[str, bytes, dict[str, str], str]:
    """A request with ``text`` in it: path, body, headers, query."""
    path = random.choice((*TASKS, CHAT, OPENAI))
    body: Any = good_body(path, text)
    headers: dict[str, str] = {}
    query = ""
    match random.choice(_KINDS):
        case "body":
            body |= random.choice(({}, {"temperature": text}, {"answer": text, "history": text}, {"extra": [text]}))
        case "broken":
            raw = json.dumps(body, ensure_ascii=False).encode()
            return path, raw[: -random.randint(1, 8)], headers, query
        case "wrong":
            name = random.choice(list(body))
            body[name] = random.choice(([text], {"a": text}, [{"role": text, "content": text}], {text: text}))
        case "key":
            headers["authorization" if random.random() < 0.5 else "x-api-key"] = text.encode().decode("latin-1")  # noqa: PLR2004
        case "header":
            name = random.choice(("idempotency-key", "x-request-timeout", "user-agent", "cookie", "accept", "referer"))
            headers[name] = text.encode().decode("latin-1")
        case "late":
            headers["x-request-timeout"] = "0.1"
        case "media":
            headers["content-encoding"] = "gzip"
        case "query":
            query = f"stream={_quoted(text)}&{_quoted(text)}=1"
        case "type":
            body = cast("Any", text)
        case _:
            body[text] = text
    return path, json.dumps(body, ensure_ascii=random.random() < 0.2).encode(), headers, query  # noqa: PLR2004


async def canaries(seed: int, first: int, count: int) -> Verdict:
    """``count`` requests from number ``first`` on, each with a canary of its own."""
    verdict = Verdict()
    statuses: Counter[int] = Counter()
    told: list[str] = []
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        file = Path(folder) / "keys.json"
        key, record = make_key("fuzz", ["tasks", "chat", "metrics"])
        write_keys(file, [record])
        settings: dict[str, Any] = {"API_KEYS_FILE": file, "MODEL_NAME": MODEL, "LOG_LEVEL": "DEBUG"}
        async with (
            sink() as traces,
            stage(
                {"slots": 16, "ttft": 0, "tps": 0, "typical_chars": 20},
                settings | {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{traces.port}"},
            ) as (engine, service),
        ):
            numbers = iter(range(first, first + count))
            started = time.monotonic()

            async def work() -> None:
                for number in numbers:
                    random = Random(f"{seed}/{number}")
                    path, body, headers, query = planted(random, canary(seed, number))
                    given = {"x-api-key": key, **headers} if "authorization" not in headers else headers
                    if number % _FAULTY == 0:
                        kind = random.choice(("error_event", "silent_end", "status", "reset", "hang"))
                        await engine.control("faults", {"kind": kind, "count": 12, "seconds": 1})
                    if number % _OVERSIZED == 0:
                        body += b" " * (1 << 20)
                    target = f"{path}?{query}" if query else path
                    answer = await call(service.port, target, body, headers=given, timeout=20)
                    statuses[answer.status] += 1
                    if answer.status >= _BAD and _mark(seed, number).encode() in answer.body:
                        told.append(f"number {number} {path}: {answer.body[:300]!r}")

            await asyncio.gather(*(work() for _ in range(_WORKERS)))
            seconds = time.monotonic() - started
            metrics = await _metrics(service.port, key)
            output = service.output.read_text(errors="replace")
        spans = b"".join(traces.bodies)
    found = re.findall(rf".{{0,80}}zq{seed:02x}[0-9a-f]{{6}}x.{{0,40}}", output)
    phones = re.findall(r".{0,80}010-\d{4}-\d{4}.{0,40}", output)
    verdict.note("canaries", f"{sum(statuses.values())} from {first}, {count / seconds:.0f}/s")
    verdict.note("statuses", ", ".join(f"{status}: {n}" for status, n in sorted(statuses.items())))
    verdict.at_least("lines of log read", output.count("\n"), count)
    verdict.none("canaries in the log", [*found, *phones])
    verdict.none("canaries in error bodies", told)
    verdict.at_least("bytes of traces read", len(spans), 100 * count)
    verdict.none("canaries in traces", re.findall(rf"zq{seed:02x}[0-9a-f]{{6}}x".encode(), spans))
    verdict.none("canaries in metrics", re.findall(rf"zq{seed:02x}[0-9a-f]{{6}}x", metrics.body.decode()))
    verdict.note("metrics", f"status {metrics.status}, {len(metrics.body)} bytes")
    return verdict


async def _metrics(port: int, key: str) -> Answer:
    answer = await get(port, "/metrics")
    if answer.status == _NO_KEY:
        return await call(port, "/metrics", b"", method="GET", headers={"x-api-key": key})
    return answer


def _quoted(text: str) -> str:
    return "".join(f"%{byte:02x}" for byte in text.encode())
