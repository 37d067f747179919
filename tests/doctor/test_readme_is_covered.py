"""Every entry of the README's table of troubles has a check that finds or explains it."""

import re
from pathlib import Path

import pytest

from app.doctor.engine import CONTEXT, ENGINE, KEY
from app.doctor.generation import SPEED
from app.doctor.machine import MODEL_FILE, PORT
from tests.doctor.doctor_command import examined, levels
from tests.simulator.sim_harness import Simulator
from tests.support.service import ROOT

# What marks the symptom of a row, in both languages -> the check that covers it. A new row needs a new line here.
COVERED = {
    "cannot listen on": PORT,
    "nothing answers at": ENGINE,
    "refused this service's key": KEY,
    "prompt_too_long": CONTEXT,
    "^504": SPEED,
    "내려받기|download": MODEL_FILE,
    "CPU": SPEED,
}


def symptoms(name: str, heading: str) -> list[str]:
    section = (ROOT / name).read_text("utf-8").split(f"\n## {heading}\n")[1].split("\n## ")[0]
    found = re.findall(r"^\| (.+?) \| .+ \|$", section, flags=re.MULTILINE)
    return found[1:]  # the first row names the columns


@pytest.mark.parametrize(("name", "heading"), [("README.md", "문제 해결"), ("README.en.md", "Troubleshooting")])
def test_every_trouble_in_the_readme_has_a_check(name: str, heading: str) -> None:
    found = symptoms(name, heading)
    for symptom in found:
        assert any(re.search(mark, symptom) for mark in COVERED), f"no check covers: {symptom}"
    for mark in COVERED:
        assert any(re.search(mark, symptom) for symptom in found), f"no such row any more: {mark}"


def test_the_checks_that_cover_the_readme_are_made(sglang: Simulator, tmp_path: Path) -> None:
    remote = levels(examined(tmp_path, "--json", SGLANG_PORT=str(sglang.port)))
    embedded = levels(examined(tmp_path, "--json", "--embedded", MODELS_DIR=str(tmp_path)))
    assert set(COVERED.values()) <= remote.keys() | embedded.keys()
