"""Starting, draining, refusing, restarting: the life of the process."""

import signal
from pathlib import Path

import httpx2
import pytest

from tests.simulator.sim_harness import CHAT, FAST, QUESTION, Background, Simulator, running


def probes(sim: Simulator) -> list[int]:
    return [sim.client.get(path).status_code for path in ("/ready", "/health")]


def until_reachable(sim: Simulator) -> None:
    """Try again until the port is open; each try is a new connection."""
    for _ in range(10_000):
        try:
            httpx2.get(f"{sim.url}/ping")
        except httpx2.TransportError:
            continue
        return
    raise AssertionError("the port stayed closed")


def test_sigterm_drains_while_new_requests_are_still_taken() -> None:
    with running({**FAST, "ttft": 600}) as sim:
        call = Background(lambda: sim.ask(rid="old"))
        sim.wait(running=1)
        sim.process.send_signal(signal.SIGTERM)
        while sim.client.get("/ready").status_code == 200:
            pass
        assert probes(sim) == [503, 503]
        sim.configure(ttft=0)
        assert sim.ask(max_tokens=1).status_code == 200
        sim.client.post("/abort_request", json={"rid": "old"})
        assert call.result().json()["choices"][0]["finish_reason"] == "abort"
        assert sim.process.wait(timeout=10) == 0


def test_an_idle_simulator_ends_on_sigterm() -> None:
    with running(FAST) as sim:
        sim.process.send_signal(signal.SIGTERM)
        assert sim.process.wait(timeout=10) == 0


def test_while_starting_the_probes_say_503() -> None:
    with running({**FAST, "starting": 600}) as sim:
        assert probes(sim) == [503, 503]
        assert sim.client.get("/ping").status_code == 200


def test_a_refused_connection_comes_back_on_the_same_port(sim: Simulator) -> None:
    sim.fault("refuse", seconds=0.3)
    with pytest.raises(httpx2.ConnectError):
        httpx2.get(f"{sim.url}/ping")
    until_reachable(sim)
    assert sim.ask(max_tokens=1).status_code == 200


def test_a_restart_cuts_what_runs_and_comes_back_starting() -> None:
    with running({**FAST, "tps": 1}) as sim:
        with sim.in_flight() as answer:
            lines = answer.iter_lines()
            next(lines)
            httpx2.post(f"{sim.url}/_sim/faults", json={"kind": "restart", "seconds": 0.3, "starting": 600})
            with pytest.raises(httpx2.TransportError):
                list(lines)
        with pytest.raises(httpx2.ConnectError):
            httpx2.get(f"{sim.url}/ping")
        until_reachable(sim)
        assert probes(sim) == [503, 503]
        state = sim.state()
        assert (state["running"], state["aborted"], state["status"]) == (0, 1, "Starting")


def test_a_script_file_gives_the_answers(tmp_path: Path) -> None:
    script = tmp_path / "answers.json"
    script.write_text('["first", {"score": 3}]', "utf-8")
    with running(FAST, "--script", str(script)) as sim:
        answers = [sim.client.post(CHAT, json=QUESTION).json()["choices"][0]["message"]["content"] for _ in range(2)]
    assert answers == ["first", '{"score": 3}']


def test_a_bad_option_is_told_on_the_command_line() -> None:
    with pytest.raises(AssertionError, match="greater than or equal to 1"), running({"slots": 0}):
        pass
