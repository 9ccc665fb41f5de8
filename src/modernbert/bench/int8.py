"""What int8 costs a model on somebody's texts, beside float32 on the same weights: states, vectors, guesses, neighbours.

Both run in the CPU kernels and share their weights; only the layers' matrices differ.

Shapes:  T tokens   N texts   M masked tokens   D width   V vocabulary
"""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from modernbert.bench.timing import Timing, alternate, paired_ratio
from modernbert.core.errors import UserError
from modernbert.core.log import progress, say
from modernbert.core.seeds import Seeds
from modernbert.data.config import Masking
from modernbert.data.masking import mask
from modernbert.data.vocabulary import Vocabulary
from modernbert.infer.engine import longest_text
from modernbert.model.encoder import Encoder
from modernbert.model.heads import MaskedLM
from modernbert.model.hf_config import from_file
from modernbert.model.hub import folder_of, tokenizer_folder
from modernbert.model.pool import Pooling, pool
from modernbert.model.quantize import quantize
from modernbert.model.store import load
from modernbert.ops.loss import IGNORE
from modernbert.ops.packed import Packed
from modernbert.text.tokenizer import Tokenizer

STATES, VECTORS = 0.99, 0.999
"""Least cosines of an encoder that may be used: of all but 1 % of token states, and of vectors on average."""
LOSS, AGREEMENT, OVERLAP = 0.02, 0.95, 0.95
"""Most nats that a masked token may cost more; least shares of equal first guesses, and of equal nearest neighbours."""

_MASKING = Masking(rate=0.15, mask_share=1.0, random_share=0.0)
_BATCH = 2048
_NEAREST = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Closeness:
    """Cosines with float32."""

    mean: float
    low: float
    """1 % are below."""
    least: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Guesses:
    """What both make of the same masked tokens."""

    num_masked: int
    loss: float
    """Nats a token, in float32."""
    loss_int8: float
    found: float
    """Share that float32 guesses right first."""
    found_int8: float
    agreement: float
    """Share with the same first guess, right or wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbours:
    """Of each text, the nearest others by the cosine of vectors."""

    nearest: int
    among: int
    overlap: float
    """Share of float32's nearest that int8 has, too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """Encoding alone, in turns."""

    tokens_per_second: float
    """Of float32; medians."""
    tokens_per_second_int8: float
    ratio: float
    """Median over rounds of float32's seconds over int8's."""
    lowest: float
    highest: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All of it."""

    model: str
    num_texts: int
    num_tokens: int
    pooling: Pooling
    states: Closeness
    vectors: Closeness
    guesses: Guesses | None
    """Absent where the checkpoint has no head for it."""
    neighbours: Neighbours | None
    """Absent for fewer than three texts."""
    speed: Speed

    @property
    def problems(self) -> tuple[str, ...]:
        """What is beyond the limits, in words."""
        found = []
        if not self.states.low >= STATES:
            found.append(f"1% of token states have a cosine below {self.states.low:.4f} (limit {STATES})")
        if not self.vectors.mean >= VECTORS:
            found.append(f"vectors have a mean cosine of {self.vectors.mean:.5f} (limit {VECTORS})")
        if (one := self.guesses) is not None:
            if not one.loss_int8 - one.loss <= LOSS:
                found.append(f"a masked token costs {one.loss_int8 - one.loss:.3f} nats more (limit {LOSS})")
            if not one.agreement >= AGREEMENT:
                found.append(f"{one.agreement:.1%} of first guesses are the same (limit {AGREEMENT:.0%})")
        if self.neighbours is not None and not self.neighbours.overlap >= OVERLAP:
            found.append(f"{self.neighbours.overlap:.1%} of nearest neighbours are the same (limit {OVERLAP:.0%})")
        return tuple(found)

    @property
    def verdict(self) -> str:
        """One sentence."""
        if self.problems:
            return f"Look closer before you use int8 here: {'; '.join(self.problems)}."
        if self.speed.ratio < 1.05:
            return "int8 is as good as float32 on these texts, but not faster on this machine."
        return f"int8 is as good as float32 on these texts, and {self.speed.ratio:.2f} times as fast."


def check_int8(
    source: str | Path, texts: Sequence[str], *, most_tokens: int, seconds: float, pooling: Pooling | None = None
) -> Report:
    """Compare int8 with float32.

    Args:
        source: a packaged model, a folder or a Hub id.
        texts: of the kind that the model is for; a hundred or more make the neighbours telling.
        most_tokens: texts are drawn until there are so many; how many are left out is said.
        seconds: for timing, three rounds at least.
        pooling: absent: what the checkpoint's config says.

    Raises:
        UserError: there is no text, or one is not valid Unicode.
        UnsupportedError: the CPU kernels cannot run this model.
    """
    if most_tokens < 1 or seconds <= 0:
        raise UserError(f"tokens and seconds are above 0: found {most_tokens} and {seconds:g}")
    folder = folder_of(source)
    _, architecture = from_file(folder / "config.json")
    model = load(folder, MaskedLM, dtype="float32") if architecture == "ModernBertForMaskedLM" else None
    full = load(folder, Encoder, dtype="float32") if model is None else model.model
    tokenizer = Tokenizer.load(tokenizer_folder(folder))
    both = full, quantize(copy.copy(full))  # a shallow copy: the same weights, and a switch of its own
    documents = _some(_documents(texts, tokenizer, full), most_tokens)
    how = pooling or full.config.classifier_pooling
    with torch.inference_mode():
        cosines_T, vectors_ND, vectors8_ND = _compare(both, documents, how)
        return Report(
            model=str(source),
            num_texts=len(documents),
            num_tokens=sum(map(len, documents)),
            pooling=how,
            states=_closeness(cosines_T),
            vectors=_closeness(_cosines(vectors_ND, vectors8_ND)),
            guesses=None if model is None else _guesses(model, both, documents, tokenizer),
            neighbours=_neighbours(vectors_ND, vectors8_ND),
            speed=_speed(both, documents, seconds),
        )


def _documents(texts: Sequence[str], tokenizer: Tokenizer, encoder: Encoder) -> list[list[int]]:
    if not texts:
        raise UserError("there is no text to compare on: found none, expected one or more")
    longest = longest_text(encoder.config, tokenizer)
    encoded = tokenizer.encode(texts, longest=longest)
    if any(encoded.num_cut):
        num_cut = sum(cut > 0 for cut in encoded.num_cut)
        say(f"{num_cut} of {len(texts)} texts are longer than {longest:,} tokens: their ends are not compared")
    return encoded.ids


def _some(documents: list[list[int]], most_tokens: int) -> list[list[int]]:
    """Drawn until there are enough tokens, and one at least; shortest first, for batches without waiting threads."""
    order = Seeds(0).numpy("int8").permutation(len(documents))
    chosen: list[list[int]] = []
    room = most_tokens
    for number in order:
        if chosen and len(documents[number]) > room:
            break
        chosen.append(documents[number])
        room -= len(documents[number])
    if len(chosen) < len(documents):
        tokens = sum(map(len, chosen))
        say(f"{len(chosen):,} of {len(documents):,} texts were drawn for the comparison, {tokens:,} tokens together")
    return sorted(chosen, key=len)


def _batches(documents: list[list[int]]) -> Iterator[Packed]:
    batch: list[list[int]] = []
    for document in documents:
        if batch and sum(map(len, batch)) + len(document) > _BATCH:
            yield Packed.from_lists(batch)
            batch = []
        batch.append(document)
    yield Packed.from_lists(batch)


def _compare(
    both: tuple[Encoder, Encoder], documents: list[list[int]], how: Pooling
) -> tuple[Float[Tensor, "T"], Float[Tensor, "N D"], Float[Tensor, "N D"]]:
    """Cosines of states, and the vectors of both."""
    cosines: list[Tensor] = []
    vectors: tuple[list[Tensor], list[Tensor]] = ([], [])
    with progress() as bar:
        task = bar.add_task("comparing", total=sum(map(len, documents)))
        for packed in _batches(documents):
            hidden, hidden8 = (encoder(packed) for encoder in both)
            cosines.append(_cosines(hidden, hidden8))
            for one, states in zip(vectors, (hidden, hidden8), strict=True):
                one.append(pool(states, packed, how))
            bar.update(task, advance=packed.num_tokens)
    return torch.cat(cosines), torch.cat(vectors[0]), torch.cat(vectors[1])


def _cosines(one: Float[Tensor, "rows D"], other: Float[Tensor, "rows D"]) -> Float[Tensor, "rows"]:
    return F.cosine_similarity(one.double(), other.double(), dim=-1)


def _closeness(cosines: Float[Tensor, "rows"]) -> Closeness:
    found = cosines.numpy()
    return Closeness(mean=float(found.mean()), low=float(np.quantile(found, 0.01)), least=float(found.min()))


def _guesses(
    model: MaskedLM, both: tuple[Encoder, Encoder], documents: list[list[int]], tokenizer: Tokenizer
) -> Guesses | None:
    vocabulary, rng = Vocabulary.of(tokenizer), Seeds(0).numpy("int8", "mask")
    num_masked = num_same = 0
    losses, found = [0.0, 0.0], [0, 0]
    for packed in _batches(documents):
        inputs, labels = (
            torch.from_numpy(each) for each in mask(packed.ids.numpy(), _MASKING, vocabulary=vocabulary, rng=rng)
        )
        at_M = (labels != IGNORE).nonzero().squeeze(1)
        first: list[Tensor] = []
        for number, encoder in enumerate(both):
            logits_MV = model.decoder(model.head(encoder(packed.with_ids(inputs))[at_M]))
            losses[number] += float(F.cross_entropy(logits_MV, labels[at_M], reduction="sum"))
            first.append(logits_MV.argmax(-1))
            found[number] += int((first[number] == labels[at_M]).sum())
        num_masked += len(at_M)
        num_same += int((first[0] == first[1]).sum())
    if not num_masked:
        return None
    return Guesses(
        num_masked=num_masked,
        loss=losses[0] / num_masked,
        loss_int8=losses[1] / num_masked,
        found=found[0] / num_masked,
        found_int8=found[1] / num_masked,
        agreement=num_same / num_masked,
    )


def _neighbours(vectors: Float[Tensor, "N D"], vectors8: Float[Tensor, "N D"]) -> Neighbours | None:
    among = len(vectors)
    if among < 3:
        return None
    nearest = max(1, min(_NEAREST, among // 10))  # the nearest ten of eleven would agree by themselves
    own, own8 = (_nearest(each, nearest) for each in (vectors, vectors8))
    shared = (own[:, :, None] == own8[:, None, :]).any(-1)
    return Neighbours(nearest=nearest, among=among, overlap=float(shared.double().mean()))


def _nearest(vectors_ND: Tensor, count: int) -> Tensor:
    unit_ND = F.normalize(vectors_ND.double(), dim=-1)
    similar_NN = unit_ND @ unit_ND.t()
    return similar_NN.fill_diagonal_(-torch.inf).topk(count, dim=-1).indices


def _speed(both: tuple[Encoder, Encoder], documents: list[list[int]], seconds: float) -> Speed:
    """On two batches at most, of lengths from all over."""
    spread = documents[:: max(1, sum(map(len, documents)) // (2 * _BATCH))]
    batches = list(_batches(spread))
    tokens = sum(packed.num_tokens for packed in batches)

    def run(encoder: Encoder) -> None:
        for packed in batches:
            encoder(packed)

    timings = alternate(
        {"float32": lambda: run(both[0]), "int8": lambda: run(both[1])}, rounds=21, most_seconds=seconds
    )
    full, whole = timings["float32"], timings["int8"]
    ratio, lowest, highest = paired_ratio(full, whole)
    return Speed(
        tokens_per_second=_rate(tokens, full),
        tokens_per_second_int8=_rate(tokens, whole),
        ratio=ratio,
        lowest=lowest,
        highest=highest,
    )


def _rate(tokens: int, timing: Timing) -> float:
    return tokens / timing.median
