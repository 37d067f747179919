"""What was said of an answer that broke off -> the shortest legal answer that keeps it. Pure.

What the model did say stays; what it did not is filled with the task's fallback and marked, so that nobody takes the
filling for a judgement.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from app.core.sentences import cut_at_sentence
from app.tasks.shape import Shape

M = TypeVar("M", bound=BaseModel)

_LOOP = re.compile(r"(.{1,80}?)\1{3,}$", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Closed:
    """The values of an answer's fields, and what was done to get them."""

    values: dict[str, Any]
    repaired: list[str]


def close(model: type[M], said: Mapping[str, Any], fallback: Mapping[str, Any], cut: str | None) -> tuple[M, list[str]]:
    """The shortest legal ``model`` that keeps what was said.

    Args:
        model: The answer's model, flat but for lists.
        said: What is known of it; may hold values that are too long, too short or not allowed.
        fallback: What stands for each field that the model did not give; not validated.
        cut: The top-level field in which the text broke off.

    Returns:
        The answer, and for each field that is not as the model said it why.
    """
    closed = Closed({}, [])
    for name, field in model.model_fields.items():
        _close_field(closed, name, field, said, fallback, broken=name == cut)
    return model.model_construct(**closed.values), closed.repaired


def end_sentences(answer: M, shape: Shape[Any]) -> tuple[M, list[str]]:
    """A text that the grammar stopped at a bound was stopped amid a sentence: it ends with its last whole one.

    Args:
        answer: A legal one.
        shape: What it had to be.

    Returns:
        The answer, and for each text that is shorter now that it is.
    """
    given: Any = answer
    kind: Any = type(answer)
    rooted = hasattr(given, "root")  # a step is one of several models
    said: BaseModel = given.root if rooted else given
    whole: dict[str, str] = {}
    for name, text in said:
        if isinstance(text, str) and (at := shape.stopped(name, text)) is not None:
            shorter = cut_at_sentence(text[:at], at)
            if shorter != text.strip():
                whole[name] = shorter
    if not whole:
        return answer, []
    said = said.model_copy(update=whole)
    ended: M = kind.model_construct(said) if rooted else cast("M", said)
    return ended, [f"{name}: cut short" for name in whole]


def _close_field(
    closed: Closed, name: str, field: FieldInfo, said: Mapping[str, Any], fallback: Mapping[str, Any], *, broken: bool
) -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(field.rebuild_annotation())
    value = said.get(name)
    if name in said and not broken and _fits(adapter, value):
        closed.values[name] = adapter.validate_python(value)
        return
    shorter = _shorten(adapter, field, value)
    if shorter is not None:
        closed.values[name] = adapter.validate_python(shorter)
        closed.repaired.append(f"{name}: cut short")
    else:
        closed.values[name] = fallback[name]
        closed.repaired.append(f"{name}: not given by the model")


def _fits(adapter: TypeAdapter[Any], value: object) -> bool:
    try:
        adapter.validate_python(value)
    except ValidationError:
        return False
    return True


def _shorten(adapter: TypeAdapter[Any], field: FieldInfo, value: object) -> object | None:
    """``value`` as whole sentences or whole items, or None if nothing legal is left of it."""
    if isinstance(value, str):
        shorter: object = cut_at_sentence(_LOOP.sub(r"\1", value), _most(field) or len(value) or 1)
    elif isinstance(value, list):
        items = cast("list[object]", value)
        shorter = _whole_items(adapter, items)[: _most(field)]
    else:
        return None
    return shorter if _fits(adapter, shorter) else None


def _whole_items(adapter: TypeAdapter[Any], items: list[object]) -> list[object]:
    return [item for item in items if _fits(adapter, [item])]


def _most(field: FieldInfo) -> int | None:
    return next((rule.max_length for rule in field.metadata if hasattr(rule, "max_length")), None)
