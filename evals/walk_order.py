"""What ``walks.py`` asks of ``walk_worker.py`` and what it gets back. Imported by both interpreters."""

from typing import Literal, TypeAlias, TypedDict

Kind: TypeAlias = Literal["grammar", "json_schema"]

Fate: TypeAlias = Literal["done", "refused", "stuck", "endless"]
"""How a walk ended: by itself, at a matcher that refused what its own mask allowed, at an empty mask, or not at all."""


class Order(TypedDict):
    """What to walk.

    Attributes:
        vocabulary: Path of the token file.
        engine: A key of ``ENGINES``.
        kind: What the texts are.
        grammars: Texts by name.
        first, step, walks: Walk number ``first``, ``first + step``, ... below ``walks`` of each sampler and grammar.
        seed: The same seed gives the same walks.
        limit: Tokens after which a walk counts as endless.
    """

    vocabulary: str
    engine: str
    kind: Kind
    grammars: dict[str, str]
    first: int
    step: int
    walks: int
    seed: int
    limit: int


class Finished(TypedDict):
    """One walk: ``text`` holds U+FFFD where its bytes are no character."""

    grammar: str
    sampler: str
    text: str
    tokens: int
    hidden: bool
    fate: Fate
