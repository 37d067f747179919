"""LLMEngine: the process's one client of the engine, over the OpenAI-compatible protocol.

Only an admitted request can generate: ``admit`` gives a ``Slot``, and only a ``Slot`` has ``stream``. Every generation
is streamed, because neither SGLang nor llama.cpp stops at once when the client of a plain request leaves.
"""

import asyncio
import math
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from typing import Any

import structlog
from pydantic_core import from_json, to_json

from app.core.abort import Aborter
from app.core.admission import Admission
from app.core.deadline import Deadline
from app.core.engine_errors import broken_exchange, refused
from app.core.generation import FinishReason, Generation, Message, Priority, Usage
from app.core.health import EngineMonitor
from app.core.http_pool import HttpPool, Response, TransportError
from app.core.load_watch import LoadWatch
from app.core.prefixes import Prefixes
from app.core.retry import Retrier, RetryPolicy, served_in_spite_of
from app.core.sse_reader import SseReader
from app.core.thinking import ThoughtFilter
from app.core.watch import Watch
from app.engines.base import EngineHost
from app.engines.models import model_profile
from app.engines.profiles import EngineProfile
from app.errors import EngineFailure, NotReady, ServiceError
from app.telemetry.record import current

log = structlog.get_logger("llm_engine")

_WARM_TIME = 60.0  # seconds for one grammar; a cold compile takes about two
_PATH = "/v1/chat/completions"
_USUAL_RETRIES = RetryPolicy()
_FINISH: Mapping[str, FinishReason] = {"stop": "stop", "length": "length", "abort": "abort"}


class TokenStream:
    """One generation as it arrives: iterate for the text; the other attributes hold once it has ended.

    Attributes:
        finish: Why the engine stopped.
        usage: Tokens spent.
        alternatives: For each token the likeliest ones and their log-probabilities; empty if the engine tells none.
        first_text: When the first text came, on the monotonic clock; 0 while none has.
    """

    def __init__(self, response: Response, profile: EngineProfile) -> None:
        self._response = response
        self._profile = profile
        self._filter = ThoughtFilter()
        self._reasoning: list[str] = []
        self._reader = SseReader()
        self._first: list[bytes] = []
        self._asked_at = math.inf
        self._stall = math.inf
        self.finish: FinishReason = "unknown"
        self.usage = Usage()
        self.alternatives: list[Mapping[str, float]] = []
        self.first_text = 0.0
        self._failure: ServiceError | None = None

    @property
    def failure(self) -> ServiceError | None:
        """How the engine broke it off, or that it has been silent for so long that it was left."""
        if self.finish == "unknown" and time.monotonic() - self._asked_at > self._stall * 0.9:
            return silence()
        return self._failure

    @property
    def reasoning(self) -> str:
        """What came in ``reasoning_content``: thinking, or, by a known fault of engines, the answer itself."""
        return "".join(self._reasoning)

    @property
    def served(self) -> bool | None:
        """Whether the engine did its part; None if that cannot be said.

        Who leaves a stream that flows has seen an engine at work.
        """
        if self.finish != "unknown" or self.failure is None:
            return True
        return served_in_spite_of(self.failure)

    async def begin(self, stall: float) -> None:
        """Wait for the first event: an engine that refuses in a stream does it there, and may be asked again.

        Raises:
            TransportError: the connection broke before it.
            ServiceError: the first event is an error.
        """
        self._stall = stall
        while not self._first and (chunk := await self._response.chunk()) is not None:
            self._first = list(self._reader.feed(chunk))
        if self._first and b'"error"' in self._first[0][:32]:
            self._take(self._first[0])

    async def __aiter__(self) -> AsyncGenerator[str, None]:
        """Pieces of text, whole characters each.

        Raises:
            EngineFailure: the engine reported an error, sent nonsense, or broke off. ``[DONE]`` alone proves nothing:
                engines send it after an error too, so a legal finish reason is required.
        """
        try:
            async for data in self._events():
                if data != b"[DONE]" and (text := self._take(data)):
                    self.first_text = self.first_text or time.monotonic()
                    yield text
        except TransportError as error:
            self._failure = broken_exchange(error)
            raise self._failure from error
        except ServiceError as error:
            self._failure = error
            raise
        if rest := self._filter.close():
            yield rest
        if self.finish == "unknown":
            self._failure = EngineFailure("The engine ended its answer without saying why. Repeat the call.")
            raise self._failure

    async def within(self, stall: float) -> AsyncGenerator[str, None]:
        """The same pieces; an engine that is silent for ``stall`` seconds between two of them has failed.

        Raises:
            EngineFailure: see ``__aiter__``; or the engine fell silent.
        """
        async with aclosing(aiter(self)) as pieces:
            piece = await anext(pieces, None)  # the first one has the whole deadline: prefill may take long
            while piece is not None:
                yield piece
                try:
                    async with asyncio.timeout(stall):
                        piece = await anext(pieces, None)
                except TimeoutError:
                    raise silence() from None

    async def _events(self) -> AsyncGenerator[bytes, None]:
        for data in self._first:
            yield data
        while (chunk := await self._next_chunk()) is not None:
            for data in self._reader.feed(chunk):
                yield data

    async def _next_chunk(self) -> bytes | None:
        self._asked_at = time.monotonic()
        chunk = await self._response.chunk()
        self._asked_at = math.inf  # time that passes from here on is the reader's
        return chunk

    def _take(self, data: bytes) -> str | None:
        """Read one event; return its text, if any."""
        try:
            event: Any = from_json(data, cache_strings="keys")  # values would be kept
            if "error" in event:
                raise refused(event["error"], self._profile)
            if usage := event.get("usage"):
                self.usage = Usage.told(usage)
            if not event.get("choices"):
                return None
            choice = event["choices"][0]
            if reason := choice.get("finish_reason"):
                self.finish = _FINISH.get(reason, "abort")
            if logprobs := choice.get("logprobs"):
                self.alternatives.extend(_likeliest(token) for token in logprobs["content"] or ())
            delta = choice["delta"]
            if thought := delta.get("reasoning_content"):
                self._reasoning.append(thought)
            text = delta.get("content")
            return self._filter.feed(text) if text else None
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            raise EngineFailure("The engine sent an event that makes no sense. Repeat the call.") from error


def _likeliest(token: Any) -> Mapping[str, float]:
    return {str(other["token"]): float(other["logprob"]) for other in token["top_logprobs"]}


def silence() -> EngineFailure:
    """What an engine that says nothing any more is to those who wait for it."""
    return EngineFailure("The model's server fell silent. Repeat the call.")


class Slot:
    """The right to generate, one generation at a time."""

    def __init__(self, engine: "LLMEngine", deadline: Deadline) -> None:
        self._engine = engine
        self._deadline = deadline
        self._failure: ServiceError | None = None

    @asynccontextmanager
    async def stream(self, generation: Generation, *, again: bool = False) -> AsyncGenerator[TokenStream, None]:
        """Start a generation. Leaving the block before its end cancels it in the engine.

        With ``again`` it asks anew what the last one in this slot failed to say, and counts as a repetition of it.

        Raises:
            PromptTooLong: prompt and answer do not fit the model's context.
            Overloaded: the engine's own queue is full.
            NotReady: the engine cannot be reached.
            EngineFailure: it refused for another reason, or answered nonsense.
            DeadlineExceeded: the deadline passed before the block ended.
        """
        earlier = self._failure if again else None
        self._failure = silence()  # if we are cancelled before it has begun
        try:
            async with self._deadline.enforce(), self._engine.ask(generation, self._deadline, earlier) as tokens:
                try:
                    yield tokens
                finally:
                    self._failure = tokens.failure
        except ServiceError as error:
            self._failure = error
            raise


class LLMEngine:
    """The client of one engine.

    Attributes:
        name: The kind of engine, as shown to callers.
        model: The model's name, as shown to callers.
        context: Tokens that a prompt and its answer may have together.
        monitor: Whether the engine can answer now.
        admission: Who may run now.
        stall: Seconds of silence in the middle of an answer that count as a failure.
        retrier, load: What repeats calls to the engine, and what it says of its own load.
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
        retries: RetryPolicy = _USUAL_RETRIES,
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
        self.stall = retries.stall
        self.load = LoadWatch(host, pool, profile.load_path, self._headers, admission)
        self.monitor = EngineMonitor(host, pool, profile.ready_path, self._headers, self._warm, self.load.look)
        self._prefixes = Prefixes()
        self.retrier = Retrier(self.monitor, retries)
        self._aborter = Aborter(pool, profile.abort_path, profile.id_field or "", self._headers)

    @asynccontextmanager
    async def admit(self, priority: Priority, deadline: Deadline) -> AsyncGenerator[Slot, None]:
        """Wait for a place at the engine and hold it while the body runs.

        Raises:
            NotReady: the engine cannot answer now.
            Overloaded: too many requests wait already.
            DeadlineExceeded: the deadline passed while waiting.
        """
        if (trouble := self.monitor.trouble) and not self._worth_waiting(deadline):
            raise NotReady(f"The model cannot answer now: {trouble}.", retry_after=self.retry_after)
        if deadline.remaining() <= 0:
            raise deadline.exceeded()
        asked_at = time.monotonic()
        async with self.admission.admit(priority, deadline):
            if (record := current()) is not None:
                record.admitted(asked_at)
            yield Slot(self, deadline)

    @property
    def retry_after(self) -> float:
        """Seconds until the engine should be able to answer."""
        return max(self.monitor.recovery() or 0.0, self.retrier.breaker.left())

    def _worth_waiting(self, deadline: Deadline) -> bool:
        """Whether an engine that is away should be back in time: half of what is left remains for the answer."""
        return self.monitor.seen and (self.monitor.recovery() or 0.0) < deadline.remaining() / 2

    @asynccontextmanager
    async def ask(
        self, generation: Generation, deadline: Deadline, earlier: ServiceError | None = None
    ) -> AsyncGenerator[TokenStream, None]:
        """Start a generation, as often as it takes while nothing is said; for ``Slot`` only."""
        async with AsyncExitStack() as stack:
            if generation.common and self._profile.reads_by_slot:
                await stack.enter_async_context(self._prefixes.lead(generation.messages[0].content))
            begun = self.retrier.begun(lambda: self.open(generation), deadline, earlier)
            yield await stack.enter_async_context(begun)

    @asynccontextmanager
    async def open(self, generation: Generation) -> AsyncGenerator[TokenStream, None]:
        """Start a generation, once."""
        address = self._host.address
        if address is None:
            raise NotReady(
                f"The model cannot answer now: {self._host.trouble}.", retry_after=self.retry_after
            ) from TransportError("no address", before_response=True)
        watch = Watch(generation)
        headers, body = watch.headers(self._headers), to_json(self._wire(generation, watch.name))
        left, tokens = True, None  # left before its end, as far as we know
        try:
            async with self._pool.exchange("POST", address, _PATH, headers=headers, body=body) as response:
                if response.status != 200:  # noqa: PLR2004  the one status that means yes
                    left = False
                    raise await self._refusal(response)
                tokens = TokenStream(response, self._profile)
                await tokens.begin(self.stall)
                try:
                    yield tokens
                finally:
                    left = tokens.finish == "unknown"
        except TransportError as error:
            left = not error.before_response
            raise broken_exchange(error, retry_after=self.retry_after) from error
        finally:
            if left and self._profile.id_field:
                self._aborter.abort(address, watch.name)
            watch.end(tokens)

    async def close(self) -> None:
        """End what runs in the background."""
        await self._aborter.close()

    async def _warm(self) -> None:
        """One token under each grammar: the engine keeps what it has compiled (seconds for Qwen's vocabulary)."""
        self._prefixes.forget()
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
            body: Any = from_json(raw, cache_strings="keys")
        except ValueError:
            body = {}
        error = refused(body, self._profile, status=response.status)
        log.warning("engine refused", status=response.status, size=len(raw), kind=type(error).__name__)
        return error

    def _wire(self, generation: Generation, name: str) -> dict[str, Any]:
        """The request body: only fields named here reach the engine, each from a bounded value."""
        sampling, usual = generation.sampling, self._model_profile
        presence = usual.presence_penalty if sampling.presence_penalty is None else sampling.presence_penalty
        repetition = usual.repetition_penalty if sampling.repetition_penalty is None else sampling.repetition_penalty
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
            self._profile.repetition_field: repetition,
            "stream": True,
            "stream_options": {"include_usage": True},
            **self._profile.extra,
        }
        if usual.template_arguments:
            body["chat_template_kwargs"] = dict(usual.template_arguments)
        if generation.alternatives:
            body["logprobs"], body["top_logprobs"] = True, generation.alternatives
        if sampling.seed is not None:
            body["seed"] = sampling.seed
        if sampling.stop:
            body["stop"] = list(sampling.stop)
        if generation.grammar is not None:
            body[self._profile.grammar_field] = generation.grammar
        if self._profile.priority_field is not None:
            body[self._profile.priority_field] = len(Priority) - int(generation.priority)
        if self._profile.id_field is not None:
            body[self._profile.id_field] = name
        return body
