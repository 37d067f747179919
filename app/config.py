"""Settings: every environment variable of the README, read once, frozen, checked at start.

Sources, strongest first: the process environment, then ``.env`` in the working directory, then the defaults here.
Only ``app.main``, ``app.cli``, ``app.doctor`` and ``app.wiring`` read settings; everything below takes plain arguments.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.errors import StartupError

LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]
Port = Annotated[int, Field(ge=1, le=65535)]


class Settings(BaseSettings):
    """All settings of the service; names are the environment variables in lower case."""

    model_config = SettingsConfigDict(
        env_file=".env", env_file_encoding="utf-8", env_ignore_empty=True, frozen=True, extra="ignore"
    )

    model_name: str = Field("Qwen/Qwen3-32B-Instruct", min_length=1, description="모델 (hub id 또는 로컬 경로)")
    device: Literal["cuda", "cpu"] = Field("cuda", description="SGLang이 쓰는 장치")
    max_model_len: int = Field(32768, ge=512, le=1_048_576, description="문맥 길이 (토큰)")
    tensor_parallel_size: int = Field(1, ge=1, le=64, description="텐서 병렬 GPU 수")
    sglang_host: str = Field("localhost", min_length=1, description="SGLang 서버 주소")
    sglang_port: Port = Field(30000, description="SGLang 서버 포트")
    sglang_python: str = Field("", description="SGLang이 설치된 파이썬 (빈 값: 이 서비스의 파이썬)")
    sglang_args: str = Field("", description="SGLang에 그대로 넘기는 추가 옵션")
    sglang_max_queue: int = Field(64, ge=1, le=100_000, description="SGLang 안에서 기다리는 요청의 최대 수")
    sglang_api_key: SecretStr = Field(SecretStr(""), description="SGLang API 키 (없으면 빈 값)")
    app_host: str = Field("0.0.0.0", min_length=1, description="이 서비스가 듣는 주소")  # noqa: S104  documented default
    app_port: Port = Field(8000, description="이 서비스가 듣는 포트")
    log_level: LogLevel = Field("INFO", description="로그 수준")
    default_temperature: float = Field(0.7, ge=0, le=2, allow_inf_nan=False, description="채팅의 기본 온도")
    default_max_tokens: int = Field(1000, ge=1, le=131_072, description="채팅의 기본 최대 토큰")
    request_timeout: float = Field(300, gt=0, le=3600, allow_inf_nan=False, description="요청 하나의 제한 시간 (초)")
    feedback_timeout: float = Field(
        0, ge=0, le=3600, allow_inf_nan=False, description="피드백의 제한 시간 (초; 0: 엔진의 기본값)"
    )
    interview_timeout: float = Field(
        0, ge=0, le=3600, allow_inf_nan=False, description="면접 단계의 제한 시간 (초; 0: 엔진의 기본값)"
    )
    report_timeout: float = Field(
        0, ge=0, le=3600, allow_inf_nan=False, description="리포트의 제한 시간 (초; 0: 엔진의 기본값)"
    )
    retry_grace_seconds: float = Field(
        10, ge=0, le=600, allow_inf_nan=False, description="떠난 클라이언트의 같은 요청을 기다리는 시간 (초; 0: 끔)"
    )
    idempotency_seconds: float = Field(
        600, ge=0, le=86_400, allow_inf_nan=False, description="Idempotency-Key로 답을 다시 주는 시간 (초)"
    )
    language: Literal["ko", "en", "auto"] = Field("ko", description="답변의 언어 (auto: 프롬프트의 언어)")
    interview_order: Literal["message-first", "thought-first"] = Field(
        "message-first", description="면접 단계에서 먼저 생성할 것: 할 말 또는 판단 근거"
    )
    stall_timeout: float = Field(
        0,
        ge=0,
        le=600,
        allow_inf_nan=False,
        description="생성이 멈춘 것으로 보고 다시 시도하기까지의 시간 (초; 0: 엔진의 기본값)",
    )
    score_memory_seconds: float = Field(
        3600,
        ge=0,
        le=86_400,
        allow_inf_nan=False,
        description="같은 질문의 같은 답변을 다시 채점하지 않는 시간 (초; 0: 끔)",
    )
    pass_score: int = Field(6, ge=0, le=10, description="합격으로 보는 점수 (0~10)")
    engine: Literal["sglang", "embedded"] = Field("sglang", description="생성 엔진")
    embedded_model: str = Field(
        "qwen2.5-coder-1.5b", min_length=1, description="내장 엔진의 모델: 이름 또는 GGUF 파일 경로"
    )
    models_dir: Path = Field(Path("models"), description="내장 모델을 두는 폴더")
    max_concurrency: int = Field(0, ge=0, le=16384, description="엔진에 동시에 보내는 요청 수 (0: 엔진의 기본값)")
    max_queue: int = Field(256, ge=0, le=100_000, description="차례를 기다리는 요청의 최대 수")
    max_wait: float = Field(
        0, ge=0, le=3600, allow_inf_nan=False, description="차례를 기다리는 최대 시간 (초; 0: 제한 시간까지)"
    )
    max_connections: int = Field(2048, ge=1, le=1_000_000, description="동시에 열린 연결의 최대 수")
    receive_timeout: float = Field(
        20, gt=0, le=600, allow_inf_nan=False, description="요청의 헤더와 본문이 다 와야 하는 시간 (초, 각각)"
    )
    send_timeout: float = Field(
        30, gt=0, le=600, allow_inf_nan=False, description="답을 읽지 않는 클라이언트를 기다리는 시간 (초)"
    )
    drain_delay: float = Field(
        0, ge=0, le=600, allow_inf_nan=False, description="SIGTERM 뒤에도 새 요청을 받는 시간 (초)"
    )
    drain_limit: float = Field(
        7, ge=0, le=3600, allow_inf_nan=False, description="그 뒤 진행 중인 답을 기다리는 시간 (초)"
    )
    metrics: bool = Field(default=True, description="/metrics에 지표를 내보냄")
    otel_exporter_otlp_endpoint: str = Field(
        "", description="추적(trace)을 받는 OpenTelemetry 수집기 주소, 예: http://collector:4318 (빈 값: 끔)"
    )
    audit_log: str = Field("", description="판정 기록(JSON Lines) 파일 (빈 값: 끔)")
    audit_output: bool = Field(default=True, description="판정 기록에 답변 문장도 남김")
    audit_required: bool = Field(default=False, description="기록하지 못한 답변은 내보내지 않음 (503)")
    audit_max_bytes: int = Field(
        104_857_600, ge=65_536, le=1 << 40, description="판정 기록 파일을 새로 시작하는 크기 (바이트)"
    )
    api_keys: str = Field("", description="API 키의 해시 (`llm-service keys create`가 출력하는 JSON)")
    api_keys_file: str = Field("", description="API 키의 해시를 두는 파일; 바뀌면 1초 안에 다시 읽습니다")
    key_requests_per_minute: int = Field(0, ge=0, le=1_000_000, description="키마다 1분의 요청 수 (0: 제한 없음)")
    key_tokens_per_minute: int = Field(0, ge=0, le=1_000_000_000, description="키마다 1분의 토큰 수 (0: 제한 없음)")
    key_concurrency: int = Field(0, ge=0, le=100_000, description="키마다 동시에 진행되는 요청 수 (0: 제한 없음)")
    requests_per_minute: int = Field(0, ge=0, le=1_000_000, description="모두 합쳐 1분의 요청 수 (0: 제한 없음)")
    tokens_per_minute: int = Field(0, ge=0, le=1_000_000_000, description="모두 합쳐 1분의 토큰 수 (0: 제한 없음)")
    cors_origins: str = Field("", description="브라우저에서 부를 수 있는 출처, 쉼표로 구분 (빈 값: 없음)")
    log_text: bool = Field(default=False, description="요청과 답의 본문을 로그에 남김 (지원자의 말이 그대로 남습니다)")
    max_body_bytes: int = Field(1_048_576, ge=1024, le=67_108_864, description="요청 본문의 최대 크기 (바이트)")

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value

    @field_validator("sglang_api_key")
    @classmethod
    def _fits_in_a_header(cls, value: SecretStr) -> SecretStr:
        key = value.get_secret_value()
        if not (key.isascii() and key.isprintable()):
            raise ValueError("a key is printable ASCII on one line")
        return value


def load_settings(**overrides: Any) -> Settings:
    """Read the settings, with ``overrides`` (by field name) stronger than every other source.

    Raises:
        StartupError: a value is not allowed; the message names the variable, its value and what is allowed. Or
            ``.env`` cannot be read as text.
    """
    try:
        return Settings(**overrides)
    except ValidationError as error:
        raise StartupError("\n".join(_explain(item) for item in error.errors())) from None
    except UnicodeDecodeError as error:
        raise StartupError(".env is not UTF-8. Save it in that encoding.") from error


def _explain(item: Any) -> str:
    name = str(item["loc"][0]).upper()
    shown = "(hidden)" if "key" in name.lower() else repr(item["input"])
    return f"{name}={shown} is not allowed: {item['msg'][0].lower()}{item['msg'][1:]}."
