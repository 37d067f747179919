"""The commands that the READMEs print get answers as printed; the English one prints the same (see tests/docs)."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from app.schemas.report import ReportResponse
from tests.support.prompts import has_hangul
from tests.support.readme import PRINTED, blocks
from tests.support.service import Service

pytestmark = pytest.mark.timeout(300)

REPORT = "/api/report"
CURLS = [block for block in blocks("README.md", "bash") if block.startswith("curl")]
OTHERS = [line for line in CURLS if REPORT not in line]


def test_every_endpoint_has_a_curl_line() -> None:
    assert len(CURLS) == 6


@pytest.mark.parametrize("command", OTHERS, ids=range(len(OTHERS)))
def test_a_curl_line_gets_an_answer(korean_service: Service, tmp_path: Path, command: str) -> None:
    said = printed_by(command, korean_service, tmp_path)
    if "event: " in said:
        assert "event: result" in said
    else:
        assert "error" not in json.loads(said), said


def test_the_report_line_judges_every_question(korean_service: Service, tmp_path: Path) -> None:
    (command,) = [one for one in CURLS if REPORT in one]
    report = ReportResponse.model_validate_json(printed_by(command, korean_service, tmp_path))
    scores = [question.score for question in report.question_feedbacks]
    assert len(scores) == 2
    assert report.overall_score == round(10 * sum(scores) / len(scores))
    assert has_hangul(report.summary)


def printed_by(command: str, service: Service, folder: Path) -> str:
    asked = command.replace(PRINTED, service.url)
    return subprocess.run(["bash", "-c", asked], cwd=folder, capture_output=True, text=True, check=True).stdout


def test_the_openai_example_prints_an_answer(korean_service: Service) -> None:
    (example,) = blocks("README.md", "python")
    program = example.replace(PRINTED, korean_service.url)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip()
