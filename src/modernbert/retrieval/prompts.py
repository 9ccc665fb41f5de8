"""Words that a model wants before its texts, by name, as sentence-transformers keeps and applies them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self, TypeVar

from modernbert.core.errors import CheckpointError, UserError
from modernbert.retrieval.folder import Settings

Given = TypeVar("Given")


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompts:
    """Prompts by name. A model without any has empty ones for queries and documents, as in the library."""

    named: Mapping[str, str] = field(default_factory=lambda: {"query": "", "document": ""})
    default: str | None = None
    """Name of the prompt for texts of which nothing is said; absent: none."""

    @classmethod
    def of(cls, settings: Settings, where: Path) -> Self:
        """From `config_sentence_transformers.json`.

        Raises:
            CheckpointError: prompts are no texts by name, or the default is none of them.
        """
        found, default = settings.get("prompts") or {}, settings.get("default_prompt_name")
        if not isinstance(found, dict) or not all(isinstance(text, str | None) for text in found.values()):
            raise CheckpointError(f"{where}: prompts: found {found!r}, expected texts by name: correct the folder")
        named = {"query": "", "document": "", **{name: text or "" for name, text in found.items()}}
        if default is not None and default not in named:
            raise CheckpointError(
                f"{where}: default_prompt_name: found {default!r}, expected one of {', '.join(named)}: correct the folder"
            )
        return cls(named=named, default=default if default is None else str(default))

    def choose(self, name: str | None, prompt: str | None) -> str:
        """The prompt said in full, else the one of this name, else the default.

        Raises:
            UserError: there is none of this name.
        """
        if prompt is not None:
            return prompt
        if name is None:
            return self.named[self.default] if self.default is not None else ""
        if name not in self.named:
            raise UserError(
                f"prompt_name: found {name!r}, expected one of {', '.join(self.named)}: or write it as prompt"
            )
        return self.named[name]

    @property
    def for_queries(self) -> str:
        """Name of the prompt that `encode_query` takes."""
        return "query"

    @property
    def for_documents(self) -> str:
        """Name of the prompt that `encode_document` takes: the library asks in this order."""
        return next(name for name in ("document", "passage", "corpus") if name in self.named)


def prompted(texts: Iterable[Given], prompt: str) -> Iterable[Given]:
    """The texts with a prompt before each; what is no text is left for the engine to name. A list stays one."""
    if not prompt:
        return texts
    whole = (prompt + text if isinstance(text, str) else text for text in texts)
    return list(whole) if isinstance(texts, list | tuple) else whole  # type: ignore[return-value]
