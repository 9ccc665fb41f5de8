"""Pairs to scores: a question and a document read together, with the verbs of sentence-transformers' CrossEncoder.

Shapes:  M pairs   C labels
"""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast

import numpy as np
from jaxtyping import Float

from modernbert.core.errors import CheckpointError, UserError
from modernbert.core.log import say
from modernbert.infer.engine import Engine, Room, TooLong, TooLongError
from modernbert.infer.exported import Exported, open_exported
from modernbert.infer.ticket import current
from modernbert.model.hf_config import from_file
from modernbert.retrieval.folder import Settings, describe, longest_for, read_json, write
from modernbert.retrieval.prompts import Prompts
from modernbert.retrieval.ranked import Ranked, ranking
from modernbert.text.tokenizer import Tokenizer

if TYPE_CHECKING:  # an exported model runs where torch is not installed
    import torch
    from torch import nn

    from modernbert.model.heads import SequenceClassifier
    from modernbert.model.store import Dtype

Pair = tuple[str, str]

_ARCHITECTURE = "ModernBertForSequenceClassification"
_SIGMOID = "torch.nn.modules.activation.Sigmoid"
_IDENTITY = "torch.nn.modules.linear.Identity"
_AT_ONCE = 1024
"""Pairs that are turned into tokens together."""


class Reranker:
    """A sequence classifier over pairs, and its tokenizer.

    A pair longer than the model takes loses the end of its document, and the count is said; a question is never cut.
    Stock cuts the longer of the two, so it gives equal scores wherever the document is that one.
    """

    def __init__(
        self,
        model: "SequenceClassifier",
        tokenizer: Tokenizer,
        *,
        activation: str | None = None,
        longest: int | None = None,
        too_long: TooLong = "truncate",
        prompts: Prompts | None = None,
    ) -> None:
        """Put the parts together.

        Args:
            activation: torch's name of what is done to the logits; absent: a sigmoid for one label, nothing for more.
            longest: tokens of a pair, special ones included; absent: what the model was trained for.
        """
        self.model = model
        self.tokenizer = tokenizer
        self.activation = activation or (_SIGMOID if len(model.config.labels) == 1 else _IDENTITY)
        self._activate = _activation_of(self.activation, is_exported=isinstance(model, Exported))
        self.prompts = prompts or Prompts(named={})
        self.longest = longest or longest_for(model.config, tokenizer, None)
        self.engine = Engine(model, tokenizer, Room(longest=self.longest, too_long=too_long))

    @classmethod
    def from_pretrained(
        cls, source: str | Path, *, too_long: TooLong = "truncate", dtype: "Dtype" = "auto", device: str = "cpu"
    ) -> Self:
        """From a folder or Hub id of a CrossEncoder, or of any ModernBERT sequence classifier with one label or more.

        Args:
            source: the bare name of a packaged model means its `reranker` head, where it has one.

        Raises:
            CheckpointError: it holds a model of another kind, whose head would be drawn anew and mean nothing.
        """
        if (exported := open_exported(source, "text-classification", dtype=dtype, device=device)) is not None:
            return cls._of_exported(exported, too_long)
        from modernbert.model.heads import SequenceClassifier
        from modernbert.model.hub import folder_of, tokenizer_folder
        from modernbert.model.store import load

        folder = folder_of(source, head="reranker")
        said = describe(folder)
        said.expect((), "a reranker")
        config, architecture = from_file(said.model_folder / "config.json")
        if architecture != _ARCHITECTURE:
            raise CheckpointError(
                f"{folder}: found {architecture or 'no architecture'}, expected {_ARCHITECTURE}: name a cross-encoder, or "
                "train one"
            )
        model = cast("SequenceClassifier", load(said.model_folder, SequenceClassifier, dtype=dtype, device=device))
        tokenizer = Tokenizer.load(tokenizer_folder(said.model_folder))
        return cls(
            model,
            tokenizer,
            activation=_activation(said.settings, said.model_folder),
            longest=longest_for(config, tokenizer, said.max_length),
            too_long=too_long,
            prompts=Prompts.of({"prompts": {}, **said.settings}, folder),
        )

    @classmethod
    def _of_exported(cls, exported: Exported, too_long: TooLong) -> Self:
        folder = exported.folder
        settings = describe(folder).settings
        return cls(
            cast("SequenceClassifier", exported),
            exported.tokenizer,
            activation=_activation(settings, folder),
            longest=exported.manifest.longest,
            too_long=too_long,
            prompts=Prompts.of({"prompts": {}, **settings}, folder),
        )

    @property
    def num_labels(self) -> int:
        """C."""
        return len(self.model.config.labels)

    def predict(
        self,
        pairs: Iterable[Pair],
        *,
        prompt_name: str | None = None,
        prompt: str | None = None,
        activation_fn: "Callable[[torch.Tensor], torch.Tensor] | nn.Module | None" = None,
        apply_softmax: bool = False,
        show_progress_bar: bool = False,
    ) -> Float[np.ndarray, "M"] | Float[np.ndarray, "M C"]:
        """One score a pair, in order; of a model with several labels, one row.

        Args:
            pairs: of question and document.
            prompt_name: one of the folder's prompts, put before every question.
            prompt: the same in full.
            activation_fn: in place of the folder's.
            apply_softmax: turn several labels' scores into probabilities.

        Raises:
            UserError: something is no pair, or a question alone is too long.
        """
        before = self.prompts.choose(prompt_name, prompt)
        documents = self._tokenized(pairs, before)
        rows = list(self.engine.run_ids(documents, self._logits, show_progress=show_progress_bar))
        logits_MC = np.stack(rows) if rows else np.zeros((0, self.num_labels), dtype=np.float32)
        scores_MC = (_in_torch(activation_fn) if activation_fn else self._activate)(logits_MC)
        if self.num_labels == 1:
            return scores_MC[:, 0]
        return _softmax(scores_MC) if apply_softmax else scores_MC

    def rank(
        self,
        query: str,
        documents: Sequence[str],
        *,
        top_k: int | None = None,
        return_documents: bool = False,
        show_progress_bar: bool = False,
    ) -> list[Ranked]:
        """Documents by their score for a question, best first; equal ones stay in order.

        Raises:
            UserError: the model has several labels, none of which is the score.
        """
        if self.num_labels != 1:
            raise UserError(
                f"found a model with {self.num_labels} labels, expected one to rank by: use predict and choose a column"
            )
        scores = self.predict([(query, document) for document in documents], show_progress_bar=show_progress_bar)
        return ranking(scores.tolist(), documents, top_k=top_k, return_documents=return_documents)

    def save_pretrained(self, folder: str | Path) -> None:
        """Write a folder that sentence-transformers' CrossEncoder opens, with equal scores.

        Raises:
            UserError: the folder holds something.
        """
        write(
            folder,
            self.model,
            self.tokenizer,
            steps=[],
            settings={
                "model_type": "CrossEncoder",
                "activation_fn": self.activation,
                "prompts": {name: text for name, text in self.prompts.named.items() if text},
                "default_prompt_name": self.prompts.default,
            },
            transformer={"max_seq_length": self.longest, "transformer_task": "sequence-classification"},
        )

    def _logits(self, batch: Any) -> list[np.ndarray]:
        return self.model.rows(batch)

    def _tokenized(self, pairs: Iterable[Pair], before: str) -> list[list[int]]:
        if isinstance(pairs, str):
            raise TypeError("predict takes a list of pairs: found one string, write predict([(question, document)])")
        given = list(pairs)
        documents: list[list[int]] = []
        num_cut = num_tokens = 0
        for start in range(0, len(given), _AT_ONCE):
            some = given[start : start + _AT_ONCE]
            for number, pair in enumerate(some, start):
                if isinstance(pair, str) or len(pair) != 2:
                    raise UserError(
                        f"pairs[{number}] is no pair: found {pair!r:.60}, expected a question and a document"
                    )
            asked = self.tokenizer.encode([before + question for question, _ in some], special=False).ids
            told = self.tokenizer.encode([document for _, document in some], special=False).ids
            for number, (question, document) in enumerate(zip(asked, told, strict=True), start):
                room = self._room(question, number)
                if (cut := len(document) - room) > 0:
                    self._refuse(cut, number)
                    num_cut, num_tokens = num_cut + 1, num_tokens + cut
                documents.append(self.tokenizer.enclose(question, document[:room]))
        if num_cut and current() is None:
            say(
                f"{num_cut} of {len(given)} pairs were longer than {self.longest:,} tokens: {num_tokens:,} tokens at the ends "
                "of their documents were not read"
            )
        return documents

    def _room(self, question: list[int], number: int) -> int:
        room = self.longest - len(self.tokenizer.enclose(question, []))
        if room < 1:
            raise UserError(
                f"the question of pair {number} has {len(question):,} tokens, which leaves no room for a document in "
                f"{self.longest:,}: ask a shorter question"
            )
        return room

    def _refuse(self, cut: int, number: int) -> None:
        if self.engine.too_long == "refuse":
            raise TooLongError(
                f"pair {number} has {self.longest + cut:,} tokens, expected {self.longest:,} or fewer: split its document, or "
                "let its end be cut off with too_long='truncate'"
            )


def _softmax(scores_MC: np.ndarray) -> np.ndarray:
    weights_MC = np.exp(scores_MC - scores_MC.max(-1, keepdims=True, initial=-np.inf))
    return weights_MC / weights_MC.sum(-1, keepdims=True)


def _activation_of(name: str, *, is_exported: bool) -> Callable[[np.ndarray], np.ndarray]:
    """What is done to logits; of an exported model the two that rerankers have, without torch."""
    if is_exported and name == _SIGMOID:
        return lambda logits: (0.5 + 0.5 * np.tanh(0.5 * logits)).astype(np.float32)
    if is_exported and name == _IDENTITY:
        return lambda logits: logits
    from modernbert.retrieval.dense import activation_of

    return _in_torch(activation_of(name, "activation_fn"))


def _in_torch(activate: "Callable[[torch.Tensor], torch.Tensor]") -> Callable[[np.ndarray], np.ndarray]:
    import torch

    def run(logits: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return activate(torch.from_numpy(logits)).numpy()

    return run


def _activation(settings: Settings, folder: Path) -> str | None:
    """Where three generations of folders keep it."""
    config = read_json(folder / "config.json", dict)
    assert isinstance(config, dict)
    inside = config.get("sentence_transformers")
    found = (
        settings.get("activation_fn")
        or (inside.get("activation_fn") if isinstance(inside, dict) else None)
        or config.get("sbert_ce_default_activation_function")
    )
    return None if found is None else str(found)
