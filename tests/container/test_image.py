"""The ``api`` image, really built and run: what README and docs/containers.md promise of it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Making the base image takes over a minute on a machine that has never done it.
pytestmark = [pytest.mark.container, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The report of one build and run."""
    report = tmp_path_factory.mktemp("container") / "report.json"
    script = ROOT / "deploy" / "container" / "build_and_run.py"
    done = subprocess.run(
        [sys.executable, str(script), "--report", str(report)], stderr=subprocess.PIPE, text=True, check=False
    )
    if done.returncode != 0:
        pytest.fail(f"The api image could not be built or run here. {done.stderr}", pytrace=False)
    return json.loads(report.read_text("utf-8"))


def test_the_service_answers_health_from_a_real_engine(seen: dict[str, Any]) -> None:
    assert seen["run"]["health"]["status"] == "healthy"
    assert seen["run"]["health"]["engine"] == "embedded"
    assert seen["run"]["answer"]


def test_it_runs_as_an_ordinary_user_named_by_number(seen: dict[str, Any]) -> None:
    uid, gid = (int(part) for part in seen["config"]["User"].split(":"))
    assert uid > 0
    assert gid > 0
    assert (seen["run"]["uid"], seen["run"]["gid"], seen["run"]["groups"]) == (uid, gid, [])


def test_it_needs_no_capability_and_gains_none(seen: dict[str, Any]) -> None:
    assert seen["run"]["capabilities"] == 0
    assert seen["run"]["no_new_privileges"] == 1


def test_the_root_file_system_refuses_writes_and_only_tmp_takes_them(seen: dict[str, Any]) -> None:
    writes = seen["run"]["writes"]
    assert writes.pop("/tmp") == "written"  # noqa: S108  the container's own
    assert set(writes.values()) == {"Read-only file system"}


@pytest.mark.parametrize("moment", ["idle", "answering", "starting"])
def test_sigterm_ends_it_within_ten_seconds_and_leaves_nothing(seen: dict[str, Any], moment: str) -> None:
    """Ten seconds are Docker's patience; then it kills."""
    stop = seen["run"]["stops"][moment]
    assert stop["seconds"] < 10
    assert stop["left_behind"] == 0
    # 143: before the service has a handler, the signal ends it by default.
    assert stop["exit_status"] in ((0, 143) if moment == "starting" else (0,))


def test_its_own_health_check_passes(seen: dict[str, Any]) -> None:
    assert seen["config"]["Healthcheck"]["Test"][-1] == "/health/live"
    assert seen["run"]["healthcheck_status"] == 0


def test_it_holds_no_compiler_and_no_pip_cache(seen: dict[str, Any]) -> None:
    assert seen["compilers"] == []
    assert not seen["pip_cache"]


def test_it_publishes_the_service_and_not_the_engine(seen: dict[str, Any]) -> None:
    assert list(seen["config"]["ExposedPorts"]) == ["8000/tcp"]


def test_no_package_index_or_secret_of_the_builder_is_in_it(seen: dict[str, Any]) -> None:
    assert not [item for item in seen["config"]["Env"] if "PIP_" in item or "INDEX" in item]
