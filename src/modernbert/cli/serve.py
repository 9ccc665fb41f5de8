"""`modernbert serve`: models behind an API."""

import os
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass, fields

import tyro

from modernbert.core.packaged import DEFAULT
from modernbert.serve.config import Settings

FROM_TEI = (
    "port", "api_key", "max_concurrent_requests", "max_batch_tokens", "max_client_batch_size", "payload_limit",
    "auto_truncate", "default_prompt_name", "default_prompt", "dtype",
)  # fmt: skip
"""Flags that may also come from the environment, in capitals, as text-embeddings-inference reads them. Not its HOSTNAME: every
container has one, which is no address to listen on."""


SPINS = "1000"
"""What libgomp itself takes where it knows of more threads than cores; else it is 300,000."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Serve(Settings):
    """Answer over HTTP, as OpenAI's and text-embeddings-inference's clients expect: embed, rank, classify, tag, answer, search."""

    models: tyro.conf.Positional[tuple[str, ...]] = ()
    """Packaged models, folders or Hub ids, each as it is or as NAME=MODEL; absent: MODEL_ID, or the packaged model."""

    def run(self) -> None:
        """Serve until stopped."""
        from modernbert.core.errors import require

        for module in ("fastapi", "uvicorn", "httptools", "orjson", "prometheus_client"):
            require(module, extra="serve")
        spin_briefly(os.environ)

        from modernbert.serve.run import run

        settings = Settings(**{field.name: getattr(self, field.name) for field in fields(Settings)})
        run(self.models or (os.environ.get("MODEL_ID") or DEFAULT,), settings)


def spin_briefly(environment: MutableMapping[str, str]) -> None:
    """Let torch's threads sleep soon when they wait for each other, unless the environment says otherwise.

    Read by libgomp when torch is loaded, hence not later. docs/decisions/017 says why.
    """
    if not {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & set(environment):
        environment["GOMP_SPINCOUNT"] = SPINS


def serve_words(words: Sequence[str], environment: Mapping[str, str]) -> list[str]:
    """The words, and those of the environment that they leave unsaid."""
    found = list(words)
    for name in FROM_TEI:
        flag, value = f"--{name.replace('_', '-')}", environment.get(name.upper(), "")
        if not value or any(word.partition("=")[0] == flag for word in words):
            continue
        if name == "auto_truncate":
            found += [flag] if value.lower() in ("1", "true", "yes") else []
        else:
            found += [flag, *(value.replace(",", " ").split() if name == "api_key" else [value])]
    return found
