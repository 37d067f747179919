"""Our grammars in SGLang's own grammar engine."""

import json
import subprocess
from pathlib import Path

import pytest

from app.tasks.feedback import FEEDBACK
from app.tasks.interview import MESSAGE_FIRST
from app.tasks.report import REPORT
from tests.sglang.conftest import MODEL, cpu_environment
from tests.support.service import clean_environment

pytestmark = [pytest.mark.sglang, pytest.mark.timeout(300)]

FEEDBACK_JSON = '{{"feedback":"{}","improvement_suggestion":null,"score":7}}'


def probe(python: Path, grammar: str, texts: list[str]) -> list[bool]:
    done = subprocess.run(
        [str(python), str(Path(__file__).parent / "xgrammar_probe.py"), str(MODEL)],
        input=json.dumps({"grammar": grammar, "texts": texts}),
        env=clean_environment(**cpu_environment(1)),
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def test_every_hangul_syllable_is_accepted_and_no_han_or_kana(installed: Path) -> None:
    syllables = [chr(code) for code in range(ord("가"), ord("힣") + 1)]
    foreign = [*"件漢字かなカナ", "\n", '"']
    texts = [FEEDBACK_JSON.format(char * 12) for char in [*syllables, *foreign]]
    accepted = probe(installed, FEEDBACK.grammars["ko"], texts)
    assert [char for char, fine in zip(syllables, accepted, strict=False) if not fine] == []
    assert [char for char, fine in zip(foreign, accepted[len(syllables) :], strict=True) if fine] == []


@pytest.mark.parametrize("language", ["ko", "en"])
def test_every_task_grammar_compiles(installed: Path, language: str) -> None:
    for task in (FEEDBACK, MESSAGE_FIRST, REPORT):
        probe(installed, task.grammars["ko" if language == "ko" else "en"], [])
