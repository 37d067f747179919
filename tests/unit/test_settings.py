import os
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from app.config import Settings, load_settings
from app.errors import StartupError

EXAMPLE = Path(__file__).parents[2] / ".env.example"
# What must be refused, and a word of the reason that must be given.
WRONG = [
    ("DEVICE", "tpu", "'cuda' or 'cpu'"),
    ("MAX_MODEL_LEN", "511", "512"),
    ("MAX_MODEL_LEN", "1048577", "1048576"),
    ("MAX_MODEL_LEN", "32k", "integer"),
    ("TENSOR_PARALLEL_SIZE", "0", "1"),
    ("TENSOR_PARALLEL_SIZE", "65", "64"),
    ("SGLANG_PORT", "0", "1"),
    ("SGLANG_PORT", "65536", "65535"),
    ("SGLANG_PORT", "http", "integer"),
    ("APP_PORT", "-1", "1"),
    ("APP_PORT", "8000.5", "integer"),
    ("LOG_LEVEL", "VERBOSE", "'DEBUG', 'INFO', 'WARNING', 'ERROR' or 'CRITICAL'"),
    ("DEFAULT_TEMPERATURE", "-0.1", "0"),
    ("DEFAULT_TEMPERATURE", "2.1", "2"),
    ("DEFAULT_TEMPERATURE", "nan", "finite"),
    ("DEFAULT_TEMPERATURE", "hot", "number"),
    ("DEFAULT_MAX_TOKENS", "0", "1"),
    ("DEFAULT_MAX_TOKENS", "131073", "131072"),
    ("REQUEST_TIMEOUT", "0", "greater than 0"),
    ("REQUEST_TIMEOUT", "3601", "3600"),
    ("REQUEST_TIMEOUT", "inf", "finite"),
    ("ENGINE", "vllm", "'sglang' or 'embedded'"),
    ("MAX_CONCURRENCY", "-1", "0"),
    ("MAX_CONCURRENCY", "16385", "16384"),
    ("MAX_QUEUE", "-1", "0"),
    ("MAX_QUEUE", "100001", "100000"),
    ("MAX_BODY_BYTES", "1023", "1024"),
    ("MAX_BODY_BYTES", "67108865", "67108864"),
]
SECRET = "sk-very-secret"  # noqa: S105  not one
NAMES = [name.upper() for name in Settings.model_fields]


@pytest.fixture(autouse=True)
def bare_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, and none of our variables set; returns where ``.env`` would be."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.upper() in NAMES]:
        monkeypatch.delenv(name)
    return tmp_path / ".env"


def example() -> dict[str, str]:
    lines = EXAMPLE.read_text("utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def plain(settings: Settings) -> dict[str, Any]:
    values = settings.model_dump()
    return {name: v.get_secret_value() if isinstance(v, SecretStr) else v for name, v in values.items()}


def test_the_example_names_every_setting_and_nothing_else() -> None:
    assert sorted(example()) == sorted(NAMES)


def test_the_defaults_are_those_of_the_example(bare_environment: Path) -> None:
    defaults = plain(load_settings())
    bare_environment.write_text(EXAMPLE.read_text("utf-8"), "utf-8")
    assert plain(load_settings()) == defaults


@pytest.mark.parametrize("name", NAMES)
def test_each_default_is_written_in_the_example(name: str) -> None:
    default = plain(load_settings())[name.lower()]
    shown = str(default).lower() if isinstance(default, bool) else str(default)
    assert shown in {example()[name], example()[name] + ".0"}


def test_every_setting_says_what_it_is_for() -> None:
    assert all(field.description for field in Settings.model_fields.values())


def test_the_environment_beats_the_file_and_an_argument_beats_both(
    bare_environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare_environment.write_text("APP_PORT=1001\nSGLANG_PORT=1002\nMAX_QUEUE=3\n", "utf-8")
    monkeypatch.setenv("APP_PORT", "2001")
    monkeypatch.setenv("MAX_QUEUE", "4")
    settings = load_settings(max_queue=5)
    assert (settings.app_port, settings.sglang_port, settings.max_queue) == (2001, 1002, 5)


def test_an_empty_variable_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_PORT", "")
    assert load_settings().app_port == 8000


def test_variables_of_others_are_ignored(bare_environment: Path) -> None:
    bare_environment.write_text("POSTGRES_PASSWORD=x\n", "utf-8")
    load_settings()


def test_the_log_level_may_be_in_lower_case(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOG_LEVEL", "debug")
    assert load_settings().log_level == "DEBUG"


@pytest.mark.parametrize(("name", "value", "reason"), WRONG)
def test_a_wrong_value_is_refused_with_its_name_and_what_is_allowed(
    name: str, value: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(StartupError) as caught:
        load_settings()
    assert caught.value.message.startswith(f"{name}={value!r} is not allowed: ")
    assert reason in caught.value.message.split("is not allowed: ")[1]
    assert "\n" not in caught.value.message


def test_all_wrong_values_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_PORT", "zero")
    monkeypatch.setenv("ENGINE", "none")
    with pytest.raises(StartupError) as caught:
        load_settings()
    assert re.findall(r"^\w+(?==)", caught.value.message, re.MULTILINE) == ["APP_PORT", "ENGINE"]


def test_a_file_in_another_encoding_is_refused_by_name(bare_environment: Path) -> None:
    bare_environment.write_bytes("# 설정\nAPP_PORT=8001\n".encode("cp949"))
    with pytest.raises(StartupError, match=r"\.env.*UTF-8"):
        load_settings()


def test_a_key_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SGLANG_API_KEY", SECRET)
    settings = load_settings()
    assert settings.sglang_api_key.get_secret_value() == SECRET
    assert SECRET not in f"{settings!r} {settings} {settings.model_dump_json()}"


@pytest.mark.parametrize("key", [SECRET + "\n", SECRET + "\r\nx-admin: 1", "비밀" + SECRET])
def test_a_key_that_fits_in_no_header_is_refused_without_being_shown(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SGLANG_API_KEY", key)
    with pytest.raises(StartupError, match=r"^SGLANG_API_KEY=\(hidden\) is not allowed: .*ASCII") as caught:
        load_settings()
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None


def test_settings_do_not_change() -> None:
    settings = load_settings()
    with pytest.raises(ValidationError, match="frozen"):
        settings.app_port = 1  # pyright: ignore[reportAttributeAccessIssue]
