"""How a score came about, and what supports it. Additive parts of ``meta``."""

from pydantic import BaseModel, Field


class ScoreMeta(BaseModel):
    """How one score was measured."""

    expected: float | None = Field(
        ge=0,
        le=10,
        description="The measured score before rounding; null if not measured.",
        examples=[6.4],
    )
    distribution: dict[str, float] = Field(
        description="Probability of each level of the rubric (0 to 5).", examples=[{"3": 0.31, "4": 0.52, "5": 0.17}]
    )
    entropy: float = Field(ge=0, description="Of the distribution, in bits: 0 sure, 2.58 no idea.", examples=[1.2])
    doubt: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="Probability that what is said is false or, in a personal answer, not to be trusted; it changes no "
        "score, and from a third on a review is recommended. Null if not asked: less than 5 is expected, or a step is "
        "decided before a feedback.",
        examples=[0.12],
    )
    method: str = Field(
        description="`expected value of one token`, `mean of 5 samples`, `gate`, `inside the JSON` (not measured: the "
        "model's own number) or `none`.",
        examples=["expected value of one token"],
    )
    gate: str | None = Field(
        None,
        description="Why the answer was not put before the model: empty, noise, unscorable (speech recognition "
        "failed), evasion, repeats_question, one_word, too_short.",
        examples=[None],
    )
    rubric: str = Field(description="Version of the rubric.", examples=["technical-1"])
    reused: bool = Field(
        default=False, description="Measured for an earlier request about the same answer to the same question."
    )
    review_recommended: bool = Field(
        description="A person should look: the score is uncertain or was interfered with, or the answer is little but "
        "a list of names. False is no promise: a model can be sure and wrong, a small one most of all where a false "
        "answer is long."
    )


class IntegrityFlag(BaseModel):
    """A passage that looks like an attempt to steer the judge. It never changes a score silently."""

    kind: str = Field(examples=["score_demand"])
    where: str = Field(description="`user_prompt`, `answer`, or `history.2.answer`.", examples=["user_prompt"])
    start: int = Field(ge=0, description="Where it begins there, in characters.", examples=[120])
    end: int = Field(ge=0, examples=[134])


class Evidence(BaseModel):
    """A passage of an answer, word for word, that a point of the report rests on."""

    field: str = Field(examples=["strengths"])
    index: int = Field(ge=0, description="Of the point in that field.", examples=[0])
    question: int = Field(ge=1, description="Which question's answer it is from, counted from 1.", examples=[2])
    quote: str = Field(examples=["G1으로 바꾸면서 일시 정지 시간을 줄인 경험이 있습니다."])


class DecisionMeta(BaseModel):
    """What the next step was chosen from."""

    allowed: list[str] = Field(description="Steps that the rules left.", examples=[["FOLLOW_UP", "NEW_TOPIC"]])
    reasons: list[str] = Field(description="Why the others were ruled out.", examples=[["1 of 2 follow-ups are used"]])
