"""What belongs where a text says [MASK]."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast

import numpy as np

from modernbert.core.errors import UserError
from modernbert.infer.engine import Engine, Room, TooLong, longest_text
from modernbert.infer.exported import open_exported
from modernbert.infer.instant import open_instant
from modernbert.infer.light import Light
from modernbert.infer.read import Read
from modernbert.model.hub import folder_of, tokenizer_folder
from modernbert.tasks.prediction import softmax
from modernbert.text.tokenizer import Tokenizer

if TYPE_CHECKING:  # a light model runs where torch is not installed
    from modernbert.model.heads import MaskedLM
    from modernbert.model.store import Dtype
    from modernbert.ops.packed import Packed


@dataclass(frozen=True, slots=True, kw_only=True)
class Guess:
    """One candidate for one [MASK]."""

    token: str
    """As text, with its leading space where it has one: " return"."""
    token_id: int
    score: float
    """Probability among the whole vocabulary."""


_Likeliest = tuple[list[int], list[list[float]], list[list[int]]]
"""For each [MASK] its document, and the probabilities and ids of its candidates."""


class MaskFiller:
    """A masked language model and its tokenizer."""

    def __init__(self, model: "MaskedLM", tokenizer: Tokenizer, *, too_long: TooLong = "refuse") -> None:
        self.model = model
        self.tokenizer = tokenizer
        longest = longest_text(model.config, tokenizer)
        self.engine = Engine(model, tokenizer, Room(longest=longest, too_long=too_long))

    @classmethod
    def from_pretrained(
        cls,
        source: str | Path,
        *,
        too_long: TooLong = "refuse",
        dtype: "Dtype" = "auto",
        device: str = "cpu",
    ) -> Self:
        """From a packaged model ("nano"), a folder or a Hub id of a masked language model, or from an exported folder.

        Texts that are too long are refused by default: cutting one could cut the very [MASK] asked about.
        """
        if (exported := open_exported(source, "fill-mask", dtype=dtype, device=device)) is not None:
            return cls(cast("MaskedLM", exported), exported.tokenizer, too_long=too_long)
        from modernbert.model.heads import MaskedLM
        from modernbert.model.store import load

        folder = folder_of(source)
        model = load(folder, MaskedLM, dtype=dtype, device=device)
        return cls(model, Tokenizer.load(tokenizer_folder(folder)), too_long=too_long)

    @classmethod
    def for_texts(
        cls, source: str | Path, texts: Sequence[str], *, too_long: TooLong = "refuse", dtype: "Dtype" = "auto"
    ) -> Self:
        """The same for these texts, for a process that has no others: what a few need of a small model, NumPy computes."""
        folder = folder_of(source)
        if dtype == "auto" and (instant := open_instant(folder, "fill-mask", texts)) is not None:
            return cls(cast("MaskedLM", instant), instant.tokenizer, too_long=too_long)
        return cls.from_pretrained(folder, too_long=too_long, dtype=dtype)

    def fill(
        self, texts: Iterable[str], *, top_k: int = 5, targets: Sequence[str] | None = None
    ) -> list[list[list[Guess]]]:
        """For each text, for each [MASK] in it, the `top_k` likeliest tokens, best first.

        Args:
            targets: judge these words only, each a single token; a word is taken with a space before it where that is one.

        Raises:
            UserError: a text has no [MASK], or it was cut away; or a target is no single token.
        """
        if isinstance(texts, str):
            raise TypeError("fill takes a list of texts: found one string, write fill([text])")
        if top_k < 1:
            raise UserError(f"top_k: found {top_k}, expected 1 or more")
        among = None if targets is None else tuple(self._token_of(target) for target in targets)
        filled = list(self.engine.run(texts, Read(self._read, (top_k, among))))
        for number, guesses in enumerate(filled):
            if not guesses:
                mask = self.tokenizer.token(self.tokenizer.mask_id)
                raise UserError(f"text {number} has no {mask} to fill: write {mask} where a token is wanted")
        return filled

    def _token_of(self, target: str) -> int:
        """The token of a word: with its space, as words have it within a text, else as it is."""
        ways = self.tokenizer.encode([f" {target}", target], special=False).ids
        single = [ids[0] for ids in ways if len(ids) == 1]
        if not target.strip() or not single:
            raise UserError(
                f"target {target!r} is {len(ways[0])} tokens, expected one: a [MASK] stands for one token; judge longer words "
                "with several [MASK]s, or by modernbert classify --labels"
            )
        return single[0]

    def _read(self, batch: Any, top_k: int, among: tuple[int, ...] | None) -> Sequence[list[list[Guess]]]:
        ways = self._likeliest_light if isinstance(self.model, Light) else self._likeliest
        documents, scores, ids = ways(batch, top_k, among)
        found: list[list[list[Guess]]] = [
            [] for _ in range(len(batch) if isinstance(batch, list) else len(batch.lengths))
        ]
        for document, row_scores, row_ids in zip(documents, scores, ids, strict=True):
            found[document].append(
                [
                    Guess(token=self.tokenizer.decode([token_id], special=True), token_id=token_id, score=score)
                    for token_id, score in zip(row_ids, row_scores, strict=True)
                ]
            )
        return found

    def _likeliest(self, packed: "Packed", top_k: int, among: tuple[int, ...] | None) -> _Likeliest:
        at_M = (packed.ids == self.tokenizer.mask_id).nonzero().squeeze(1)
        if at_M.numel() == 0:
            return [], [], []
        probabilities_MV = self.model(packed, at_M).float().softmax(-1)
        if among is not None:
            probabilities_MV = probabilities_MV[:, list(among)]
        scores, places = probabilities_MV.topk(min(top_k, probabilities_MV.shape[1]), dim=-1)
        ids = places if among is None else places.new_tensor(among)[places]
        return packed.documents[at_M].tolist(), scores.tolist(), ids.tolist()

    def _likeliest_light(self, documents: list[list[int]], top_k: int, among: tuple[int, ...] | None) -> _Likeliest:
        at = [
            (row, place)
            for row, ids in enumerate(documents)
            for place, each in enumerate(ids)
            if each == self.tokenizer.mask_id
        ]
        if not at:
            return [], [], []
        shares_MV = softmax(cast("Light", self.model).rows_at(documents, at))
        if among is not None:
            shares_MV = shares_MV[:, list(among)]
        places = np.argsort(-shares_MV, axis=1, kind="stable")[:, :top_k]
        ids = places if among is None else np.array(among)[places]
        return [row for row, _ in at], np.take_along_axis(shares_MV, places, 1).tolist(), ids.tolist()
