"""The routes that tell about the engine: health, models, loads, figures and a few that act on it."""

import asyncio
import time
from datetime import UTC, datetime
from typing import Any

from simulator.chat import render
from simulator.engine import Engine, Status
from simulator.errors import InvalidRequest, flat_error
from simulator.tokens import split, token_id
from simulator.validation import ChatBody, parse_body, parse_json
from simulator.wire import Exchange, compact

_VERSION = "0.5.23"
_FLUSHED = (
    b"Cache flushed.\nPlease check backend logs for more details. (When there are running or waiting requests, "
    b"the operation will not be performed.)\n"
)


async def health(engine: Engine, exchange: Exchange) -> None:
    """`/health` and `/health_generate`: 503 while starting and draining, else a slow 200."""
    if engine.draining or engine.status is Status.STARTING:
        await exchange.respond(503, b"", None)
        return
    await asyncio.sleep(engine.settings.health_seconds)
    await exchange.respond(200, b"", None)


async def ready(engine: Engine, exchange: Exchange) -> None:
    """`/ready`: a flag, no generation."""
    await exchange.respond(200 if engine.ready else 503, b"", None)


async def ping(engine: Engine, exchange: Exchange) -> None:
    """`/ping`."""
    del engine
    await exchange.respond(200, b"", None)


def _card(engine: Engine) -> dict[str, object]:
    settings = engine.settings
    return {
        "id": settings.model_id,
        "object": "model",
        "created": int(time.time()),
        "owned_by": "sglang",
        "root": settings.model_id,
        "parent": None,
        "max_model_len": settings.max_model_len or settings.context_length,
    }


async def models(engine: Engine, exchange: Exchange) -> None:
    """`/v1/models`."""
    await exchange.respond(200, compact({"object": "list", "data": [_card(engine)]}))


async def one_model(engine: Engine, exchange: Exchange) -> None:
    """`/v1/models/{model}`."""
    model = exchange.path.removeprefix("/v1/models/")
    if model == engine.settings.model_id:
        await exchange.respond(200, compact(_card(engine)))
        return
    error = {
        "message": f"The model '{model}' does not exist",
        "type": "invalid_request_error",
        "param": "model",
        "code": "model_not_found",
    }
    await exchange.respond(404, compact({"error": error}))


async def model_info(engine: Engine, exchange: Exchange) -> None:
    """`/model_info`, without the real one's details of embedding models."""
    settings = engine.settings
    body = {
        "model_path": settings.model_id,
        "served_model_name": settings.model_id,
        "tokenizer_path": settings.model_id,
        "is_generation": True,
        "preferred_sampling_params": None,
        "weight_version": "default",
        "load_format": "auto",
        "reasoning_parser": None,
        "tool_call_parser": None,
        "disaggregation_mode": "null",
        "has_image_understanding": False,
        "has_audio_understanding": False,
        "model_type": "qwen3",
        "architectures": ["Qwen3ForCausalLM"],
    }
    await exchange.respond(200, compact(body))


async def server_info(engine: Engine, exchange: Exchange) -> None:
    """`/server_info`: the fields a caller plans with; the real one has some 550 more."""
    settings = engine.settings
    state = {
        "effective_max_running_requests_per_dp": settings.slots,
        "last_gen_throughput": engine.gauges()["gen_throughput"],
        "memory_usage": {"weight": 0.0, "kvcache": 0.0, "token_capacity": settings.pool_tokens},
    }
    body = {
        "model_path": settings.model_id,
        "tokenizer_path": settings.model_id,
        "context_length": settings.context_length,
        "max_running_requests": settings.slots,
        "max_queued_requests": settings.max_queued,
        "max_total_tokens": settings.pool_tokens,
        "schedule_policy": "fcfs",
        "enable_priority_scheduling": settings.priority,
        "disable_radix_cache": not settings.prefix_cache,
        "host": settings.host,
        "port": settings.port,
        "served_model_name": settings.model_id,
        "stream_interval": settings.tokens_per_chunk,
        "enable_metrics": settings.metrics,
        "grammar_backend": settings.grammar_backend,
        "status": "ready" if engine.status is Status.UP else "starting",
        "max_total_num_tokens": settings.pool_tokens,
        "max_req_input_len": settings.longest_input,
        "internal_states": [state],
        "version": _VERSION,
        "frontend": "python",
    }
    await exchange.respond(200, compact(body))


async def loads(engine: Engine, exchange: Exchange) -> None:
    """`/v1/loads`."""
    now = datetime.now(UTC)
    gauges, settings = engine.gauges(), engine.settings
    queued = engine.scheduler.queued
    used = int(gauges["num_used_tokens"])
    load: dict[str, Any] = {
        "timestamp": now.timestamp(),
        "dp_rank": 0,
        "num_running_reqs": len(engine.scheduler.running),
        "num_waiting_reqs": queued,
        "num_waiting_uncached_tokens": 0,
        "num_used_tokens": used,
        "num_total_tokens": used,
        "num_active_tokens": used,
        "num_prealloc_ready_tokens": 0,
        "max_total_num_tokens": settings.pool_tokens,
        "max_running_requests": settings.slots,
        "token_usage": gauges["token_usage"],
        "gen_throughput": gauges["gen_throughput"],
        "cache_hit_rate": gauges["cache_hit_rate"],
        "utilization": gauges["utilization"],
        "total_prefill_uncached_tokens": int(
            engine.metrics.total("prompt_tokens_total") - engine.metrics.total("cached_tokens_total")
        ),
        "total_prefill_busy_us": 0,
        "decode_moments": [0.0] * 6,
        "memory": {"weight_gb": 0.0, "kv_cache_gb": 0.0, "graph_gb": 0.0, "token_capacity": settings.pool_tokens},
        "disaggregation": {
            "mode": "null",
            "prefill_bootstrap_queue_reqs": 0,
            "prefill_inflight_queue_reqs": 0,
            "decode_prealloc_queue_reqs": 0,
            "decode_transfer_queue_reqs": 0,
            "decode_retracted_queue_reqs": 0,
            "kv_transfer_speed_gb_s": 0.0,
            "kv_transfer_latency_ms": 0.0,
        },
        "queues": {"waiting": queued, "grammar": 0, "paused": 0, "retracted": 0, "prealloc_ready": 0},
    }
    whole = {
        "timestamp": now.isoformat(),
        "version": _VERSION,
        "accelerator": None,
        "num_accelerators": 1,
        "loads": [load],
    }
    await exchange.respond(200, compact(whole))


async def metrics(engine: Engine, exchange: Exchange) -> None:
    """`/metrics`."""
    if not engine.settings.metrics:
        await not_found(engine, exchange)
        return
    text = engine.metrics.render(engine.gauges())
    await exchange.respond(200, text.encode(), b"text/plain; version=0.0.4; charset=utf-8")


async def tokenize(engine: Engine, exchange: Exchange) -> None:
    """`/tokenize` with a `prompt` or with `messages`."""
    raw = parse_json(exchange.path, exchange.body, exchange.header("content-type"))
    chat = "messages" in raw
    prompt = render(parse_body(ChatBody, exchange.path, raw)) if chat else str(raw.get("prompt", ""))
    ids = [token_id(piece) for piece in split(prompt)]
    body = {"tokens": ids, "count": len(ids), "max_model_len": engine.settings.context_length}
    await exchange.respond(200, compact(body))


async def abort_request(engine: Engine, exchange: Exchange) -> None:
    """`/abort_request`: by prefix of the id, or all; an unknown id is no error."""
    raw = parse_json(exchange.path, exchange.body, exchange.header("content-type"))
    if raw.get("abort_all"):
        engine.scheduler.abort("")
    elif raw.get("rid"):
        engine.scheduler.abort(str(raw["rid"]))
    await exchange.respond(200, b"", None)


async def flush_cache(engine: Engine, exchange: Exchange) -> None:
    """`/flush_cache`: refused while anything runs or waits."""
    if engine.scheduler.running or engine.scheduler.queued:
        await exchange.respond(400, _FLUSHED, None)
        return
    engine.cache.clear()
    await exchange.respond(200, _FLUSHED, None)


async def not_found(engine: Engine, exchange: Exchange) -> None:
    """A path the engine does not have; a missing slash or a model is no help here."""
    del engine
    await exchange.respond(404, b'{"detail":"Not Found"}')


async def wrong_method(engine: Engine, exchange: Exchange) -> None:
    """A path the engine has, but not for this method."""
    del engine
    await exchange.respond(405, b'{"detail":"Method Not Allowed"}')


async def refused(exchange: Exchange, error: InvalidRequest) -> None:
    """The 400 of a body that failed validation."""
    await exchange.respond(error.status, flat_error(error.status, error.message, error.kind))
