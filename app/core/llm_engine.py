"""LLMEngine: the process's one client of the engine, over the OpenAI-compatible protocol.

Only an admitted request can generate: ``admit`` gives a ``Slot``, and only a ``Slot`` has ``stream`` and ``complete``.
What is read while it is written is streamed. A plain chat and a single token are not, where the engine can be told to
stop by a name: neither SGLang nor llama.cpp stops at once when the client of a plain request leaves.
"""

import math
import time
from collections.abc import AsyncGenerator, Awaitable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing, asynccontextmanager
from functools import partial

from app.core.abort import Aborter
from app.core.admission import Admission
from app.core.completion import Completion, Pace, read_completion
from app.core.deadline import Deadline
from app.core.engine_errors import broken_exchange
from app.core.engine_events import silence
from app.core.generation import Generation, Message, Priority
from app.core.health import EngineMonitor
from app.core.http_pool import Exchange, HttpPool
from app.core.load_watch import LoadWatch
from app.core.plain_answers import PlainAnswers, refusal_in
from app.core.prefixes import Prefixes
from app.core.retry import Retrier, RetryPolicy
from app.core.slot_copies import SlotCopies
from app.core.token_stream import TokenStream
from app.core.transport_errors import NoConnection, TimedOut, TransportError
from app.core.watch import Watch
from app.core.wire import Wire
from app.engines.base import Address, EngineHost
from app.engines.models import model_profile
from app.engines.profiles import EngineProfile
from app.errors import NotReady, ServiceError
from app.telemetry.record import current

_WARM_TIME = 60.0  # seconds for one grammar; a cold compile takes about two
_PATH = "/v1/chat/completions"
_USUAL_RETRIES = RetryPolicy()
_OK = 200


class Slot:
    """The right to generate, one generation at a time."""

    __slots__ = ("_deadline", "_engine", "_failure")

    def __init__(self, engine: "LLMEngine", deadline: Deadline, failure: ServiceError | None = None) -> None:
        self._engine = engine
        self._deadline = deadline
        self._failure = failure

    @asynccontextmanager
    async def stream(
        self, generation: Generation, *, again: bool = False, until: Deadline | None = None
    ) -> AsyncGenerator[TokenStream, None]:
        """Start a generation. Leaving the block before its end cancels it in the engine.

        With ``again`` it asks anew what the last one in this slot failed to say, and counts as a repetition of it.
        ``until`` is an earlier deadline than that of the slot.

        Raises:
            PromptTooLong: prompt and answer do not fit the model's context.
            Overloaded: the engine's own queue is full.
            NotReady: the engine cannot be reached.
            EngineFailure: it refused for another reason, or answered nonsense.
            DeadlineExceeded: the deadline passed before the block ended.
        """
        deadline, earlier = until or self._deadline, self._failure if again else None
        self._failure = silence()  # if we are cancelled before it has begun
        try:
            async with deadline.enforce(), self._engine.ask(generation, deadline, earlier) as tokens:
                del generation  # see LLMEngine.open
                try:
                    yield tokens
                finally:
                    self._failure = tokens.failure
        except ServiceError as error:
            self._failure = error
            raise

    async def complete(
        self, generation: Generation, *, again: bool = False, until: Deadline | None = None
    ) -> Completion:
        """The whole answer at once.

        ``until`` is an earlier deadline than that of the slot. An engine may be silent until then: what is asked for
        one token comes when its prompt has been read, and how long that takes tells nothing of its pace.

        Raises:
            ServiceError: see ``stream``.
        """
        if not self._engine.stops_by_name:
            return await self._collected(generation, again=again, until=until)
        earlier = self._failure if again else None
        try:
            return await self._engine.complete(generation, until or self._deadline, earlier, paced=until is None)
        except ServiceError as error:
            self._failure = error
            raise

    async def _collected(self, generation: Generation, *, again: bool, until: Deadline | None) -> Completion:
        async with self.stream(generation, again=again, until=until) as tokens:
            tokens.watch()
            texts: list[bytes] = []
            while (more := await tokens.literals()) is not None:
                texts += more
            literal = b'"%b"' % b"".join([text[1:-1] for text in texts])
            return Completion(literal, tokens.finish, tokens.usage, tuple(tokens.alternatives), tokens.reasoning)


class _Admitted:
    """A place at the engine, as ``LLMEngine.admit`` gives it."""

    __slots__ = ("_deadline", "_earlier", "_engine", "_holder", "_priority")

    def __init__(
        self, engine: "LLMEngine", priority: Priority, deadline: Deadline, earlier: ServiceError | None
    ) -> None:
        self._engine = engine
        self._deadline = deadline
        self._earlier = earlier
        self._priority: Priority = priority

    async def __aenter__(self) -> Slot:
        self._engine.check(self._deadline)
        asked_at = time.monotonic()
        self._holder = await self._engine.admission.enter(self._priority, self._deadline)
        if (record := current()) is not None:
            record.admitted(asked_at)
        return Slot(self._engine, self._deadline, self._earlier)

    async def __aexit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        self._engine.admission.leave(self._holder, whole=kind is None)


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
        plain: Makes answers without a task where there is nothing to wait for.
        counts_sentences: Whether a grammar that counts sentences costs it nothing.
        stops_by_name: Whether a generation can be stopped by its name, whatever becomes of its connection.
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
        self._wire = Wire(model, model_profile(model), profile)
        self._pool = pool
        self._headers = {"content-type": "application/json"}
        if api_key:
            self._headers["authorization"] = f"Bearer {api_key}"
        self._grammars = grammars if profile.compiles_grammars else ()
        self.stall = retries.stall
        self.counts_sentences = profile.counts_sentences
        self.stops_by_name = profile.id_field is not None
        self._pace = Pace(retries.stall)
        self.load = LoadWatch(host, pool, profile.load_path, self._headers, admission)
        self.monitor = EngineMonitor(host, pool, profile.ready_path, self._headers, self._warm, self.load.look)
        self._prefixes = Prefixes(len(profile.copies))
        self._copies = SlotCopies(pool, self._headers, profile)
        self.retrier = Retrier(self.monitor, retries)
        self._aborter = Aborter(pool, profile.abort_path, profile.id_field or "", self._headers)
        self.plain = PlainAnswers(
            host=host,
            profile=profile,
            pool=pool,
            wire=self._wire,
            path=_PATH,
            headers=self._headers,
            admission=admission,
            retrier=self.retrier,
            monitor=self.monitor,
            pace=self._pace,
            aborter=self._aborter,
            stall=self.stall,
        )

    def admit(self, priority: Priority, deadline: Deadline, earlier: ServiceError | None = None) -> "_Admitted":
        """Wait for a place at the engine and hold it while the body of ``async with`` runs; gives its ``Slot``.

        ``earlier``: how a generation for the same request broke off before; see ``again`` of ``Slot``.

        Raises:
            NotReady: the engine cannot answer now.
            Overloaded: too many requests wait already.
            DeadlineExceeded: the deadline passed while waiting.
        """
        return _Admitted(self, priority, deadline, earlier)

    def check(self, deadline: Deadline) -> None:
        """Refuse what need not wait for a place; for ``admit`` only."""
        if (trouble := self.monitor.trouble) and not self._worth_waiting(deadline):
            raise NotReady(f"The model cannot answer now: {trouble}.", retry_after=self.retry_after)
        if deadline.remaining() <= 0:
            raise deadline.exceeded()

    @property
    def retry_after(self) -> float:
        """Seconds until the engine should be able to answer."""
        return max(self.monitor.recovery() or 0.0, self.retrier.breaker.left())

    def _worth_waiting(self, deadline: Deadline) -> bool:
        """Whether an engine that is away should be back in time: half of what is left remains for the answer."""
        return self.monitor.seen and (self.monitor.recovery() or 0.0) < deadline.remaining() / 2

    def ask(
        self, generation: Generation, deadline: Deadline, earlier: ServiceError | None = None
    ) -> AbstractAsyncContextManager[TokenStream]:
        """Start a generation, as often as it takes while nothing is said; for ``Slot`` only."""
        begun = self.retrier.begun(partial(self.open, generation), deadline, earlier)
        if generation.common and self._profile.slots_path is not None:
            return self._led(generation, begun)
        return begun

    @asynccontextmanager
    async def _led(
        self, generation: Generation, begun: AbstractAsyncContextManager[TokenStream]
    ) -> AsyncGenerator[TokenStream, None]:
        beginning = generation.messages[0].content
        self._copies.use(beginning)
        async with self._prefixes.lead(beginning) as place:
            async with AsyncExitStack() as stack:
                if place == "beside":
                    await stack.enter_async_context(self._copies.at_hand(self._host.address, beginning))
                async with begun as tokens:
                    await stack.aclose()
                    yield tokens
            if place == "first":
                await self._copies.keep(self._host.address, beginning, tokens.usage)

    def complete(
        self, generation: Generation, deadline: Deadline, earlier: ServiceError | None, *, paced: bool
    ) -> Awaitable[Completion]:
        """The answer in one piece, asked for as often as it takes; for ``Slot`` only."""
        return self.retrier.answered(partial(self.whole, generation, deadline, paced=paced), deadline, earlier)

    @asynccontextmanager
    async def open(self, generation: Generation) -> AsyncGenerator[TokenStream, None]:
        """Start a generation, once.

        Nobody on the way keeps the words of a chat that is being answered: they are what an open stream holds most of.
        """
        address = self._address()
        watch = Watch(generation, streamed=True)
        left, tokens = True, None  # left before its end, as far as we know
        limit = math.inf if generation.max_tokens == 1 else None  # its token and its end wake one up once
        try:
            async with self._exchange(address, generation, watch, stream=True, limit=limit) as response:
                if response.status != _OK:
                    left = False
                    raise refusal_in(await response.read(), self._profile, response.status)
                tokens = TokenStream(response, self._profile)
                await tokens.begin(self.stall)
                if generation.priority is Priority.CHAT:
                    watch.forget()
                del generation
                try:
                    yield tokens
                finally:
                    tokens.close()
                    left = tokens.finish == "unknown"
        except TransportError as error:
            left = not error.before_response
            raise broken_exchange(error, retry_after=self.retry_after) from error
        finally:
            if left and self._profile.id_field:
                self._aborter.abort(address, watch.name)
            watch.end(tokens)

    async def whole(self, generation: Generation, deadline: Deadline, *, paced: bool) -> Completion:
        """Ask for a whole answer, once; ``paced``: it should come at the pace of the last ones."""
        address = self._address()
        watch = Watch(generation, streamed=False)
        left, started, said = True, time.monotonic(), None
        time_left = deadline.expires_at - started
        patience = self._pace.patience(generation.max_tokens) if paced else math.inf
        try:
            limit = min(time_left, patience)
            async with self._exchange(address, generation, watch, stream=False, limit=limit) as response:
                if response.status != _OK:
                    left = False
                    raise refusal_in(await response.read(), self._profile, response.status)
                raw = await response.read()
            left = False
            said = read_completion(raw, self._profile)
        except TimedOut:  # a timer may fire a millisecond early: the clock does not tell which of the two it was
            silent = time_left > (patience if paced else self.stall)
            raise (silence() if silent else deadline.exceeded()) from None
        except NoConnection as error:
            left = False
            raise broken_exchange(error, retry_after=self.retry_after) from error
        except TransportError as error:  # the engine may have been at work, though it had not said anything
            error.before_response = False
            raise broken_exchange(error) from error
        else:
            if paced:
                self._pace.note(time.monotonic() - started, said.usage.completion_tokens)
            return said
        finally:
            if left:
                self._aborter.abort(address, watch.name)
            watch.end(said)

    def _exchange(
        self, address: Address, generation: Generation, watch: Watch, *, stream: bool, limit: float | None
    ) -> Exchange:
        body = self._wire.body(generation, watch.name, stream=stream)
        headers = watch.headers(self._headers)
        return self._pool.exchange("POST", address, _PATH, headers=headers, body=body, limit=limit)

    def _address(self) -> Address:
        if (address := self._host.address) is not None:
            return address
        raise NotReady(
            f"The model cannot answer now: {self._host.trouble}.", retry_after=self.retry_after
        ) from TransportError("no address", before_response=True)

    async def close(self) -> None:
        """End what runs in the background."""
        await self._aborter.close()

    async def _warm(self) -> None:
        """One token under each grammar: the engine keeps what it has compiled (seconds for Qwen's vocabulary)."""
        self._prefixes.forget()
        self._copies.forget()
        for grammar in self._grammars:
            generation = Generation((Message("user", "0"),), max_tokens=1, grammar=grammar)
            async with (
                Deadline.after(_WARM_TIME).enforce(),
                self.open(generation) as tokens,
                aclosing(aiter(tokens)) as text,
            ):
                async for _ in text:
                    pass
