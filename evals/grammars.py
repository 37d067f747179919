"""Every grammar that the service may have an engine compile, with the model that its sentences must satisfy."""

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from app.core.prompt_builder import LANGUAGES
from app.tasks.feedback import FREE, SCORED
from app.tasks.interview import MESSAGE_FIRST, THOUGHT_FIRST
from app.tasks.report_parts import REVIEW, REVIEWS, SUMMARY
from app.tasks.report_whole import WHOLE_REPORT
from app.tasks.shape import Shape
from evals.walk_order import Kind


@dataclass(frozen=True, slots=True)
class Walkable:
    """A constraint on decoding and the model that must accept whatever comes of it, behind what it ``begun`` with."""

    text: str
    answer: type[BaseModel]
    kind: Kind = "grammar"
    begun: str = ""


def all_grammars() -> dict[str, Walkable]:
    """By name, for example ``feedback ko``; of shapes that differ in a score only, the free one and one fixed one."""
    step = {f"step {number}": shape for number, shape in enumerate(MESSAGE_FIRST.shapes)}
    thought = {f"step, thought first {number}": shape for number, shape in enumerate(THOUGHT_FIRST.shapes)}
    shapes: dict[str, Shape[Any]] = {
        "feedback": FREE,
        "feedback 7": SCORED[7],
        **step,
        **thought,
        "review": REVIEW,
        "review 7": REVIEWS[7],
        "summary": SUMMARY,
        "whole report": WHOLE_REPORT.shapes[0],
    }
    return {
        f"{name} {language}": Walkable(shape.grammars[language], shape.model, begun=shape.begun)
        for name, shape in shapes.items()
        for language in LANGUAGES
    }


def schema_of(answer: type[BaseModel]) -> dict[str, Any]:
    """What a task that used ``json_schema`` instead of a grammar would send for the same model.

    Without our own keywords: llguidance refuses those it does not know.
    """
    schema = answer.model_json_schema()
    for model in (schema, *schema.get("$defs", {}).values()):
        for value in model.get("properties", {}).values():
            for text in (value, *value.get("anyOf", ())):
                for ours in [key for key in text if key.startswith("x-")]:
                    del text[ours]
    return schema
