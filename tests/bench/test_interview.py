"""The interview bench: its arithmetic, and a short one on real processes."""

import json
import re
import subprocess
import sys

import pytest

from bench.caller import TURNS, script, step_prompt
from bench.gateways import OURS, PLAIN
from bench.interview import Played, Wait, sooner, table, verdict
from bench.interview_stage import Tokens, tokens_of
from tests.support.service import ROOT


def played(sentence: float, tokens: int) -> Played:
    waits = [Wait(sentence * n, 3.0, 4.0, 6.0) for n in (0.5, 1.0, 9.0)]
    return Played(waits, tokens=Tokens(tokens, 3000, 1000), interviews=1)


def test_the_first_sentence_is_compared_by_medians() -> None:
    assert sooner(played(1.0, 100), played(3.0, 100)) == pytest.approx(3.0)


def test_a_slow_sentence_and_a_wordy_answer_are_both_told() -> None:
    assert verdict(played(1.0, 100), played(2.5, 100), 8) == []
    missed = verdict(played(1.0, 101), played(2.4, 100), 8)
    assert ["2.5 times" in missed[0], "more completion tokens" in missed[1]] == [True, True]


def test_tokens_are_read_from_either_engine() -> None:
    sglang = (
        'sglang:prompt_tokens_total{priority="1"} 70.0\nsglang:prompt_tokens_total{priority="2"} 30\n'
        'sglang:cached_tokens_total{cache_source="device"} 60.0\nsglang:generation_tokens_total{a="b"} 5.0\n'
    )
    assert tokens_of(sglang) == Tokens(5, 100, 40)
    assert tokens_of("llamacpp:prompt_tokens_total 40\nllamacpp:tokens_predicted_total 7\n") == Tokens(7, 40, 40)


def test_both_services_are_given_the_same_words_to_say() -> None:
    ours, plain = script(plainly=False), script(plainly=True)
    for turn in TURNS:
        where = turn.answer or "다음 행동을 결정하세요"
        mine, theirs = json.loads(ours[where]), json.loads(plain[where])
        assert all(mine[name] == theirs[name] for name in ("message", "evaluation", "thought"))


def test_two_candidates_share_the_rules_and_nothing_else() -> None:
    first, second = (step_prompt(name, [("Q", "A")], 0, 300) for name in ("one", "two"))
    assert first["system_prompt"] == second["system_prompt"]
    assert len(first["system_prompt"]) == pytest.approx(1900, abs=40)
    assert first["user_prompt"] != second["user_prompt"]


def test_the_table_has_a_row_for_each_service() -> None:
    lines = table({(1, OURS): played(1.0, 90), (1, PLAIN): played(3.0, 100)}, "as said")
    assert sum(OURS in line or PLAIN in line for line in lines) == 2
    assert "3.00 times sooner, the question 1.00 times, for 0.90 times the completion tokens" in lines[-1]


@pytest.mark.timeout(300)
def test_a_short_interview_is_played_through_both_services_without_a_failure() -> None:
    options = ["--interviews", "1,2", "--steps", "2", "--rounds", "1", "--tps", "200"]
    run = subprocess.run(
        [sys.executable, "-m", "bench", "interview", *options], cwd=ROOT, capture_output=True, text=True, check=False
    )
    rows = re.findall(
        r"^\| ([12]) \| (.+? service) \|.*\| (\d+) \| (\d+) \| [\d,]+ / [\d,]+ \|$", run.stdout, re.MULTILINE
    )
    assert [(count, name) for count, name, _, _ in rows] == [(n, name) for n in "12" for name in (OURS, PLAIN)], run
    assert all(failed == "0" for _, _, failed, _ in rows)
    assert all(int(mine[3]) < int(theirs[3]) for mine, theirs in zip(rows[::2], rows[1::2], strict=True))
