"""The next interview step: rules say what is allowed, the model chooses among it and finds the words."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, Field, RootModel, create_model

from app.core.generation import Priority, Sampling, Usage
from app.core.grammar import at_most, goes_on
from app.core.llm_engine import Slot
from app.core.prompt_builder import Language
from app.core.sentences import cut_at_sentence
from app.schemas.common import Meta
from app.schemas.interview import Action, InterviewStepResponse
from app.schemas.scoring import DecisionMeta
from app.tasks.closing import close
from app.tasks.interview_words import CONTRACT, FALLBACK, LONGEST_OPENING, REPEATED, openings_for, words_for
from app.tasks.judging.asks import asks
from app.tasks.judging.case import Case, read_many
from app.tasks.judging.echo import without_echoes
from app.tasks.judging.integrity import flags_of, judged, told
from app.tasks.judging.measure import heard, measure
from app.tasks.judging.policy import Decision, Rules, asked_before, fresh_question
from app.tasks.shape import Shape
from app.tasks.structured import Call, Policy, Ruling, Task

Order = Literal["message-first", "thought-first"]
"""What the model says first: the words the candidate waits for, or the reason for them."""

_STORED = 255  # characters of `message` that the caller's database takes

_Thought = Annotated[str, Field(min_length=5, max_length=150, json_schema_extra=at_most(1))]
_Message = Annotated[str, Field(min_length=5, max_length=_STORED, json_schema_extra=goes_on(LONGEST_OPENING))]
_Evaluation = Annotated[str | None, Field(min_length=5, max_length=200, json_schema_extra=at_most(1))]


class Asking(BaseModel):
    """The interview goes on: there is always something to say."""

    action: Literal["FOLLOW_UP", "NEW_TOPIC"]
    message: _Message
    evaluation: _Evaluation
    thought: _Thought


class Closing(BaseModel):
    """The phase ends; nothing more is asked."""

    action: Literal["NEXT_PHASE"]
    message: None
    evaluation: _Evaluation
    thought: _Thought


class AskingAfterThought(BaseModel):
    """``Asking``, the reason first."""

    thought: _Thought
    action: Literal["FOLLOW_UP", "NEW_TOPIC"]
    message: _Message
    evaluation: _Evaluation


class ClosingAfterThought(BaseModel):
    """``Closing``, the reason first."""

    thought: _Thought
    action: Literal["NEXT_PHASE"]
    message: None
    evaluation: _Evaluation


Step: TypeAlias = Asking | Closing | AskingAfterThought | ClosingAfterThought
StepAnswer: TypeAlias = RootModel[Any]
"""One of the steps that are allowed. Two shapes, so that the grammar itself knows when ``message`` is null."""

_PARTS: Mapping[Order, tuple[type[BaseModel], type[BaseModel]]] = {
    "message-first": (Asking, Closing),
    "thought-first": (AskingAfterThought, ClosingAfterThought),
}
# Every set of steps that the rules can leave (see ``judging.policy.Rules``), and each step alone, once it is chosen.
_ALLOWED: tuple[tuple[Action, ...], ...] = (
    ("FOLLOW_UP",),
    ("NEW_TOPIC",),
    ("NEXT_PHASE",),
    ("FOLLOW_UP", "NEW_TOPIC"),
    ("NEW_TOPIC", "NEXT_PHASE"),
    ("FOLLOW_UP", "NEW_TOPIC", "NEXT_PHASE"),
)


def _shape(order: Order, allowed: tuple[Action, ...]) -> Shape[StepAnswer]:
    """The shape in which only ``allowed`` can be said."""
    asking, closing = _PARTS[order]
    questions = tuple(action for action in allowed if action != "NEXT_PHASE")
    options: list[Any] = []
    if questions:
        action: Any = (Literal[questions], ...)  # pyright: ignore[reportInvalidTypeForm]  known at run time only
        options.append(create_model(asking.__name__, __base__=asking, action=action))
    if "NEXT_PHASE" in allowed:
        options.append(closing)
    union: Any = options[0] if len(options) == 1 else options[0] | options[1]
    return Shape(create_model("Step", __base__=RootModel[union]))


_KNOWN = {action for allowed in _ALLOWED for action in allowed}

_SHAPES: Mapping[Order, Mapping[tuple[Action, ...], Shape[StepAnswer]]] = {
    order: {allowed: _shape(order, allowed) for allowed in _ALLOWED} for order in _PARTS
}


async def _rule(slot: Slot, call: Call, *, order: Order) -> Ruling[StepAnswer]:
    """Find out what may come next."""
    case = read_many(call.request)
    flags = flags_of(case.last, call.request)
    last = heard(case.last, flags) if case.last else None
    rules = Rules(case, stopped=last is not None and last.stopped is not None)
    measured = None
    if rules.score_matters:  # else every score allows the same steps, and the candidate is waiting
        # Whether it is true does not change what is asked next, and the candidate is waiting.
        measured = await measure(
            slot,
            case,
            last,
            call.spoken,
            call.patience,
            priority=Priority.INTERVIEW_STEP,
            doubting=False,
            memory=call.policy.memory,
        )
    decision = rules.decide(measured.meta.expected if measured else None)
    openings = openings_for(case, call.language, stopped=last is not None and last.stopped is not None)
    marks: dict[str, Any] = {
        "judged": judged(case),
        "integrity_flags": told(flags, case.last),
        "decision": DecisionMeta(allowed=list(decision.allowed), reasons=list(decision.reasons)),
    }
    if measured is not None:
        marks["score"] = measured.meta
    return Ruling(
        shape=_SHAPES[order][decision.allowed],
        words=words_for(decision.allowed, call.spoken, first=case.last is None),
        close=partial(_close, order=order, decision=decision, language=call.language),
        marks=marks,
        usage=measured.usage if measured else Usage(),
        openings={_SHAPES[order][action,].begun: opening for action, opening in openings.items()}
        if order == "message-first"
        else {},
        narrow=_narrow(order, decision),
        object=partial(_objection, case=case, openings=openings, language=call.spoken),
        mend=partial(_mend, case=case, openings=openings, language=call.language),
        finish=partial(_finish, case=case, language=call.language),
    )


def _narrow(order: Order, decision: Decision) -> Callable[[str], Shape[StepAnswer] | None] | None:
    """See ``Ruling.narrow``: only where the action is open and is what the model says first."""
    if order == "thought-first" or len(decision.allowed) == 1:
        return None

    def narrow(token: str) -> Shape[StepAnswer] | None:
        meant: tuple[Action, ...] = tuple([action for action in decision.allowed if action.startswith(token)])
        return _SHAPES[order][meant] if token and len(meant) == 1 else None

    return narrow


def _objection(answer: StepAnswer, *, case: Case, openings: Mapping[Action, str], language: Language) -> str | None:
    step: Step = answer.root
    again = (
        asked_before(step.message.removeprefix(openings.get(step.action, "")), case.exchanges) if step.message else None
    )
    return REPEATED[language].format(again.question) if again else None


def _mend(
    answer: StepAnswer, *, case: Case, openings: Mapping[Action, str], language: Language
) -> tuple[StepAnswer, list[str]]:
    """A question asked before is replaced by one that was not: by then the model has had two tries."""
    step: Step = answer.root
    message = fresh_question(case, language)
    opening = openings.get(step.action)
    if opening and step.message and step.message.startswith(opening):  # it has been heard
        message = f"{opening} {message}"
    return type(answer).model_construct(step.model_copy(update={"message": message})), [
        "message: it was asked before; a prepared question stands in its place"
    ]


def _finish(answer: StepAnswer, *, case: Case, language: Language) -> tuple[StepAnswer, list[str]]:
    """Behind a message that asks nothing stands a prepared question: without one a candidate has nothing to say.

    It is not asked for once more: what was said has been heard already, and goes well before a question. What only
    repeats the candidate's answer is left out first, also of the evaluation.
    """
    step: Step = answer.root
    repaired: list[str] = []
    said = {"message": step.message, "evaluation": step.evaluation}
    known = (case.last.question, case.last.answer) if case.last else ()
    for name, text in said.items():
        if text is not None and (kept := without_echoes(text, known)) != text.strip():
            said[name] = kept or None
            repaired.append(f"{name}: what only repeats question or answer was left out")
    if step.message is not None and not asks(said["message"] or ""):
        follow_up = step.action == "FOLLOW_UP"
        question = str(FALLBACK[language]["message"]) if follow_up else fresh_question(case, language)
        before = cut_at_sentence(said["message"] or "", _STORED - len(question) - 1)
        said["message"] = f"{before} {question}".strip()
        repaired.append("message: it asked nothing; a prepared question was added")
    return (type(answer).model_construct(step.model_copy(update=said)) if repaired else answer), repaired


def settle(answer: StepAnswer, meta: Meta, _: Policy) -> InterviewStepResponse:
    """The step as the endpoint returns it: a message of at most 255 characters, and null exactly with NEXT_PHASE."""
    step: Step = answer.root
    message = None if step.message is None else cut_at_sentence(step.message.strip(), _STORED)
    return InterviewStepResponse(
        thought=step.thought.strip(), action=step.action, message=message, evaluation=step.evaluation, meta=meta
    )


def _close(
    said: Mapping[str, Any], cut: str | None, *, order: Order, decision: Decision, language: Language
) -> tuple[StepAnswer, list[str]]:
    """The shortest legal step that keeps what was said and that the rules allow."""
    action, refused = said.get("action"), list[str]()
    if action not in decision.allowed:
        refused = [f"action: {action} is not allowed now"] if action in _KNOWN else []
        action = decision.allowed[0]
    asking, closing = _PARTS[order]
    ends = action == "NEXT_PHASE"
    fallback = {**FALLBACK[language], "action": action, **({"message": None} if ends else {})}
    known = {**said, "action": action} if said.get("action") not in (None, *decision.allowed) else said
    step, repaired = close(closing if ends else asking, known, fallback, cut)
    return RootModel[Any].model_construct(step), [*refused, *repaired]


def _task(order: Order) -> Task[StepAnswer, InterviewStepResponse]:
    return Task(
        name="interview_step",
        shapes=tuple(_SHAPES[order].values()),
        contract=CONTRACT,
        priority=Priority.INTERVIEW_STEP,
        max_tokens=800,
        sampling=Sampling(temperature=0.7),
        decide=partial(_rule, order=order),
        settle=settle,
    )


MESSAGE_FIRST = _task("message-first")
THOUGHT_FIRST = _task("thought-first")

StepTask: TypeAlias = Task[StepAnswer, InterviewStepResponse]
"""In either order."""


def interview_step(order: Order) -> StepTask:
    """The task that says its fields in ``order``."""
    return MESSAGE_FIRST if order == "message-first" else THOUGHT_FIRST
