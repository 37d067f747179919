"""What SGLang says about itself: there, ready, the right key, model and context, and the flags it was started with."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import httpx2

from app.doctor.checks import Check, ok, problem, warning
from app.doctor.machine import bracketed
from app.engines.models import model_source

ENGINE, READY, KEY, VERSION = "Engine", "Engine ready", "Key", "SGLang version"
MODEL, CONTEXT, PRIORITY, QUEUE = "Model", "Engine context", "Priority", "Engine queue"
GRAMMARS = "Grammar engine"
_TIMEOUT = httpx2.Timeout(5)
_OK, _UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND, _UNAVAILABLE = 200, 401, 403, 404, 503
_OLDEST = (0, 5, 20)
_GRAMMAR_ENGINE = "llguidance"
_WHERE = "Set SGLANG_HOST and SGLANG_PORT to where SGLang listens, or start it with: llm-service engine"


@dataclass(frozen=True, slots=True)
class Reply:
    """What a route answered: its status and, if it is JSON, its body."""

    status: int
    body: Any = None

    @property
    def fields(self) -> Mapping[str, Any]:
        """The body as a JSON object; empty if it is none."""
        body: object = self.body
        return cast("dict[str, Any]", body) if isinstance(body, dict) else {}


class EngineInfo:
    """The routes of an engine that generate nothing."""

    def __init__(self, host: str, port: int, api_key: str) -> None:
        self.where = f"{host}:{port}"
        self._url = f"http://{bracketed(host)}:{port}"
        self._headers = {"authorization": f"Bearer {api_key}"} if api_key else {}

    async def get(self, path: str) -> Reply:
        """Ask one route.

        Raises:
            httpx2.HTTPError: nothing answers, or not in HTTP.
        """
        async with httpx2.AsyncClient(timeout=_TIMEOUT, trust_env=False, headers=self._headers) as client:
            answer = await client.get(f"{self._url}{path}")
        try:
            return Reply(answer.status_code, answer.json())
        except ValueError:
            return Reply(answer.status_code)


async def reachable_check(info: EngineInfo) -> Check:
    """Whether SGLang answers at its address."""
    try:
        status = (await info.get("/ready")).status
    except httpx2.TimeoutException:
        return problem(ENGINE, f"{info.where} does not answer in time.", f"{_WHERE}. A firewall may drop the packets.")
    except httpx2.TransportError as error:
        if isinstance(error, httpx2.NetworkError):
            return problem(ENGINE, f"nothing answers at {info.where}.", f"{_WHERE}.")
        return problem(ENGINE, f"what answers at {info.where} does not speak HTTP.", f"{_WHERE}.")
    if status in {_OK, _UNAVAILABLE}:
        return ok(ENGINE, f"answers at {info.where}.")
    return problem(
        ENGINE, f"what answers at {info.where} has no /ready ({status}): not SGLang, or too old a one.", f"{_WHERE}."
    )


async def ready_check(info: EngineInfo) -> Check:
    """Whether it can generate now."""
    if (await info.get("/ready")).status == _OK:
        return ok(READY, "yes.")
    return problem(
        READY,
        f"{info.where} says that it is not: it is loading the model, or stopping.",
        "Wait until it has loaded the model; its log tells how far it is. Then run this again.",
    )


def key_check(reply: Reply, *, key_set: bool) -> Check:
    """Whether SGLang takes our key, from its answer to /v1/models."""
    if reply.status not in {_UNAUTHORIZED, _FORBIDDEN}:
        return ok(KEY, "accepted." if key_set else "none is asked for.")
    detail = "SGLang refuses SGLANG_API_KEY." if key_set else "SGLang asks for a key, and SGLANG_API_KEY is empty."
    return problem(KEY, detail, "Set SGLANG_API_KEY to the value of SGLang's --api-key.")


def model_check(reply: Reply, name: str) -> Check:
    """Whether the configured model is the one that is served."""
    served = [str(card.get("id")) for card in _cards(reply)]
    if not served:
        return warning(
            MODEL,
            f"/v1/models does not name the served model (status {reply.status}).",
            f"Make sure that SGLang serves {model_source(name)}.",
        )
    for known in (name, model_source(name)):
        if known in served:
            return ok(MODEL, f"{known} is served." if known == name else f"{known} is served, as MODEL_NAME={name}.")
    return problem(
        MODEL,
        f"{', '.join(served)} is served, not {name}.",
        f"Set MODEL_NAME={served[0]}, or start SGLang with that model: llm-service engine.",
    )


def context_check(reply: Reply, context: int) -> Check:
    """Whether SGLang takes prompts as long as MAX_MODEL_LEN promises."""
    lengths = [card["max_model_len"] for card in _cards(reply) if isinstance(card.get("max_model_len"), int)]
    if not lengths:
        return warning(
            CONTEXT,
            "SGLang does not tell its context length.",
            f"Make sure that it is started with --context-length {context}.",
        )
    shortest = min(lengths)
    if shortest >= context:
        return ok(CONTEXT, f"{shortest} tokens, MAX_MODEL_LEN={context}.")
    return problem(
        CONTEXT,
        f"SGLang takes {shortest} tokens, but MAX_MODEL_LEN={context}: longer prompts are refused.",
        f"Set MAX_MODEL_LEN={shortest}, or start SGLang with --context-length {context}.",
    )


def _cards(reply: Reply) -> list[dict[str, Any]]:
    data: Any = reply.fields.get("data")
    cards = cast("list[Any]", data) if isinstance(data, list) else []
    return [cast("dict[str, Any]", card) for card in cards if isinstance(card, dict)]


def flag_checks(reply: Reply, max_queue: int) -> list[Check]:
    """What /server_info tells: the version, priority scheduling, the bound of the queue, the grammar engine."""
    if reply.status != _OK or not reply.fields:
        return [
            warning(
                VERSION,
                f"/server_info does not tell it, nor the flags (status {reply.status}).",
                f"Start SGLang with --enable-priority-scheduling --max-queued-requests {max_queue} "
                f"--grammar-backend {_GRAMMAR_ENGINE}.",
            )
        ]
    fields = reply.fields
    return [
        version_check(str(fields.get("version", ""))),
        _priority_check(on=fields.get("enable_priority_scheduling") is True),
        _queue_check(fields.get("max_queued_requests"), max_queue),
        _grammar_check(str(fields.get("grammar_backend", ""))),
    ]


def version_check(version: str) -> Check:
    """Whether SGLang is one that this service is made for."""
    found = re.match(r"(\d+)\.(\d+)\.(\d+)", version)
    if found and tuple(map(int, found.groups())) >= _OLDEST:
        return ok(VERSION, f"{version}.")
    oldest = ".".join(map(str, _OLDEST))
    return warning(
        VERSION,
        f"{version or 'unknown'}; this service is made for {oldest} and later.",
        f"Install SGLang {oldest} or later.",
    )


def _priority_check(*, on: bool) -> Check:
    if on:
        return ok(PRIORITY, "scheduling by priority is on.")
    return warning(
        PRIORITY,
        "SGLang ignores priorities, so a report can delay a waiting candidate.",
        "Start SGLang with --enable-priority-scheduling (llm-service engine does).",
    )


def _queue_check(bound: object, max_queue: int) -> Check:
    if isinstance(bound, int):
        return ok(QUEUE, f"at most {bound} requests wait inside SGLang.")
    return warning(
        QUEUE,
        "SGLang's queue has no bound: overload becomes time-outs for everybody.",
        f"Start SGLang with --max-queued-requests {max_queue} (llm-service engine does).",
    )


def _grammar_check(name: str) -> Check:
    """Whether SGLang runs the grammar engine whose masks hold for long texts: see docs/decoding.md."""
    if name == _GRAMMAR_ENGINE:
        return ok(GRAMMARS, f"{name}.")
    return warning(
        GRAMMARS,
        f"SGLang runs {name or 'an unknown one'}: with xgrammar long answers fail now and then and are asked for anew.",
        f"Start SGLang with --grammar-backend {_GRAMMAR_ENGINE} (llm-service engine does).",
    )


def no_thinking_flag() -> str:
    """The flag that turns thinking off for every caller of SGLang."""
    return f"--default-chat-template-kwargs '{json.dumps({'enable_thinking': False})}'"
