"""The commands that the READMEs print work as printed."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from app.config import Settings
from tests.support.service import ROOT, Service

READMES = ("README.md", "README.en.md")
PRINTED = "http://127.0.0.1:8000"


def blocks(name: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / name).read_text("utf-8"), flags=re.DOTALL)


def test_every_curl_line_gets_an_answer(korean_service: Service, tmp_path: Path) -> None:
    commands = [block for block in blocks("README.md", "bash") if block.startswith("curl")]
    assert len(commands) == 6
    for command in commands:
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


@pytest.mark.parametrize("language", ["bash", "python"])
def test_both_readmes_print_the_same_commands(language: str) -> None:
    korean, english = (blocks(name, language) for name in READMES)
    assert korean == english


@pytest.mark.parametrize("name", READMES)
def test_every_make_target_that_is_printed_exists(name: str) -> None:
    printed = set(re.findall(r"(?:^|`)make ([a-z-]+)", (ROOT / name).read_text("utf-8"), flags=re.MULTILINE))
    defined = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), flags=re.MULTILINE))
    assert printed <= defined


@pytest.mark.parametrize("name", READMES)
def test_the_table_of_settings_is_complete_and_right(name: str) -> None:
    rows = dict(
        re.findall(r"^\| `([A-Z_]+)` \| (?:`(.*?)`)? ?\|", (ROOT / name).read_text("utf-8"), flags=re.MULTILINE)
    )
    for field, info in Settings.model_fields.items():
        default = info.default
        shown = default.get_secret_value() if field == "sglang_api_key" else str(default)
        shown = shown.lower() if isinstance(default, bool) else shown
        assert rows.pop(field.upper()) == shown
    assert not rows


@pytest.mark.parametrize("name", READMES)
def test_links_lead_somewhere(name: str) -> None:
    for link in re.findall(r"\]\(([^)]+)\)", (ROOT / name).read_text("utf-8")):
        assert (ROOT / link).exists(), link
