"""The documentation builds, and what is generated of it matches its source."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from app.config import Settings
from tests.support.service import ROOT


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=False)


def test_it_builds_without_a_warning(tmp_path: Path) -> None:
    done = run("-m", "sphinx", "--fail-on-warning", "--quiet", "docs", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "ServiceDown" in (tmp_path / "runbook.html").read_text("utf-8")


def test_the_configuration_reference_matches_the_settings() -> None:
    assert run("scripts/configuration.py", "--check").returncode == 0
    rows = re.findall(r"^\| `([A-Z_]+)` \|", (ROOT / "docs" / "configuration.md").read_text("utf-8"), re.MULTILINE)
    assert rows == [name.upper() for name in Settings.model_fields]


def test_the_dashboard_is_what_its_code_makes() -> None:
    assert run("deploy/observability/dashboard.py", "--check").returncode == 0


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda page: page.name)
def test_links_lead_to_files_that_exist(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text("utf-8"))
    assert all((page.parent / link).exists() for link in links), links
