"""The final report: every answer is measured and reviewed by itself, side by side; then the whole is put into words.

Reviews side by side take the time of one, and an entry can neither be forgotten nor invented: which questions there are
is known from the prompt. Scores come from measurement, ``overall_score`` from the scores.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from functools import partial, reduce
from typing import Any

import structlog

from app.core.deadline import Deadline
from app.core.defuse import defuse
from app.core.generation import Generation, Message, Priority, Sampling, Usage
from app.core.llm_engine import LLMEngine, Slot
from app.core.prompt_builder import Language, build_messages
from app.errors import ServiceError
from app.schemas.common import Meta
from app.schemas.report import QuestionFeedback, ReportResponse
from app.schemas.scoring import IntegrityFlag
from app.schemas.task import TaskRequest
from app.tasks.asking import Asking, Question
from app.tasks.events import Field, Progress, Started
from app.tasks.feedback import own_words, settled_score
from app.tasks.judging.case import Case, Exchange, read_many
from app.tasks.judging.grounding import SHOWS_STRENGTH, grounded
from app.tasks.judging.integrity import flags_of, judged, told
from app.tasks.judging.measure import Measured, heard, measure
from app.tasks.report_parts import (
    REVIEW,
    REVIEW_CONTRACT,
    REVIEWS,
    SUMMARY,
    SUMMARY_CONTRACT,
    Review,
    Summary,
    close_review,
    close_summary,
    no_review,
    review_prompt,
    summary_prompt,
)
from app.tasks.report_whole import NOT_JUDGED, WHOLE_REPORT, overall_score
from app.tasks.shape import Shape
from app.tasks.structured import (
    Call,
    Policy,
    Result,
    TaskEvent,
    answer,
    room,
    token_usage,
    version_of,
    watch_language,
)

_SIDE_BY_SIDE = 16  # reviews of one report at once; the engine's admission bounds them further
_SAMPLING = Sampling(temperature=0.3)
_REVIEW_TOKENS, _SUMMARY_TOKENS = 600, 2_400
_FIELDS = ("question_feedbacks", "summary", "strengths", "improvements", "recommendations", "overall_score")

_Finished = asyncio.Queue[int | asyncio.Task[None]]
"""Numbers of answers that are done, and workers that are."""

log = structlog.get_logger("report")


@dataclass(frozen=True, slots=True)
class _Reviewed:
    """One question of the report, done."""

    review: Review
    measured: Measured
    flags: Sequence[IntegrityFlag]
    usage: Usage
    attempts: int
    repaired: Sequence[str]

    @property
    def counts(self) -> bool:
        """Whether its score is a judgement: what speech recognition lost is not bad, it is unknown."""
        return self.measured.score is not None

    def entry(self, exchange: Exchange) -> QuestionFeedback:
        """As the endpoint returns it."""
        review = self.review
        return QuestionFeedback(
            question=exchange.question,
            answer_summary=review.answer_summary.strip(),
            score=review.score,
            feedback=review.feedback.strip(),
        )


class Report:
    """The task behind ``/api/report``."""

    name = "report"
    priority = Priority.REPORT
    version = version_of("report", REVIEW_CONTRACT, SUMMARY_CONTRACT)

    def __init__(self, sampling: Sampling = _SAMPLING) -> None:
        """``sampling`` is how the tokens of all its texts are drawn."""
        self._sampling = sampling

    def grammars(self, language: Language) -> list[str]:
        """Every grammar it may ask for."""
        shapes = (REVIEW, *REVIEWS, SUMMARY)
        return [*(shape.grammars[language] for shape in shapes), *WHOLE_REPORT.grammars(language)]

    async def run(self, engine: LLMEngine, request: TaskRequest, deadline: Deadline, policy: Policy) -> ReportResponse:
        """Ask the model and return a settled report; see ``structured.answer``."""
        return await answer(self, engine, request, deadline, policy)

    @asynccontextmanager
    async def stream(
        self, engine: LLMEngine, request: TaskRequest, deadline: Deadline, policy: Policy, *, live: bool = True
    ) -> AsyncGenerator[AsyncIterator[TaskEvent[ReportResponse]], None]:
        """The report as it is written: ``Started``, progress, one ``Result``. Leaving the block early cancels it.

        Entering waits for a place at the engine, so that a refusal can still be a clean status.

        Raises:
            ServiceError: see ``LLMEngine.admit`` and ``Slot.stream``; also from the iterator.
        """
        case = read_many(request)
        if not case.exchanges:
            async with WHOLE_REPORT.stream(engine, request, deadline, policy, live=live) as events:
                yield events
            return
        call = Call.of(request, deadline, policy, live=live)
        async with engine.admit(Priority.REPORT, deadline) as slot:
            writing = _Writing(engine, slot, call, case, deadline, self._sampling)
            async with aclosing(writing.events()) as events:
                yield events


REPORT = Report()


class _Writing:
    """One report on its way."""

    def __init__(
        self, engine: LLMEngine, slot: Slot, call: Call, case: Case, deadline: Deadline, sampling: Sampling
    ) -> None:
        self._sampling = sampling
        self._engine = engine
        self._slot = slot
        self._call = call
        self._case = case
        self._deadline = deadline
        self._left = list(reversed(range(len(case.exchanges))))
        self._done: dict[int, _Reviewed] = {}
        self._failure: ServiceError | None = None

    async def events(self) -> AsyncGenerator[TaskEvent[ReportResponse], None]:
        """Progress, then the result."""
        yield Started("report", _FIELDS)
        async with aclosing(self._reviews()) as finished:
            async for number in finished:
                if self._call.live:
                    entry = self._done[number].entry(self._case.exchanges[number])
                    yield Field(f"question_feedbacks.{number}", entry.model_dump(mode="json"))
        said_something = any(one.attempts for one in self._done.values())
        if self._failure is not None and not said_something:
            raise self._failure
        asking = Asking(self._summary_question(), self._call.patience)
        try:
            async with aclosing(asking.events(self._slot, live=self._call.live)) as events:
                async for progress in events:
                    yield progress
        except ServiceError:
            if not said_something:
                raise
            asking.give_up()  # the reviews are worth more than the refusal of the summary
        body = self._body(asking)
        watch_language(body, self._call.language)
        for progress in self._corrections(asking, body) if self._call.live else ():
            yield progress
        yield Result(body)

    async def _reviews(self) -> AsyncGenerator[int, None]:
        """Review all answers side by side; the numbers of those that are done, as they are.

        The place that the report has already works through them; more workers help as far as they are admitted.
        """
        finished: _Finished = asyncio.Queue()
        workers = [asyncio.create_task(self._work(finished, self._slot), name="report worker")]
        more = min(_SIDE_BY_SIDE, len(self._case.exchanges)) - 1
        workers += [asyncio.create_task(self._help(finished), name="report worker") for _ in range(more)]
        for worker in workers:
            worker.add_done_callback(finished.put_nowait)  # one that broke down has answers that nobody else gives
        left = len(self._case.exchanges)
        try:
            while left:
                news = await finished.get()
                if isinstance(news, int):
                    left -= 1
                    yield news
                else:
                    news.result()
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)

    async def _help(self, finished: _Finished) -> None:
        """Work with a place of its own, if there is one to be had."""
        try:
            async with self._engine.admit(Priority.REPORT, self._deadline) as slot:
                await self._work(finished, slot)
        except ServiceError as error:
            log.info("a report has fewer places", reason=type(error).__name__)

    async def _work(self, finished: _Finished, slot: Slot) -> None:
        while self._left:
            number = self._left.pop()
            self._done[number] = await self._review(number, slot)
            finished.put_nowait(number)

    async def _review(self, number: int, slot: Slot) -> _Reviewed:
        exchange, call = self._case.exchanges[number], self._call
        found = flags_of(exchange, call.request)
        measured = await measure(
            slot,
            self._case,
            heard(exchange, found),
            call.spoken,
            call.patience,
            priority=Priority.REPORT,
            memory=call.policy.memory,
        )
        score, words = settled_score(measured, call.spoken)
        flags = told(found, exchange, f"history.{number}.answer")
        asking = Asking(self._review_question(exchange, score, words), call.patience)
        try:
            review = await asking.run(slot)
        except ServiceError as error:
            self._failure = error
            review = no_review(5 if score is None else score, call.language)
            lost = [f"question_feedbacks.{number}: not given by the model"]
            return _Reviewed(review, measured, flags, measured.usage, 0, lost)
        repaired = [f"question_feedbacks.{number}.{repair}" for repair in asking.repaired]
        return _Reviewed(review, measured, flags, measured.usage.and_of(asking.usage), asking.attempts, repaired)

    def _review_question(self, exchange: Exchange, score: int | None, words: str) -> Question[Review]:
        call = self._call
        shape = (REVIEW if score is None else REVIEWS[score]).on(self._engine)
        contract = REVIEW_CONTRACT.text(call.spoken, call.language)
        system, *_ = build_messages(call.request.system_prompt, "", contract)
        user = Message("user", defuse(review_prompt(exchange, words, call.spoken)))
        close = partial(close_review, score=5 if score is None else score, language=call.language)
        finish = partial(_finish, heard=(exchange.question, exchange.answer, contract, words), language=call.language)
        generation = self._generation((system, user), _REVIEW_TOKENS, shape)._replace(common=True)
        return Question("report", shape, generation, close, finish=finish)

    def _summary_question(self) -> Question[Summary]:
        call = self._call
        contract = SUMMARY_CONTRACT.text(call.spoken, call.language)
        system, *_ = build_messages(call.request.system_prompt, "", contract)
        user = Message("user", summary_prompt(self._case.exchanges, self._scores(), call.spoken))
        close = partial(close_summary, language=call.language)
        shape = SUMMARY.on(self._engine)
        return Question("report", shape, self._generation((system, user), _SUMMARY_TOKENS, shape), close)

    def _generation(self, messages: tuple[Message, ...], tokens: int, shape: Shape[Any]) -> Generation:
        return Generation(
            messages=messages,
            max_tokens=room(messages, tokens, self._engine.context),
            sampling=self._sampling,
            grammar=shape.grammars[self._call.language],
            priority=Priority.REPORT,
            begun=shape.begun,
        )

    def _ordered(self) -> list[_Reviewed]:
        return [self._done[number] for number in range(len(self._case.exchanges))]

    def _scores(self) -> list[int]:
        return [one.review.score for one in self._ordered()]

    def _body(self, asking: Asking[Summary]) -> ReportResponse:
        said, done, scores = asking.answer, self._ordered(), self._scores()
        exchanges = self._case.exchanges
        strengths, shown = grounded("strengths", said.strengths, exchanges, scores, least=SHOWS_STRENGTH)
        improvements, missed = grounded("improvements", said.improvements, exchanges, scores)
        repaired = [*(repair for one in done for repair in one.repaired), *asking.repaired]
        repaired += _dropped("strengths", said.strengths, strengths)
        repaired += _dropped("improvements", said.improvements, improvements)
        counted = [one.review.score for one in done if one.counts]
        if not counted:
            repaired.append("overall_score: not judged")
        meta = Meta(
            engine=self._engine.name,
            model=self._engine.model,
            finish=asking.ending,
            attempts=max([asking.attempts, *(one.attempts for one in done)]),
            repaired=repaired,
            usage=token_usage(reduce(Usage.and_of, (one.usage for one in done), asking.usage)),
            judged=judged(self._case),
            scores=[one.measured.meta for one in done],
            evidence=[*shown, *missed],
            integrity_flags=[flag for one in done for flag in one.flags],
        )
        return ReportResponse(
            summary=said.summary.strip(),
            strengths=strengths,
            improvements=improvements,
            recommendations=list(dict.fromkeys(point.strip() for point in said.recommendations)),
            overall_score=overall_score(counted) if counted else NOT_JUDGED,
            question_feedbacks=[one.entry(exchange) for one, exchange in zip(done, exchanges, strict=True)],
            meta=meta,
        )

    def _corrections(self, asking: Asking[Summary], body: ReportResponse) -> Sequence[Progress]:
        told_so_far: Mapping[str, Any] = asking.told
        return list(asking.teller.correct(told_so_far, body))


def _finish(review: Review, heard: Sequence[str], language: Language) -> tuple[Review, list[str]]:
    """The review in the judge's own words; its summary of the answer may repeat it."""
    feedback, repaired = own_words(review.feedback, review.score, heard, language)
    return review.model_copy(update={"feedback": feedback}), repaired


def _dropped(field: str, said: Sequence[object], kept: Sequence[object]) -> list[str]:
    count = len(said) - len(kept)
    return [f"{field}: {count} without a passage of an answer to rest on, dropped"] if count else []
