"""What the READMEs print is complete, the same in both, and leads somewhere; tests/e2e runs the commands."""

import re

import pytest

from app.config import Settings
from tests.support.readme import READMES, blocks
from tests.support.service import ROOT


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
