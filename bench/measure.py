"""What is measured of one gateway in one round."""

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from bench.gateways import CHAT_PATH, MODEL, Subject
from bench.processes import cpu_seconds
from bench.tools import Engine, Run, load

DIRECT = "direct"
SATURATING = 32
TOKENS, GAP = 100, 0.02
MICRO = 1e6

_SYSTEM = (
    "당신은 백엔드 개발자 면접관입니다. 지원자의 답변을 듣고 한 주제에 두 번까지 꼬리 질문을 합니다. "
    "질문은 한 번에 하나만 하고, 지원자가 모른다고 하면 다른 주제로 넘어갑니다. "
    "말은 정중하고 짧게 합니다. 이력서에 적힌 경험을 먼저 묻고, 그다음에 기본 지식을 묻습니다."
)
_ANSWER = "참조되지 않는 객체를 JVM이 회수합니다. 세대별로 나누어 젊은 객체를 자주, 오래된 객체를 드물게 살펴봅니다. "


def chat(*, stream: bool, size: int = 0) -> dict[str, Any]:
    """A chat of an interview; ``size``: bytes that its answers have at least."""
    answer = _ANSWER * max(1, size // len(_ANSWER.encode()))
    messages = [{"role": "system", "content": _SYSTEM}, {"role": "user", "content": answer}]
    return {"model": MODEL, "messages": messages, "temperature": 0.7, "max_tokens": 1000, "stream": stream}


@dataclass(frozen=True, slots=True)
class Figures:
    """What one gateway costs; medians of rounds, or one round. Times in microseconds.

    Attributes:
        request: CPU of the gateway's processes for a plain chat, 32 connections, as fast as it goes.
        rate: Plain chats a second on its one core.
        p50: A plain chat on one connection, from the client.
        p99: The same.
        chunk: CPU for a chunk of a stream: 32 streams of 100 chunks, 20 ms apart.
        ttft: To the first chunk of such a stream, p50.
        ttft_p99: The same.
        delay: How long a chunk is under way, p50.
        delay_p99: The same.
        tools: Share of their core that engine and load generator took while the gateway was busiest.
    """

    request: float
    rate: float
    p50: float
    p99: float
    chunk: float
    ttft: float
    ttft_p99: float
    delay: float
    delay_p99: float
    tools: float


def one_round(engine: Engine, subject: Subject, seconds: float) -> Figures:
    """All figures once, in about three times ``seconds``."""
    plain, streamed = chat(stream=False), chat(stream=True)
    engine.configure(tokens=64)
    load(subject.port, CHAT_PATH, plain, connections=SATURATING, seconds=0.2)
    tools = engine.cpu()
    cost, busy = measured(subject, plain, connections=SATURATING, seconds=seconds)
    tools = (engine.cpu() - tools + busy.cpu) / busy.seconds
    _, single = measured(subject, plain, connections=1, seconds=seconds)
    engine.configure(tokens=TOKENS, gap=GAP)
    streaming, streams = measured(subject, streamed, connections=SATURATING, seconds=seconds)
    return Figures(
        request=cost / busy.requests * MICRO,
        rate=busy.requests / busy.seconds,
        p50=single.whole["p50"],
        p99=single.whole["p99"],
        chunk=streaming / streams.chunks * MICRO,
        ttft=streams.first["p50"],
        ttft_p99=streams.first["p99"],
        delay=streams.delay["p50"],
        delay_p99=streams.delay["p99"],
        tools=tools,
    )


def measured(
    subject: Subject, body: object, *, connections: int, seconds: float, path: str = CHAT_PATH
) -> tuple[float, Run]:
    """Load on one gateway: CPU seconds that its processes took for it, and what its clients saw.

    Raises:
        RuntimeError: a call failed.
    """
    before = cpu_seconds(subject.pid) if subject.pid else 0.0
    run = load(subject.port, path, body, connections=connections, seconds=seconds)
    time.sleep(0.05)  # the last answer is written before its handling is over
    cost = cpu_seconds(subject.pid) - before if subject.pid else 0.0
    if run.errors or run.unfinished:
        raise RuntimeError(f"{subject.name}: {run.errors} calls failed, {run.unfinished} did not end")
    return cost, run


def median(rounds: Sequence[Figures]) -> Figures:
    """The median of each figure."""
    return Figures(**{f.name: statistics.median(getattr(one, f.name) for one in rounds) for f in fields(Figures)})
