"""The simulated engine: settings, queue, cache, figures and faults in one place."""

import json
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from simulator.answer import Author, Script
from simulator.cache import PrefixCache
from simulator.faults import FaultBoard
from simulator.metrics import Metrics
from simulator.scheduler import Cut, Scheduler
from simulator.settings import Settings
from simulator.wire import Exchange

_KEPT_REQUESTS = 500


class Status(Enum):
    """What /ready goes by."""

    STARTING = "Starting"
    UP = "Up"


@dataclass(slots=True)
class Record:
    """A request as it arrived, and what became of it."""

    exchange: Exchange
    received: float = field(default_factory=time.time)

    def report(self) -> dict[str, Any]:
        """The JSON form, with the body parsed when it can be."""
        exchange = self.exchange
        try:
            body: Any = json.loads(exchange.body) if exchange.body else None
        except ValueError:
            body = exchange.body.decode("utf-8", "replace")
        return {
            "method": exchange.method,
            "path": exchange.path,
            "headers": dict(exchange.headers),
            "body": body,
            "status": exchange.status,
            "client_left": exchange.left,
            "received": self.received,
        }


@dataclass(slots=True)
class Engine:
    """Everything the routes share."""

    settings: Settings
    scheduler: Scheduler
    cache: PrefixCache
    metrics: Metrics
    author: Author
    restart: Callable[[float, float], None]
    refuse: Callable[[float], None]
    faults: FaultBoard = field(default_factory=FaultBoard)
    records: deque[Record] = field(default_factory=lambda: deque[Record](maxlen=_KEPT_REQUESTS))
    status: Status = Status.STARTING
    draining: bool = False
    active: int = 0
    total: int = 0
    fields: Counter[str] = field(default_factory=Counter[str])
    model_created: int = field(default_factory=lambda: int(time.time()))

    @property
    def ready(self) -> bool:
        """Whether the engine asks for new requests (it takes them anyway)."""
        return self.status is Status.UP and not self.draining

    def note_fields(self, body: Any) -> None:
        """Remember which fields a chat came with, whatever the engine does with them."""
        self.fields.update(body.keys())
        for message in body["messages"]:
            self.fields.update(f"messages.{name}" for name in message)

    def use(self, settings: Settings) -> None:
        """Change the settings of the running engine."""
        self.settings = self.scheduler.settings = settings
        self.scheduler.fill()
        self.scheduler.notify()

    def crash(self) -> None:
        """Lose everything a dead process loses."""
        self.status = Status.STARTING
        self.scheduler.abort("", Cut.GONE)
        self.cache.clear()

    def come_up(self) -> None:
        """Finish the warm-up."""
        self.status = Status.UP
        self.scheduler.notify()

    def gauges(self) -> dict[str, float]:
        """What the scheduler shows at this moment."""
        settings, scheduler = self.settings, self.scheduler
        used = scheduler.held_tokens
        prompts = self.metrics.total("prompt_tokens_total")
        return {
            "max_total_num_tokens": settings.pool_tokens,
            "context_len": settings.context_length,
            "num_running_reqs": len(scheduler.running),
            "num_queue_reqs": scheduler.queued,
            "gen_throughput": len(scheduler.running) * settings.tps,
            "cache_hit_rate": self.metrics.total("cached_tokens_total") / prompts if prompts else 0.0,
            "token_usage": used / settings.pool_tokens,
            "num_used_tokens": used,
            "kv_used_tokens": used,
            "kv_available_tokens": max(0, settings.pool_tokens - used),
            "utilization": len(scheduler.running) / settings.slots,
        }


def build_engine(
    settings: Settings,
    script: Script,
    restart: Callable[[float, float], None],
    refuse: Callable[[float], None],
) -> Engine:
    """An engine that has seen nothing yet."""
    return Engine(
        settings=settings,
        scheduler=Scheduler(settings),
        cache=PrefixCache(settings.pool_tokens),
        metrics=Metrics(settings.model_id),
        author=Author(script),
        restart=restart,
        refuse=refuse,
    )
