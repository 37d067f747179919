"""What one item of a part found out: one line of ``results.jsonl`` each. Scores are on the scale of 0 to 10."""

from pydantic import BaseModel, ConfigDict

from app.schemas.interview import Action
from evals.scoring.suite import Grade


class Result(BaseModel):
    """Base of all results."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Cost(Result):
    """What generations took.

    Attributes:
        generations: How many.
        seconds: From the request to the last token, waiting for a place not included.
        prompt_tokens: Read, those from the prefix cache included.
        completion_tokens: Written.
        cached_tokens: Of ``prompt_tokens``, those from the prefix cache; 0 if the engine tells none.
    """

    generations: int = 0
    seconds: float = 0.0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0


class Judged(Result):
    """One measured answer.

    Attributes:
        expected: The measured score; None if it was found unscorable.
        gate: What stopped it before the model read it.
        review: Whether a person should look.
        entropy: Of the distribution, in bits.
        flags: Kinds of attempts to steer the judge that were found in it.
        found: Whether question and answer were cut out of the prompt as they had been pasted in.
    """

    expected: float | None
    gate: str | None
    review: bool
    entropy: float
    flags: tuple[str, ...]
    found: bool


class Graded(Result):
    """An answer of a known grade, measured."""

    question: str
    grade: Grade
    judged: Judged


class PlainScore(Result):
    """The score that the model put inside the JSON; None if it put none."""

    question: str
    grade: Grade
    score: int | None


class Retested(Result):
    """The same answer in another caller's prompt, or in the same one ``again``."""

    question: str
    grade: Grade
    wrapper: str
    expected: float | None


class Shifted(Result):
    """The same content in two forms."""

    kind: str
    question: str
    base: Judged
    variant: Judged


class Attacked(Result):
    """The same answer without and with an attack on the judge in it."""

    id: str
    kind: str
    language: str
    base: Judged
    injected: Judged


class Stepped(Result):
    """The step taken in one situation.

    Attributes:
        id: Of the situation.
        right: The steps that are right.
        allowed: The steps that the rules left.
        action: The step taken.
        message: What the candidate hears.
        first: Nothing had been asked yet.
        no_answer: The last question was not answered.
        at_limit: No follow-up was left.
        alike: Similarity of the message with the nearest question asked before, 0 to 1.
        korean: Whether the message is in Korean; True if there is none.
        repaired: What had to be changed in the model's answer.
    """

    id: str
    right: tuple[Action, ...]
    allowed: tuple[str, ...]
    action: Action
    message: str | None
    first: bool
    no_answer: bool
    at_limit: bool
    alike: float
    korean: bool
    repaired: tuple[str, ...]


class Spoken(Result):
    """A feedback as a candidate reads it."""

    question: str
    grade: Grade
    score: int
    feedback: str
    attempts: int


class Reported(Result):
    """One report, held against what was asked for.

    Attributes:
        asked: The questions in the prompt.
        told: The questions in the report.
        scores: Of the questions in the report; None where the answer was unscorable.
        overall: The overall score, 0-100.
        quotes: Passages that points rest on.
        verified: How many of them stand word for word in the answer they name.
        points: Strengths and improvements.
        seconds: From the request to the report.
    """

    asked: tuple[str, ...]
    told: tuple[str, ...]
    scores: tuple[int | None, ...]
    overall: int
    quotes: int
    verified: int
    points: int
    seconds: float


class Compared(Result):
    """The same answer by one plain call and by measuring first."""

    question: str
    grade: Grade
    measured: Cost
    plain: Cost
    plain_score: int | None
