"""Which steps of an interview are allowed now. Pure; the model chooses among what is left and writes the words.

What can be decided by rule is not asked of the model: asked for one of three words it is near uniform, and asked in
the caller's shape it ends the phase every time (measured on the embedded model; docs/scoring.md has the table).
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from types import MappingProxyType

from app.core.prompt_builder import Language
from app.schemas.interview import Action
from app.tasks.judging.case import Case, Exchange, Phase
from app.tasks.judging.similar import similarities

FOLLOW_UPS = 2  # on one topic, where neither the request nor the prompt states a limit: the first caller's own limit
ALIKE = 0.6  # similarity from which two questions ask the same; docs/scoring.md has the distribution
NOTHING = 2.5  # of 10: below, where the caller sees its band "insincere", an answer leaves nothing to ask more about
GOOD = 6.5  # of 10: what the caller sees as 7, its band "good"; needs no second follow-up and may end a phase
OPEN = 5.5  # below it an answer is followed up late in a phase, too; from here to GOOD it may be good or not
_IN_DOUBT = "the last answer may be good or not, and the phase has the questions that it needs: a new topic is right"


@dataclass(frozen=True, slots=True)
class Length:
    """How many questions a phase has, follow-ups included: at least ``least``, at most ``most``."""

    least: int
    most: int


# The caller's prompts name no lengths; these are those of a structured interview of about 30 minutes.
LENGTHS: Mapping[Phase, Length] = MappingProxyType(
    {
        "OPENING": Length(2, 5),
        "TECHNICAL": Length(3, 12),
        "PERSONALITY": Length(3, 8),
        "CLOSING": Length(2, 4),
    }
)
_UNKNOWN = Length(3, 12)
_GIVE_UP = 2  # questions after which a phase may end on an answer that was none


@dataclass(frozen=True, slots=True)
class Decision:
    """What may come next, and why the rest may not.

    Attributes:
        allowed: The steps that are left, in a fixed order; never empty.
        reasons: One short sentence for each step that was ruled out.
    """

    allowed: tuple[Action, ...]
    reasons: tuple[str, ...]


class Rules:
    """What ``case``, which holds all that was said in this phase so far, allows."""

    def __init__(self, case: Case, *, stopped: bool) -> None:
        """``stopped``: whether a gate stops the last answer."""
        self._case = case
        self._nothing = stopped

    @property
    def score_matters(self) -> bool:
        """Whether it depends on the score of the last answer: only then is it worth the wait to measure it."""
        return len({self.decide(score).allowed for score in (0.0, NOTHING, OPEN, GOOD)}) > 1

    def decide(self, score: float | None) -> Decision:
        """The steps that are allowed.

        Without an answer there is only NEW_TOPIC. FOLLOW_UP falls away after an answer that is none, by a gate or by
        its score, at the limit, and after a good answer if a follow-up has brought it or the phase is long enough.
        NEXT_PHASE falls away while the phase is short and while the last answer is open and could be followed up.
        Both fall away after an answer between OPEN and GOOD if the phase is long enough.
        Beyond the phase's length there is only NEXT_PHASE.

        Args:
            score: The measured score of the last answer, 0-10; None if it was not measured.
        """
        case, nothing = self._case, self._nothing
        if case.last is None:
            return Decision(("NEW_TOPIC",), ("there is no answer yet: the first question opens a topic",))
        length = LENGTHS[case.phase] if case.phase else _UNKNOWN
        asked = len(case.exchanges)
        if asked >= length.most:
            why = f"{asked} questions were asked, and the phase has at most {length.most}"
            return Decision(("NEXT_PHASE",), (why,))
        follow_up = _against_follow_up(case, score, nothing=nothing, long_enough=asked >= length.least)
        next_phase = _against_next_phase(asked, length, score, nothing=nothing, open_ended=follow_up is None)
        if follow_up == _IN_DOUBT:
            next_phase = _IN_DOUBT
        reasons = {"FOLLOW_UP": follow_up, "NEXT_PHASE": next_phase}
        allowed: tuple[Action, ...] = ("FOLLOW_UP", "NEW_TOPIC", "NEXT_PHASE")
        return Decision(
            tuple(action for action in allowed if not reasons.get(action)),
            tuple(f"{action}: {why}" for action, why in reasons.items() if why),
        )


def _against_follow_up(case: Case, score: float | None, *, nothing: bool, long_enough: bool) -> str | None:
    count, limit = case.follow_up_count or 0, case.follow_up_limit
    limit = FOLLOW_UPS if limit is None else limit
    if nothing or (score is not None and score < NOTHING):
        return "the last answer leaves nothing to ask more about"
    if count >= limit:
        return f"{count} of {limit} follow-ups on this topic are used"
    if score is not None and score >= GOOD:
        if count:
            return "a follow-up has brought a good answer"
        if long_enough:
            return "the last answer is good, and the phase has the questions that it needs"
    elif long_enough and score is not None and score >= OPEN:
        return _IN_DOUBT
    return None


def _against_next_phase(
    asked: int, length: Length, score: float | None, *, nothing: bool, open_ended: bool
) -> str | None:
    least = min(length.least, _GIVE_UP) if nothing else length.least
    if asked < least:
        return f"{asked} of at least {least} questions were asked"
    if open_ended and score is not None and score < GOOD:
        return "the last answer is open and can be followed up"
    return None


def asked_before(message: str, exchanges: Sequence[Exchange]) -> Exchange | None:
    """The earlier question that ``message`` asks again, or None."""
    alike = similarities(message, [exchange.question for exchange in exchanges])
    most = max(alike, default=0.0)
    return exchanges[alike.index(most)] if most >= ALIKE else None


def fresh_question(case: Case, language: Language) -> str:
    """A prepared question of the phase that was not asked yet; the last one if all of them were."""
    prepared = PREPARED[language][case.phase or "TECHNICAL"]
    return next((question for question in prepared if not asked_before(question, case.exchanges)), prepared[-1])


def _read() -> Mapping[Language, Mapping[Phase, Sequence[str]]]:
    text = (resources.files("app.tasks.judging") / "questions.toml").read_text(encoding="utf-8")
    raw = tomllib.loads(text)
    return MappingProxyType({"ko": raw["ko"], "en": raw["en"]})


PREPARED = _read()
"""Questions that fit any interview of a phase."""
