"""The commands that the READMEs print get answers as printed; the English one prints the same (see tests/docs)."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.readme import PRINTED, blocks
from tests.support.service import Service

pytestmark = pytest.mark.timeout(300)

CURLS = [block for block in blocks("README.md", "bash") if block.startswith("curl")]


def test_every_endpoint_has_a_curl_line() -> None:
    assert len(CURLS) == 6


@pytest.mark.parametrize("command", CURLS, ids=range(len(CURLS)))
def test_a_curl_line_gets_an_answer(korean_service: Service, tmp_path: Path, command: str) -> None:
    printed = command.replace(PRINTED, korean_service.url)
    done = subprocess.run(["bash", "-c", printed], cwd=tmp_path, capture_output=True, text=True, check=True)
    if "event: " in done.stdout:
        assert "event: result" in done.stdout
    else:
        assert "error" not in json.loads(done.stdout), done.stdout


def test_the_openai_example_prints_an_answer(korean_service: Service) -> None:
    (example,) = blocks("README.md", "python")
    program = example.replace(PRINTED, korean_service.url)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip()
