"""Dockerfile and compose.yaml, as far as they can be checked without building: this covers the GPU parts."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from compose_spec import PyCompose

from app.config import Settings
from app.engines.models import model_source

ROOT = Path(__file__).resolve().parents[2]
_VARIABLE = re.compile(r"\$\{(\w+):-([^}]*)}")
_HARDENING = ("read_only", "tmpfs", "cap_drop", "security_opt", "pids_limit", "healthcheck", "stop_grace_period")


@pytest.fixture(scope="module")
def text() -> str:
    return (ROOT / "deploy" / "compose.yaml").read_text("utf-8")


@pytest.fixture(scope="module")
def services(text: str) -> dict[str, Any]:
    return yaml.safe_load(_VARIABLE.sub(r"\2", text))["services"]


def _dockerfile() -> str:
    return (ROOT / "Dockerfile").read_text("utf-8")


def _default(argument: str) -> str:
    found = re.search(rf"^ARG {argument}=(\S+)$", _dockerfile(), re.MULTILINE)
    assert found, argument
    return found[1]


def test_the_dockerfile_passes_its_linter() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([hadolint, str(ROOT / "Dockerfile")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_compose_follows_the_specification_and_refers_only_to_what_it_defines(text: str) -> None:
    """The checker knows every key of the specification and refuses any other."""
    document = yaml.safe_load(_VARIABLE.sub(r"\2", text))
    PyCompose.from_json(json.dumps(document)).validate()


def test_the_observability_profile_follows_the_specification_and_mounts_files_that_exist() -> None:
    folder = ROOT / "deploy" / "observability"
    document = yaml.safe_load(_VARIABLE.sub(r"\2", (folder / "compose.yaml").read_text("utf-8")))
    PyCompose.from_json(json.dumps(document)).validate()
    for service in document["services"].values():
        assert service["profiles"] == ["observability"]
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])
        mounted = [volume.split(":")[0] for volume in service["volumes"] if volume.startswith(".")]
        # Relative to the first file of the command, which is deploy/compose.yaml.
        assert mounted
        assert all((ROOT / "deploy" / path).resolve().exists() for path in mounted)


def test_a_mistyped_key_in_compose_is_noticed(text: str) -> None:
    document = yaml.safe_load(_VARIABLE.sub(r"\2", text.replace("cap_drop:", "cap_dropp:")))
    with pytest.raises(ValueError, match="cap_dropp"):
        PyCompose.from_json(json.dumps(document))


def test_each_profile_starts_one_service_and_only_the_gpu_profile_an_engine(services: dict[str, Any]) -> None:
    profiles = {name: service["profiles"] for name, service in services.items()}
    assert profiles == {"embedded": ["embedded"], "api": ["gpu"], "sglang": ["gpu"]}


def test_the_port_of_the_engine_is_not_published(services: dict[str, Any]) -> None:
    assert "ports" not in services["sglang"]
    published = [port for service in services.values() for port in service.get("ports", [])]
    assert published == ["8000:8000"] * 2
    assert re.findall(r"^EXPOSE (.*)$", _dockerfile(), re.MULTILINE) == ["8000"] * 2


def test_the_engine_shares_only_a_network_without_a_way_out_with_the_service(text: str) -> None:
    document = yaml.safe_load(text)
    shared = set(document["services"]["sglang"]["networks"]) & set(document["services"]["api"]["networks"])
    assert shared == {"engine"}
    assert document["networks"]["engine"] == {"internal": True}


@pytest.mark.parametrize("name", ["embedded", "api"])
def test_the_service_is_locked_down(services: dict[str, Any], name: str) -> None:
    service = services[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert {key: service[key] for key in _HARDENING} == {key: services["api"][key] for key in _HARDENING}


def test_defaults_in_compose_are_those_of_the_settings_and_the_dockerfile(text: str) -> None:
    defaults = dict(_VARIABLE.findall(text))
    for name in ("SGLANG_VERSION", "CUDA_IMAGE"):
        assert defaults.pop(name) == _default(name)
    assert defaults.pop("SGLANG_MODEL") == model_source(defaults["MODEL_NAME"])
    settings = Settings.model_fields
    for name, value in defaults.items():
        default = settings[name.lower()].default
        assert value == (default.get_secret_value() if hasattr(default, "get_secret_value") else str(default)), name


def test_the_services_settings_in_compose_exist(services: dict[str, Any]) -> None:
    for name in ("embedded", "api"):
        assert {key.lower() for key in services[name]["environment"]} <= set(Settings.model_fields)


def test_both_targets_start_with_the_services_own_command() -> None:
    commands = re.findall(r'^CMD \["llm-service", (.*)\]$', _dockerfile(), re.MULTILINE)
    assert commands == ['"serve"', '"serve", "--with-engine"']
