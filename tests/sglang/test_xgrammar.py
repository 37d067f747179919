"""Our grammars in SGLang's own grammar engine."""

import json
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

from app.core.prompt_builder import LANGUAGES, Language
from app.tasks.feedback import FEEDBACK, SCORED
from app.tasks.interview import MESSAGE_FIRST
from app.tasks.judging.rubric import GRAMMAR as DIGIT
from app.tasks.report import REPORT
from tests.sglang.conftest import MODEL, cpu_environment
from tests.support.service import clean_environment

pytestmark = [pytest.mark.sglang, pytest.mark.timeout(300)]

FEEDBACK_JSON = '{{"score":7,"feedback":"{}","improvement_suggestion":null}}'


def probe(python: Path, grammars: Iterable[str], texts: list[str]) -> list[list[bool]]:
    """Which of ``texts`` each grammar accepts."""
    done = subprocess.run(
        [str(python), str(Path(__file__).parent / "xgrammar_probe.py"), str(MODEL)],
        input=json.dumps({"grammars": list(grammars), "texts": texts}),
        env=clean_environment(**cpu_environment(1)),
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def test_every_hangul_syllable_is_accepted_and_no_han_or_kana(installed: Path) -> None:
    syllables = [chr(code) for code in range(ord("가"), ord("힣") + 1)]
    foreign = [*"件漢字かなカナ", "\n", '"']
    shape = SCORED[7]
    texts = [FEEDBACK_JSON.format(char * 12).removeprefix(shape.begun) for char in [*syllables, *foreign]]
    (accepted,) = probe(installed, [shape.grammars["ko"]], texts)
    assert [char for char, fine in zip(syllables, accepted, strict=False) if not fine] == []
    assert [char for char, fine in zip(foreign, accepted[len(syllables) :], strict=True) if fine] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_task_grammar_compiles(installed: Path, language: Language) -> None:
    grammars = [grammar for task in (FEEDBACK, MESSAGE_FIRST, REPORT) for grammar in task.grammars(language)]
    different = dict.fromkeys([DIGIT, *grammars])
    assert len(probe(installed, different, [])) == len(different)
