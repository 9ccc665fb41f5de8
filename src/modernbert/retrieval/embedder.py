"""Texts to vectors, with sentence-transformers' verbs, from and into its folders.

Shapes:  N texts   Q queries   D width
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self, cast

import numpy as np
from jaxtyping import Float, Shaped

from modernbert.core.errors import UserError
from modernbert.core.log import say
from modernbert.infer.engine import Engine, Room, TooLong, TooLongError, longest_text
from modernbert.infer.exported import open_exported, refuse_exported
from modernbert.infer.instant import open_instant
from modernbert.infer.light import Light
from modernbert.infer.read import Read
from modernbert.infer.ticket import current
from modernbert.model.hub import folder_of, tokenizer_folder
from modernbert.retrieval.chunks import Chunked, Reader, encode_chunks
from modernbert.retrieval.folder import Described, describe, longest_for, whole_number, write
from modernbert.retrieval.precision import Precision, to_precision
from modernbert.retrieval.prompts import Prompts, prompted
from modernbert.retrieval.similarity import Similarity, similar, similarity_named, unit
from modernbert.text.tokenizer import Tokenizer

if TYPE_CHECKING:  # a light model runs where torch is not installed
    from torch import Tensor

    from modernbert.model.encoder import Encoder
    from modernbert.model.pool import Pooling
    from modernbert.model.store import Dtype
    from modernbert.ops.packed import Packed
    from modernbert.retrieval.dense import Dense, Normalize
    from modernbert.retrieval.pooling import Pool


class Embedder:
    """An encoder and its tokenizer, giving one vector a text."""

    def __init__(
        self,
        encoder: "Encoder | Light",
        tokenizer: Tokenizer,
        *,
        pooling: "Pooling | Pool",
        too_long: TooLong = "truncate",
        longest: int | None = None,
        behind: "Sequence[Dense | Normalize]" = (),
        prompts: Prompts | None = None,
        similarity_fn_name: Similarity = "cosine",
        truncate_dim: int | None = None,
    ) -> None:
        """Put the parts together.

        Args:
            longest: tokens a text may have, special ones included; absent: what the model was trained for.
            behind: layers after pooling, in order.
            truncate_dim: first dimensions that are kept, for models trained so (Matryoshka); absent: all.
        """
        self.light = encoder if isinstance(encoder, Light) else None
        """A model that runs without torch, which pools and does the rest by itself; then `encoder` is no module."""
        self.encoder = cast("Encoder", encoder)
        self.tokenizer = tokenizer
        if self.light is None:
            self._take_parts(pooling, behind)
        self.prompts = prompts or Prompts()
        self.similarity_fn_name: Similarity = similarity_fn_name
        self.truncate_dim = truncate_dim
        self.engine = Engine(
            encoder, tokenizer, Room(longest=longest or longest_text(encoder.config, tokenizer), too_long=too_long)
        )

    def _take_parts(self, pooling: "Pooling | Pool", behind: "Sequence[Dense | Normalize]") -> None:
        from torch import nn

        from modernbert.retrieval.pooling import Pool

        self.pool = Pool(how=pooling) if isinstance(pooling, str) else pooling
        self.behind = nn.ModuleList(behind).to(next(self.encoder.parameters()).device)

    @classmethod
    def from_pretrained(
        cls,
        source: str | Path,
        *,
        pooling: "Pooling | None" = None,
        too_long: TooLong = "truncate",
        dtype: "Dtype" = "auto",
        device: str = "cpu",
    ) -> Self:
        """From a packaged model ("nano"), a folder or a Hub id; any task's checkpoint gives its encoder. Or from a folder
        that was exported with the head embedding, which runs in its runtime.

        Args:
            source: the bare name of a packaged model means its `embedding` head, where it has one.
            pooling: absent: what the folder's modules say, or else the model's config.

        Raises:
            UnsupportedError: the folder has modules, or pools, as no ModernBERT embedder does.
        """
        if (exported := open_exported(source, "embedding", dtype=dtype, device=device)) is not None:
            if pooling is not None:
                raise UserError(
                    f"{source}: found pooling {pooling!r}, expected none: an exported graph has its own in it"
                )
            return cls._of_light(exported, describe(exported.folder), exported.manifest.longest, too_long)
        from modernbert.model.encoder import Encoder
        from modernbert.model.store import load
        from modernbert.retrieval.dense import layers_of
        from modernbert.retrieval.pooling import Pool

        folder = folder_of(source, head="embedding")
        said = describe(folder)
        said.expect(("Pooling", "Dense", "Normalize"), "an embedder")
        encoder = load(said.model_folder, Encoder, dtype=dtype, device=device)
        tokenizer = Tokenizer.load(tokenizer_folder(said.model_folder))
        pool = next((Pool.of(step) for step in said.steps if step.kind == "Pooling"), None)
        return cls(
            encoder,
            tokenizer,
            pooling=pooling or pool or encoder.config.classifier_pooling,
            too_long=too_long,
            longest=longest_for(encoder.config, tokenizer, said.max_length),
            behind=layers_of(said.steps),
            prompts=Prompts.of(said.settings, folder),
            similarity_fn_name=similarity_named(said.settings.get("similarity_fn_name"), folder),
            truncate_dim=whole_number(said.settings, "truncate_dim", folder),
        )

    @classmethod
    def for_texts(
        cls,
        source: str | Path,
        texts: Sequence[str],
        *,
        pooling: "Pooling | None" = None,
        too_long: TooLong = "truncate",
        dtype: "Dtype" = "auto",
    ) -> Self:
        """The same for these texts, for a process that has no others: what a few need of a small model, NumPy computes.

        Args:
            texts: with the prompt before each that is given in full, if one is.

        Raises:
            UnsupportedError: as `from_pretrained`.
        """
        folder = folder_of(source, head="embedding")
        said = describe(folder)
        prompt = max(Prompts.of(said.settings, folder).named.values(), key=len)  # one of them may come before each
        whole, is_plain = [prompt + text for text in texts], dtype == "auto" and not said.steps
        if is_plain and (instant := open_instant(folder, "embedding", whole, pooling=pooling)) is not None:
            longest = longest_for(instant.config, instant.tokenizer, said.max_length)
            return cls._of_light(instant, said, longest, too_long)
        return cls.from_pretrained(folder, pooling=pooling, too_long=too_long, dtype=dtype)

    @classmethod
    def _of_light(cls, light: Light, said: Described, longest: int, too_long: TooLong) -> Self:
        return cls(
            light,
            light.tokenizer,
            pooling=light.config.classifier_pooling,
            too_long=too_long,
            longest=longest,
            prompts=Prompts.of(said.settings, light.folder),
            similarity_fn_name=similarity_named(said.settings.get("similarity_fn_name"), light.folder),
            truncate_dim=whole_number(said.settings, "truncate_dim", light.folder),
        )

    @property
    def pooling(self) -> "Pooling":
        """How tokens become one vector."""
        return self.pool.how

    @property
    def width(self) -> int:
        """Numbers in a vector, all dimensions kept."""
        if self.light is not None:
            return self.light.width
        from modernbert.retrieval.dense import width_behind

        return width_behind(self.behind, self.encoder.config.hidden_size)

    def encode(
        self,
        texts: Iterable[str],
        *,
        prompt_name: str | None = None,
        prompt: str | None = None,
        truncate_dim: int | None = None,
        precision: Precision = "float32",
        ranges: Float[np.ndarray, "2 D"] | None = None,
        normalize_embeddings: bool = False,
        show_progress_bar: bool = False,
    ) -> Shaped[np.ndarray, "N D"]:
        """One row a text, in order. An empty text is [CLS][SEP] and gets a vector like any other.

        Args:
            prompt_name: one of the folder's prompts, put before every text; it counts towards the length.
            prompt: the same in full.
            truncate_dim: first dimensions that are kept; absent: what the folder says.
            precision: float32, or fewer bits (see `to_precision`): cut first, normalised next, then quantised.
            ranges: what int8 and uint8 divide, from `ranges_of`; absent: the ranges of these very vectors.
        """
        if isinstance(texts, str):
            raise TypeError("encode takes a list of texts: found one string, write encode([text])")
        dimensions = self._dimensions(truncate_dim)
        before = self.prompts.choose(prompt_name, prompt)
        found = self.engine.run(prompted(texts, before), self._rows_behind(before), show_progress=show_progress_bar)
        vectors_ND = _stacked(found, dimensions, is_unit=normalize_embeddings)
        return to_precision(vectors_ND, precision, ranges=ranges)

    def encode_ids(
        self,
        documents: Iterable[Sequence[int]],
        *,
        prompt_name: str | None = None,
        prompt: str | None = None,
        truncate_dim: int | None = None,
        normalize_embeddings: bool = False,
    ) -> Float[np.ndarray, "N D"]:
        """`encode` for who has token ids, special ones left out: they are put around each, and a prompt before.

        Raises:
            UserError: an id is none of the vocabulary's, or there are more than the model takes and the engine is to refuse.
        """
        dimensions = self._dimensions(truncate_dim)
        before = self.prompts.choose(prompt_name, prompt)
        prompt_ids = self.tokenizer.encode([before], special=False).ids[0]
        whole = [self._enclosed([*prompt_ids, *ids], number) for number, ids in enumerate(documents)]
        return _stacked(self.engine.run_ids(whole, self._rows_behind(before)), dimensions, is_unit=normalize_embeddings)

    def encode_tokens(
        self,
        texts: Iterable[str],
        *,
        prompt_name: str | None = None,
        prompt: str | None = None,
        most_tokens: int | None = None,
    ) -> list[Float[np.ndarray, "T D"]]:
        """One row a token of each text, special ones included: the encoder's states, before pooling.

        Args:
            most_tokens: rows of all texts together.

        Raises:
            UserError: there would be more; or the model is exported.
        """
        self._expect_module("vectors of tokens")
        before = self.prompts.choose(prompt_name, prompt)
        return list(self.engine.run(prompted(texts, before), self._token_rows, most_tokens=most_tokens))

    def encode_query(
        self,
        texts: Iterable[str],
        *,
        truncate_dim: int | None = None,
        precision: Precision = "float32",
        ranges: Float[np.ndarray, "2 D"] | None = None,
        normalize_embeddings: bool = False,
        show_progress_bar: bool = False,
    ) -> Shaped[np.ndarray, "N D"]:
        """Vectors of questions: `encode` with the folder's prompt for queries."""
        return self.encode(
            texts,
            prompt_name=self.prompts.for_queries,
            truncate_dim=truncate_dim,
            precision=precision,
            ranges=ranges,
            normalize_embeddings=normalize_embeddings,
            show_progress_bar=show_progress_bar,
        )

    def encode_document(
        self,
        texts: Iterable[str],
        *,
        truncate_dim: int | None = None,
        precision: Precision = "float32",
        ranges: Float[np.ndarray, "2 D"] | None = None,
        normalize_embeddings: bool = False,
        show_progress_bar: bool = False,
    ) -> Shaped[np.ndarray, "N D"]:
        """Vectors of documents: `encode` with the folder's prompt for documents."""
        return self.encode(
            texts,
            prompt_name=self.prompts.for_documents,
            truncate_dim=truncate_dim,
            precision=precision,
            ranges=ranges,
            normalize_embeddings=normalize_embeddings,
            show_progress_bar=show_progress_bar,
        )

    def encode_chunks(
        self,
        texts: Iterable[str],
        *,
        size: int,
        overlap: int = 0,
        late: bool = False,
        normalize_embeddings: bool = False,
    ) -> list[Chunked]:
        """Vectors of parts of documents, for texts of any length; see `chunks.encode_chunks`."""
        self._expect_module("chunks")
        prompt = self.prompts.choose(self.prompts.for_documents, None)
        reader = Reader(
            engine=self.engine,
            before=self.tokenizer.encode([prompt], special=False).ids[0],
            states=self._states,
            rows=self._rows_behind(prompt),
            project=self.project,
            pools_mean=self.pooling == "mean",
        )
        found = encode_chunks(reader, texts, size=size, overlap=overlap, late=late)
        if normalize_embeddings:
            found = [Chunked(spans=each.spans, vectors=unit(each.vectors)) for each in found]
        return found

    def similarity(
        self, queries: Shaped[np.ndarray, "Q D"], documents: Shaped[np.ndarray, "N D"]
    ) -> Float[np.ndarray, "Q N"]:
        """How alike, as the folder says: cosines unless it says otherwise. Not for packed bits."""
        return similar(queries, documents, self.similarity_fn_name)

    def embed(self, packed: "Packed", prompt_length: int = 0) -> "Tensor":
        """The same for who already has tokens: a tensor [N, D], with gradients if they are on.

        Args:
            prompt_length: tokens before each text, [CLS] included, for folders that do not pool them.
        """
        return self.project(self.pool(self.encoder(packed), packed, prompt_length))

    def project(self, pooled: "Tensor") -> "Tensor":
        """The layers behind pooling, [N, D] to [N, D]."""
        for layer in self.behind:
            pooled = layer(pooled)
        return pooled

    def prompt_length(self, prompt: str) -> int:
        """Tokens that a prompt takes before a text, [CLS] included; 0 without a prompt."""
        if not prompt:
            return 0
        alone = self.tokenizer.encode([prompt], longest=self.engine.room.longest).ids[0]
        return len(alone) - (alone[-1] in self.tokenizer.special_ids)

    def save_pretrained(self, folder: str | Path) -> None:
        """Write a folder that sentence-transformers opens, with equal vectors.

        Raises:
            UserError: the folder holds something.
        """
        self._expect_module("a folder of weights")
        write(
            folder,
            self.encoder,
            self.tokenizer,
            steps=[
                self.pool.step(self.encoder.config.hidden_size),
                *(layer.step("sentence_embedding") for layer in self.behind),  # type: ignore[operator]
            ],
            settings={
                "model_type": "SentenceTransformer",
                "prompts": dict(self.prompts.named),
                "default_prompt_name": self.prompts.default,
                "similarity_fn_name": self.similarity_fn_name,
                "truncate_dim": self.truncate_dim,
            },
            transformer={"max_seq_length": self.engine.room.longest},
        )

    def _rows_behind(self, prompt: str) -> Read[np.ndarray]:
        """How vectors of texts behind this prompt are read. Where all tokens are pooled, its length makes no difference."""
        if self.light is not None:
            return Read(self.light.rows)
        return Read(self._rows, (0 if self.pool.with_prompt else self.prompt_length(prompt),))

    def _expect_module(self, what: str) -> None:
        refuse_exported(self.light, what)

    def _rows(self, packed: "Packed", prompt_length: int) -> list[np.ndarray]:
        return list(self.embed(packed, prompt_length).float().cpu().numpy())

    def _token_rows(self, packed: "Packed") -> list[np.ndarray]:
        return [states_TD.float().cpu().numpy() for states_TD in self._states(packed)]

    def _enclosed(self, ids: Sequence[int], number: int) -> list[int]:
        size, longest = self.encoder.config.vocab_size, self.engine.room.longest
        if strange := [each for each in ids if not 0 <= each < size]:
            raise UserError(f"document {number}: found the token {strange[0]}, expected 0 to {size - 1:,}")
        room = longest - len(self.tokenizer.enclose([]))
        if (cut := len(ids) - room) > 0:
            found = f"document {number} has {longest + cut:,} tokens, expected {longest:,} or fewer"
            if self.engine.too_long == "refuse":
                raise TooLongError(f"{found}: split it, or let its end be cut off with too_long='truncate'")
            if current() is None:
                say(f"{found}: the {cut:,} tokens at its end were not read")
        return self.tokenizer.enclose(ids[:room])

    def _states(self, packed: "Packed") -> "list[Tensor]":
        return list(self.encoder(packed).split(list(packed.lengths)))

    def _dimensions(self, asked: int | None) -> int:
        wanted = self.width if (said := asked or self.truncate_dim) is None else said
        if not 1 <= wanted <= self.width or asked == 0:
            raise UserError(f"truncate_dim: found {asked if asked == 0 else wanted}, expected 1 to {self.width}")
        return wanted


def _stacked(rows: Iterable[np.ndarray], dimensions: int, *, is_unit: bool) -> Float[np.ndarray, "N D"]:
    """Copies of what is kept, so that nothing holds on to the rest."""
    kept = [row if len(row) == dimensions else row[:dimensions].copy() for row in rows]
    vectors_ND = np.stack(kept) if kept else np.zeros((0, dimensions), dtype=np.float32)
    return unit(vectors_ND) if is_unit else vectors_ND
