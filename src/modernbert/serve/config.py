"""What a server is told: names and environment variables are those of text-embeddings-inference where it has one."""

from dataclasses import dataclass

from modernbert.core.dtypes import DtypeName
from modernbert.core.errors import UserError


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Of one server."""

    host: str = "127.0.0.1"
    """Address to listen on; 0.0.0.0 for every network this machine is in."""
    port: int = 3000
    """Port to listen on; 0 takes a free one."""
    api_key: tuple[str, ...] = ()
    """Keys, one of which must come as "Authorization: Bearer KEY"; none: no key is asked for. Others see command lines: use API_KEY."""
    max_concurrent_requests: int = 512
    """Requests that are worked on or wait; more are refused with 429."""
    max_batch_tokens: int = 16_384
    """Tokens of a batch at most. Batches grow up to here while that makes them faster."""
    max_queue_tokens: int = 1_048_576
    """Tokens that may wait; more are refused with 429."""
    max_client_batch_size: int = 32
    """Texts of one request."""
    payload_limit: int = 2_000_000
    """Bytes of a request's body."""
    timeout: float = 60.0
    """Seconds in which a request is answered, or given up with 504."""
    auto_truncate: bool = False
    """Cut the end of a text that is too long for the model, where a request does not say; else it is refused."""
    default_prompt_name: str | None = None
    """Prompt of the model's own that is put before texts to embed, where a request names none."""
    default_prompt: str | None = None
    """The same in full."""
    dtype: DtypeName = "auto"
    """Numbers to compute in; auto: bfloat16 where the device multiplies it, else float32."""
    device: str = "cpu"
    """Where models run: cpu, cuda, cuda:1, mps."""
    index: tuple[str, ...] = ()
    """Indexes to search, as NAME=FOLDER."""

    def __post_init__(self) -> None:
        for name in ("max_concurrent_requests", "max_batch_tokens", "max_queue_tokens", "max_client_batch_size",
                     "payload_limit", "timeout"):  # fmt: skip
            if not getattr(self, name) > 0:
                raise UserError(f"{_flag(name)}: found {getattr(self, name)}, expected more than 0")
        if not 0 <= self.port < 65_536:
            raise UserError(f"--port: found {self.port}, expected 0 to 65535")
        if not all(key.isascii() and key.strip() == key != "" for key in self.api_key):
            raise UserError("--api-key: found an empty key, or one with other characters than ASCII: choose another")
        if self.default_prompt is not None and self.default_prompt_name is not None:
            raise UserError("found --default-prompt and --default-prompt-name, expected one of the two: drop one")
        for name in self.index:
            if not all(name.partition("=")):
                raise UserError(f"--index: found {name!r}, expected NAME=FOLDER")


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"
