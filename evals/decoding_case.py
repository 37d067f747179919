"""What ``decoding.py`` asks of ``decoding_worker.py`` and what it gets back. Imported by both interpreters."""

from typing import TypedDict

from evals.walk_order import Kind


class Case(TypedDict):
    """One constraint in one engine.

    Attributes:
        text: The grammar or schema.
        variants: The same with another literal each.
        answers: Answers that it allows: what masks are timed on.
    """

    name: str
    engine: str
    kind: Kind
    text: str
    variants: list[str]
    answers: list[str]


class Cost(TypedDict):
    """Milliseconds of CPU; ``refused`` holds the engine's words if it does not take the constraint or an answer."""

    name: str
    engine: str
    kind: Kind
    cold: float
    variant: float
    masks: list[float]
    refused: str
