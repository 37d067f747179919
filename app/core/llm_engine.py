"""LLMEngine: the process's one client of the engine, over the OpenAI-compatible protocol.

Only an admitted request can generate: ``admit`` gives a ``Slot``, and only a ``Slot`` has ``stream``. Every generation
is streamed, because neither SGLang nor llama.cpp stops at once when the client of a plain request leaves.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any

import structlog
from pydantic_core import from_json, to_json

from app.core.admission import Admission
from app.core.deadline import Deadline
from app.core.engine_errors import broken_exchange, refused
from app.core.generation import FinishReason, Generation, Message, Priority, Usage
from app.core.health import EngineMonitor
from app.core.http_pool import HttpPool, Response, TransportError
from app.core.sse_reader import SseReader
from app.core.thinking import ThoughtFilter
from app.engines.base import EngineHost
from app.engines.models import model_profile
from app.engines.profiles import EngineProfile
from app.errors import EngineFailure, NotReady

log = structlog.get_logger("llm_engine")

_WARM_TIME = 60.0  # seconds for one grammar; a cold compile takes about two
_PATH = "/v1/chat/completions"
_FINISH: Mapping[str, FinishReason] = {"stop": "stop", "length": "length", "abort": "abort"}


class TokenStream:
    """One generation as it arrives: iterate for the text; the other attributes hold once it has ended.

    Attributes:
        finish: Why the engine stopped.
        usage: Tokens spent.
    """

    def __init__(self, response: Response, profile: EngineProfile) -> None:
        self._response = response
        self._profile = profile
        self._filter = ThoughtFilter()
        self._reasoning: list[str] = []
        self.finish: FinishReason = "unknown"
        self.usage = Usage()

    @property
    def reasoning(self) -> str:
        """What came in ``reasoning_content``: thinking, or, by a known fault of engines, the answer itself."""
        return "".join(self._reasoning)

    async def __aiter__(self) -> AsyncGenerator[str, None]:
        """Pieces of text, whole characters each.

        Raises:
            EngineFailure: the engine reported an error, sent nonsense, or broke off. ``[DONE]`` alone proves nothing:
                engines send it after an error too, so a legal finish reason is required.
        """
        reader = SseReader()
        try:
            async for chunk in self._response.chunks():
                for data in reader.feed(chunk):
                    if data != b"[DONE]" and (text := self._take(data)):
                        yield text
        except TransportError as error:
            raise broken_exchange(error) from error
        if rest := self._filter.close():
            yield rest
        if self.finish == "unknown":
            raise EngineFailure("The engine ended its answer without saying why. Repeat the call.")

    def _take(self, data: bytes) -> str | None:
        """Read one event; return its text, if any."""
        try:
            event: Any = from_json(data)
            if "error" in event:
                raise refused(event["error"], self._profile)
            if usage := event.get("usage"):
                self.usage = _usage(usage)
            if not event.get("choices"):
                return None
            choice = event["choices"][0]
            if reason := choice.get("finish_reason"):
                self.finish = _FINISH.get(reason, "abort")
            delta = choice["delta"]
            if thought := delta.get("reasoning_content"):
                self._reasoning.append(thought)
            text = delta.get("content")
            return self._filter.feed(text) if text else None
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            raise EngineFailure("The engine sent an event that makes no sense. Repeat the call.") from error


def _usage(usage: Any) -> Usage:
    details: Any = usage.get("prompt_tokens_details") or {}
    return Usage(usage["prompt_tokens"], usage["completion_tokens"], details.get("cached_tokens") or 0)


class Slot:
    """The right to generate, one generation at a time."""

    def __init__(self, engine: "LLMEngine", deadline: Deadline) -> None:
        self._engine = engine
        self._deadline = deadline

    @asynccontextmanager
    async def stream(self, generation: Generation) -> AsyncGenerator[TokenStream, None]:
        """Start a generation. Leaving the block before its end cancels it in the engine.

        Raises:
            PromptTooLong: prompt and answer do not fit the model's context.
            Overloaded: the engine's own queue is full.
            NotReady: the engine cannot be reached.
            EngineFailure: it refused for another reason, or answered nonsense.
            DeadlineExceeded: the deadline passed before the block ended.
        """
        async with self._deadline.enforce(), self._engine.open(generation) as tokens:
            yield tokens


class LLMEngine:
    """The client of one engine.

    Attributes:
        name: The kind of engine, as shown to callers.
        model: The model's name, as shown to callers.
        context: Tokens that a prompt and its answer may have together.
        monitor: Whether the engine can answer now.
        admission: Who may run now.
    """

    def __init__(
        self,
        *,
        host: EngineHost,
        profile: EngineProfile,
        model: str,
        context: int,
        api_key: str,
        admission: Admission,
        pool: HttpPool,
        grammars: Sequence[str] = (),
    ) -> None:
        """``grammars`` are those that will be asked for: an engine that compiles them does it before it is ready."""
        self.name = profile.name
        self.model = model
        self.context = context
        self.admission = admission
        self._host = host
        self._profile = profile
        self._model_profile = model_profile(model)
        self._pool = pool
        self._headers = {"content-type": "application/json"}
        if api_key:
            self._headers["authorization"] = f"Bearer {api_key}"
        self._grammars = grammars if profile.compiles_grammars else ()
        self.monitor = EngineMonitor(host, pool, profile.ready_path, self._headers, self._warm)

    @asynccontextmanager
    async def admit(self, priority: Priority, deadline: Deadline) -> AsyncGenerator[Slot, None]:
        """Wait for a place at the engine and hold it while the body runs.

        Raises:
            NotReady: the engine cannot answer now.
            Overloaded: too many requests wait already.
            DeadlineExceeded: the deadline passed while waiting.
        """
        if trouble := self.monitor.trouble:
            raise NotReady(f"The model cannot answer now: {trouble}.", retry_after=5)
        async with self.admission.admit(priority, deadline):
            yield Slot(self, deadline)

    @asynccontextmanager
    async def open(self, generation: Generation) -> AsyncGenerator[TokenStream, None]:
        """Start a generation; for ``Slot`` only."""
        address = self._host.address
        if address is None:
            raise NotReady(f"The model cannot answer now: {self._host.trouble}.", retry_after=5)
        body = to_json(self._wire(generation))
        try:
            async with self._pool.exchange("POST", address, _PATH, headers=self._headers, body=body) as response:
                if response.status != 200:  # noqa: PLR2004  the one status that means yes
                    raise await self._refusal(response)
                yield TokenStream(response, self._profile)
        except TransportError as error:
            raise broken_exchange(error) from error

    async def _warm(self) -> None:
        """One token under each grammar: the engine keeps what it has compiled (seconds for Qwen's vocabulary)."""
        for grammar in self._grammars:
            generation = Generation((Message("user", "0"),), max_tokens=1, grammar=grammar)
            async with (
                Deadline.after(_WARM_TIME).enforce(),
                self.open(generation) as tokens,
                aclosing(aiter(tokens)) as text,
            ):
                async for _ in text:
                    pass

    async def _refusal(self, response: Response) -> Exception:
        raw = await response.read()
        try:
            body: Any = from_json(raw)
        except ValueError:
            body = {}
        error = refused(body, self._profile, status=response.status)
        log.warning("engine refused", status=response.status, size=len(raw), kind=type(error).__name__)
        return error

    def _wire(self, generation: Generation) -> dict[str, Any]:
        """The request body: only fields named here reach the engine, each from a bounded value."""
        sampling, usual = generation.sampling, self._model_profile
        presence = usual.presence_penalty if sampling.presence_penalty is None else sampling.presence_penalty
        body: dict[str, Any] = {
            "model": self.model,
            "messages": [{"role": m.role, "content": m.content} for m in generation.messages],
            "max_tokens": generation.max_tokens,
            "temperature": sampling.temperature,
            "top_p": usual.top_p if sampling.top_p is None else sampling.top_p,
            "top_k": usual.top_k,
            "min_p": usual.min_p,
            "presence_penalty": presence,
            "frequency_penalty": sampling.frequency_penalty,
            self._profile.repetition_field: usual.repetition_penalty,
            "stream": True,
            "stream_options": {"include_usage": True},
            **self._profile.extra,
        }
        if usual.template_arguments:
            body["chat_template_kwargs"] = dict(usual.template_arguments)
        if sampling.seed is not None:
            body["seed"] = sampling.seed
        if sampling.stop:
            body["stop"] = list(sampling.stop)
        if generation.grammar is not None:
            body[self._profile.grammar_field] = generation.grammar
        if self._profile.priority_field is not None:
            body[self._profile.priority_field] = len(Priority) - int(generation.priority)
        return body
