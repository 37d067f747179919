"""Our grammars in both grammar engines that SGLang has: what may be written can be written, and nothing else."""

import json
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

from app.core.grammar import TEXT_CLASS
from app.core.prompt_builder import LANGUAGES, Language
from app.tasks.feedback import FEEDBACK, SCORED
from app.tasks.interview import MESSAGE_FIRST
from app.tasks.judging.rubric import GRAMMAR as DIGIT
from app.tasks.report import REPORT
from tests.sglang.conftest import MODEL, cpu_environment
from tests.support.service import clean_environment

pytestmark = [pytest.mark.sglang, pytest.mark.timeout(300)]

# SGLang is started with llguidance; xgrammar is what it would take by itself.
both = pytest.mark.parametrize("engine", ["llguidance", "xgrammar"])

FEEDBACK_JSON = '{{"score":7,"feedback":"{}","improvement_suggestion":null}}'
CODES = [
    *range(0x20, 0x250),
    *range(0x1100, 0x1200),
    *range(0x2000, 0x2300),
    *range(0x3000, 0x3200),
    *range(0x4E00, 0x4E20),
]


def probe(python: Path, engine: str, grammars: Iterable[str], texts: list[str]) -> list[list[bool]]:
    """Which of ``texts`` each grammar accepts."""
    done = subprocess.run(
        [str(python), str(Path(__file__).parent / "grammar_probe.py"), str(MODEL)],
        input=json.dumps({"engine": engine, "grammars": list(grammars), "texts": texts}),
        env=clean_environment(**cpu_environment(1)),
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


@both
def test_every_hangul_syllable_is_accepted_and_no_han_or_kana(installed: Path, engine: str) -> None:
    syllables = [chr(code) for code in range(ord("가"), ord("힣") + 1)]
    foreign = [*"件漢字かなカナ", "\n", '"']
    shape = SCORED[7]
    texts = [FEEDBACK_JSON.format(char * 12).removeprefix(shape.begun) for char in [*syllables, *foreign]]
    (accepted,) = probe(installed, engine, [shape.grammars["ko"]], texts)
    assert [char for char, fine in zip(syllables, accepted, strict=False) if not fine] == []
    assert [char for char, fine in zip(foreign, accepted[len(syllables) :], strict=True) if fine] == []


@both
def test_a_text_takes_exactly_the_characters_of_its_class(installed: Path, engine: str) -> None:
    shape, written = SCORED[7], re.compile(TEXT_CLASS)
    chars = [chr(code) for code in CODES]
    texts = [FEEDBACK_JSON.format(f"답변 {char} 좋은 답변입니다.").removeprefix(shape.begun) for char in chars]
    (accepted,) = probe(installed, engine, [shape.grammars["ko"]], texts)
    assert [char for char, fine in zip(chars, accepted, strict=True) if fine != bool(written.fullmatch(char))] == []


@both
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_task_grammar_compiles(installed: Path, engine: str, language: Language) -> None:
    grammars = [grammar for task in (FEEDBACK, MESSAGE_FIRST, REPORT) for grammar in task.grammars(language)]
    different = dict.fromkeys([DIGIT, *grammars])
    assert len(probe(installed, engine, different, [])) == len(different)
