"""Late interaction (ColBERT): one vector a token, and documents scored by the best match of each query token.

Shapes:  N texts   T tokens of a text   D width of the encoder   P width of a vector   Q queries
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Self

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from modernbert.core.log import say
from modernbert.infer.engine import Engine, Room, TooLong, TooLongError
from modernbert.infer.read import Read
from modernbert.infer.ticket import current
from modernbert.model.encoder import Encoder
from modernbert.model.hub import folder_of, tokenizer_folder
from modernbert.model.store import Dtype, load
from modernbert.ops.packed import Packed
from modernbert.retrieval.dense import Dense, Normalize, width_behind
from modernbert.retrieval.expansion import Expansion, encode_expanded
from modernbert.retrieval.folder import Step, describe, longest_for, write
from modernbert.retrieval.late_folder import LateSettings, read_late
from modernbert.retrieval.maxsim import Vectors, maxsim
from modernbert.retrieval.prompts import prompted
from modernbert.retrieval.ranked import Ranked, ranking
from modernbert.retrieval.token_pooling import pool_tokens
from modernbert.text.tokenizer import Span, Tokenizer


class LateInteraction:
    """An encoder, its projection and its tokenizer, giving one vector a token."""

    def __init__(
        self,
        encoder: Encoder,
        tokenizer: Tokenizer,
        *,
        behind: Sequence[Dense | Normalize],
        settings: LateSettings | None = None,
        longest: int | None = None,
        too_long: TooLong = "truncate",
    ) -> None:
        """Put the parts together.

        Args:
            behind: layers behind the encoder, in order: the projection, and what brings vectors to length 1.
            longest: tokens a text may have where `settings` do not say; absent: what the model was trained for.
        """
        self.encoder = encoder
        self.tokenizer = tokenizer
        self.behind = nn.ModuleList(behind).to(next(encoder.parameters()).device)
        self.settings = settings or LateSettings()
        most = encoder.config.max_position_embeddings
        whole = longest or longest_for(encoder.config, tokenizer, None)
        self._longest = longest
        self.documents = Engine(
            encoder, tokenizer, Room(longest=min(most, self.settings.document_length or whole), too_long=too_long)
        )
        self.queries = Engine(encoder, tokenizer, Room(longest=min(most, self._query_room(whole)), too_long=too_long))
        self._skipped = _ids_of(self.settings.skiplist, tokenizer)
        token = self.settings.expansion.token if self.settings.expansion else None
        self._expansion_id = tokenizer.mask_id if token is None else tokenizer.id(token)

    @classmethod
    def from_pretrained(
        cls, source: str | Path, *, too_long: TooLong = "truncate", dtype: Dtype = "auto", device: str = "cpu"
    ) -> Self:
        """From a folder or Hub id of sentence-transformers 6 (MultiVectorEncoder), PyLate or Stanford's ColBERT.

        Args:
            source: the bare name of a packaged model means its `late` head, where it has one.

        Raises:
            CheckpointError: it is no such folder.
        """
        folder = folder_of(source, head="late")
        own = describe(folder).model_folder
        tokenizer = Tokenizer.load(tokenizer_folder(own))
        said, settings, behind = read_late(folder, tokenizer)
        encoder = load(own, Encoder, dtype=dtype, device=device)
        longest = longest_for(encoder.config, tokenizer, said.max_length)
        return cls(encoder, tokenizer, behind=behind, settings=settings, longest=longest, too_long=too_long)

    @property
    def width(self) -> int:
        """P."""
        return width_behind(self.behind, self.encoder.config.hidden_size)

    def encode_query(
        self, texts: Iterable[str], *, prompt: str | None = None, show_progress_bar: bool = False
    ) -> list[Float[np.ndarray, "T P"]]:
        """One array a question, behind the folder's marker, and expanded as the folder says.

        Args:
            prompt: in place of the folder's.
        """
        _check_list(texts, "encode_query")
        asked = prompted(texts, self._prompt("query", prompt))
        if self.settings.expansion is None:
            return list(self.queries.run(asked, self._reading("query"), show_progress=show_progress_bar))
        return self._encode_expanded(list(asked), self.settings.expansion)

    def encode_document(
        self,
        texts: Iterable[str],
        *,
        prompt: str | None = None,
        pool_factor: float | None = None,
        show_progress_bar: bool = False,
    ) -> list[Float[np.ndarray, "T P"]]:
        """One array a document, behind the folder's marker, without the tokens of its skiplist. It may have no row.

        Args:
            prompt: in place of the folder's.
            pool_factor: tokens that become one, by meaning; absent: what the folder says.
        """
        _check_list(texts, "encode_document")
        given = prompted(texts, self._prompt(self.settings.prompts.for_documents, prompt))
        rows = self.documents.run(given, self._reading("document"), show_progress=show_progress_bar)
        factor = self.settings.pool_factor if pool_factor is None else pool_factor
        if factor == 1:
            return list(rows)
        return [
            pool_tokens(row, factor, num_protected=self.settings.num_protected, normalize=self.settings.pools_normalize)
            for row in rows
        ]

    def similarity(self, queries: Sequence[Vectors], documents: Sequence[Vectors]) -> Float[np.ndarray, "Q N"]:
        """MaxSim, or its mean over a query's tokens where the folder says so; minus infinity for an empty document."""
        scores_QN = maxsim(queries, documents)
        if self.settings.score == "meanmaxsim":
            scores_QN /= np.maximum(1, [len(query) for query in queries]).astype(np.float32)[:, None]
        return scores_QN

    def rank(
        self, query: str, documents: Sequence[str], *, top_k: int | None = None, return_documents: bool = False
    ) -> list[Ranked]:
        """Documents by their score for a question, best first; equal ones stay in order."""
        scores = self.similarity(self.encode_query([query]), self.encode_document(documents))[0]
        return ranking(scores.tolist(), documents, top_k=top_k, return_documents=return_documents)

    def document_spans(self, texts: Sequence[str]) -> list[list[Span]]:
        """Where the token of each row of `encode_document` stands in its text, in characters: to show what matched.

        The marker and special tokens have `(0, 0)`. Of rows before pooling.
        """
        before = self._prompt(self.settings.prompts.for_documents, None)
        encoded = self.tokenizer.encode(
            prompted(list(texts), before), longest=self.documents.room.longest, offsets=True
        )
        skips = "document" in self.settings.skiplist_tasks
        found = []
        for ids, spans in zip(encoded.ids, encoded.offsets, strict=True):
            kept = self._kept(torch.tensor(ids), skips).tolist()
            moved = [(max(0, start - len(before)), max(0, end - len(before))) for start, end in spans]
            found.append([span for span, is_kept in zip(moved, kept, strict=True) if is_kept])
        return found

    def query_tokens(self, text: str) -> list[str]:
        """The token of each row of `encode_query`, spelled as the vocabulary does."""
        asked = self._prompt("query", None) + text
        ids = self.tokenizer.encode([asked], longest=self.queries.room.longest).ids[0]
        if self.settings.expansion:
            ids = ids + [self._expansion_id] * (self.settings.expansion.length - len(ids))
        kept = self._kept(torch.tensor(ids), "query" in self.settings.skiplist_tasks)
        return [self.tokenizer.token(token_id) for token_id, is_kept in zip(ids, kept.tolist(), strict=True) if is_kept]

    def project(self, hidden: Float[Tensor, "T D"]) -> Float[Tensor, "T P"]:
        """The layers behind the encoder."""
        for layer in self.behind:
            hidden = layer(hidden)
        return hidden.float()

    def save_pretrained(self, folder: str | Path) -> None:
        """Write a folder that sentence-transformers' MultiVectorEncoder opens, with equal vectors.

        Raises:
            UserError: the folder holds something.
        """
        settings = self.settings
        mask = {"skiplist_words": list(settings.skiplist), "skiplist_tasks": list(settings.skiplist_tasks)}
        layers = [layer.step("token_embeddings") for layer in self.behind]  # type: ignore[operator]
        steps = [*layers, Step(kind="MultiVectorMask", settings={**mask, "keep_only_token_ids": None})]
        if settings.pool_factor > 1:
            pooling = {
                "pool_factor": settings.pool_factor,
                "num_protected_tokens": settings.num_protected,
                "normalize_embeddings": settings.pools_normalize,
                "tasks": ["document"],
            }
            steps.append(Step(kind="HierarchicalTokenPooling", settings=pooling))
        write(
            folder,
            self.encoder,
            self.tokenizer,
            steps=steps,
            settings={
                "model_type": "MultiVectorEncoder",
                "prompts": dict(settings.prompts.named),
                "default_prompt_name": settings.prompts.default,
                "similarity_fn_name": settings.score,
            },
            transformer={
                "max_seq_length": self._longest,
                "query_length": settings.query_length,
                "document_length": settings.document_length,
                "query_expansion": settings.expansion and settings.expansion.as_settings(),
            },
        )

    def _query_room(self, whole: int) -> int:
        expansion, said = self.settings.expansion, self.settings.query_length
        if expansion is None:
            return said or whole
        return expansion.length if expansion.strategy == "fixed" else max(said or whole, expansion.length)

    def _prompt(self, name: str, prompt: str | None) -> str:
        return self.settings.prompts.choose(name, prompt)

    def _reading(self, task: str) -> Read[np.ndarray]:
        return Read(self._read, (task in self.settings.skiplist_tasks,))

    def _read(self, packed: Packed, skips: bool) -> list[np.ndarray]:
        return self._kept_rows(self.project(self.encoder(packed)), packed, skips)

    def _read_beside(self, packed: Packed, skips: bool) -> list[np.ndarray]:
        """Expanded queries, all of one length, whose own tokens do not see the expansion: it begins behind [SEP]."""
        ids_NL = packed.ids.view(packed.num_documents, -1)
        length = ids_NL.shape[1]
        places_L = torch.arange(1, length + 1, device=ids_NL.device)
        ends_N = ((ids_NL != self._expansion_id) * places_L).amax(1)
        hidden_NLD = encode_expanded(self.encoder, ids_NL, places_L[None] <= ends_N[:, None])
        return self._kept_rows(self.project(hidden_NLD.flatten(0, 1)), packed, skips)

    def _kept_rows(self, vectors: Float[Tensor, "T P"], packed: Packed, skips: bool) -> list[np.ndarray]:
        kept_T = self._kept(packed.ids.cpu(), skips)
        lengths = list(packed.lengths)
        parts = zip(vectors.cpu().split(lengths), kept_T.split(lengths), strict=True)
        return [vectors[kept].numpy() for vectors, kept in parts]

    def _kept(self, ids: Int[Tensor, "T"], skips: bool) -> Tensor:
        if not skips or self._skipped is None:
            return torch.ones_like(ids, dtype=torch.bool)
        return ~torch.isin(ids, self._skipped)

    def _encode_expanded(self, asked: list[str], expansion: Expansion) -> list[np.ndarray]:
        encoded = self.tokenizer.encode(asked, longest=self.queries.room.longest)
        if num_cut := sum(cut > 0 for cut in encoded.num_cut):
            self._refuse_or_say(num_cut, encoded.num_cut)
        fill = [[self._expansion_id] * (expansion.length - len(ids)) for ids in encoded.ids]
        whole = [ids + more for ids, more in zip(encoded.ids, fill, strict=True)]
        reading = self._reading("query")
        if expansion.is_attended:
            return list(self.queries.run_ids(whole, reading))
        alone = self.queries.run_ids([ids for ids, more in zip(whole, fill, strict=True) if not more], reading)
        beside = self.queries.run_ids(
            [ids for ids, more in zip(whole, fill, strict=True) if more], Read(self._read_beside, reading.given)
        )
        return [next(beside if more else alone) for more in fill]

    def _refuse_or_say(self, num_texts: int, num_cut: list[int]) -> None:
        longest = self.queries.room.longest
        if self.queries.too_long == "refuse":
            first = next(number for number, cut in enumerate(num_cut) if cut)
            raise TooLongError(
                f"query {first} has {longest + num_cut[first]:,} tokens, expected {longest:,} or fewer: shorten it, or let "
                "its end be cut off with too_long='truncate'"
            )
        if current() is None:
            say(
                f"{num_texts} of {len(num_cut)} queries were longer than {longest:,} tokens: {sum(num_cut):,} tokens at their "
                "ends were not read"
            )


def _ids_of(words: Sequence[str], tokenizer: Tokenizer) -> Int[Tensor, "K"] | None:
    """Ids of those words that are one token; the others would never match."""
    found = []
    for word in words:
        try:
            found.append(tokenizer.id(word))
        except ValueError:
            continue
    return torch.tensor(found) if found else None


def _check_list(texts: object, verb: str) -> None:
    if isinstance(texts, str):
        raise TypeError(f"{verb} takes a list of texts: found one string, write {verb}([text])")
