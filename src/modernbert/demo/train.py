"""The main job from end to end: text -> tokenizer -> packed batches -> pre-training -> masks filled, functions compared.

Nothing here is special to the demonstration's size: a recipe for two trillion tokens calls the same rooms.
"""

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch

from modernbert.core.errors import UserError
from modernbert.core.files import write_atomically
from modernbert.core.log import progress, say
from modernbert.core.quantities import Tokens
from modernbert.core.seeds import Seeds
from modernbert.data.config import Masking, Rows, Source
from modernbert.data.loader import Loader, MaskedBatch, held_out_rows
from modernbert.data.pieces import InMemory
from modernbert.data.vocabulary import Vocabulary
from modernbert.demo.baselines import Bigram, Unigram
from modernbert.demo.config import Settings
from modernbert.demo.corpus import Document, Function, from_path, functions, hold_out, standard_library
from modernbert.model.config import SIZES, ModelConfig
from modernbert.model.counts import num_parameters
from modernbert.model.heads import MaskedLM
from modernbert.model.store import fresh, save
from modernbert.ops.loss import IGNORE
from modernbert.ops.roofline import matmul_rate
from modernbert.retrieval.embedder import Embedder
from modernbert.tasks.fill_mask import Guess, MaskFiller
from modernbert.text.tokenizer import Tokenizer
from modernbert.text.train import train_tokenizer
from modernbert.train.config import Schedule, StableAdamW
from modernbert.train.schedule import learning_rate_share
from modernbert.train.start import with_vocabulary
from modernbert.train.step import Trainer

OPTIM = StableAdamW(lr=4e-3)
WHOLE = 1_000
"""The budget is time here and not tokens, so the schedule is in thousandths of it."""
SCHEDULE = Schedule(warmup=Tokens(30), decay=Tokens(500), floor=0.001)
ROWS = Rows(length=Tokens(256), room=Tokens(2048), look_ahead=1024)
"""Documents long enough for the ±64 window to bite; batches of one row: in minutes, many small steps learn more than few large."""
MOST_HELD_OUT = Tokens(200_000)
"""Held-out tokens looked at; beyond that the accuracy's error is below 0.3 points."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What one optimizer step did."""

    number: int
    """From 1."""
    tokens: int
    """Tokens read in this step."""
    total_tokens: int
    loss: float
    """Cross-entropy in nats a masked token."""
    accuracy: float
    lr: float
    flops: float
    """Forward and backward, by formula."""
    seconds: float
    """Since training began."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Share of hidden held-out tokens found, all on the same hidden places."""

    model: float
    bigram: float
    unigram: float
    loss: float
    """The model's, in nats a hidden token."""
    num_predicted: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Blank:
    """One word hidden in held-out text."""

    before: str
    after: str
    truth: str
    guesses: tuple[Guess, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbours:
    """A function and the ones most like it, by cosine."""

    function: Function
    nearest: tuple[tuple[Function, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Everything the report tells."""

    source: str
    num_documents: int
    num_held_out: int
    num_bytes: int
    config: ModelConfig
    num_parameters: int
    steps: tuple[Step, ...]
    tokens_per_second: float
    roofline_share: float
    """Training FLOP/s over the machine's measured matrix-multiply rate."""
    matmul_rate: float
    """FLOP/s."""
    scores: Scores
    blanks: tuple[Blank, ...]
    neighbours: tuple[Neighbours, ...]
    same_module: float | None
    """How often a function's nearest neighbour is from its own module; absent for text without functions."""
    same_module_by_chance: float | None
    model_folder: Path

    def as_dict(self) -> dict[str, object]:
        """The figures, for JSON."""
        return asdict(self.scores) | {
            "tokens": self.steps[-1].total_tokens,
            "seconds": self.steps[-1].seconds,
            "tokens_per_second": self.tokens_per_second,
            "roofline_share": self.roofline_share,
            "same_module": self.same_module,
            "same_module_by_chance": self.same_module_by_chance,
            "model_folder": str(self.model_folder),
        }


def run(settings: Settings) -> Outcome:
    """Do it all; the model is in `settings.out / "model"` afterwards."""
    seeds = Seeds(settings.seed)
    source, documents = _read(settings.text)
    train, held_out = hold_out(documents)
    say(f"{len(train)} documents of {source} to learn from, {len(held_out)} held out")

    began = time.perf_counter()
    tokenizer = train_tokenizer(
        (document.text for document in train), vocab_size=settings.vocab_size, num_unused=8, longest=1024
    )
    vocabulary = Vocabulary.of(tokenizer)
    train_ids, held_out_ids = (_tokenize(tokenizer, documents) for documents in (train, held_out))
    say(f"tokenizer of {tokenizer.vocab_size:,} tokens in {time.perf_counter() - began:.0f} s")

    config = with_vocabulary(SIZES["tiny"], vocabulary)
    model = fresh(config, MaskedLM, seed=seeds.for_("weights"))
    rate = matmul_rate()
    steps = _pretrain(model, train_ids, vocabulary, seeds, settings.minutes, rate)
    folder = settings.out / "model"
    save(model, folder)
    tokenizer.save(folder)
    with write_atomically(settings.out / "metrics.jsonl", "w") as lines:
        lines.writelines(json.dumps(asdict(step)) + "\n" for step in steps)

    scores = _score(model, train_ids, held_out_ids, vocabulary, seeds)
    blanks = _fill_blanks(model, tokenizer, held_out, seeds)
    neighbours, same_module, by_chance = _compare_functions(model, tokenizer, documents, seeds)
    seconds, tokens = steps[-1].seconds, steps[-1].total_tokens
    return Outcome(
        source=source,
        num_documents=len(train),
        num_held_out=len(held_out),
        num_bytes=sum(len(document.text.encode()) for document in train),
        config=config,
        num_parameters=num_parameters(config),
        steps=tuple(steps),
        tokens_per_second=tokens / seconds,
        roofline_share=sum(step.flops for step in steps) / seconds / rate,
        matmul_rate=rate,
        scores=scores,
        blanks=tuple(blanks),
        neighbours=tuple(neighbours),
        same_module=same_module,
        same_module_by_chance=by_chance,
        model_folder=folder,
    )


def _read(text: Path | None) -> tuple[str, list[Document]]:
    if text is None:
        return "the Python standard library", standard_library()
    return str(text), from_path(text)


def _tokenize(tokenizer: Tokenizer, documents: Sequence[Document]) -> list[list[int]]:
    encoded = tokenizer.encode([document.text for document in documents], special=False)
    return [ids for ids in encoded.ids if ids]


def _pretrain(
    model: MaskedLM, documents: list[list[int]], vocabulary: Vocabulary, seeds: Seeds, minutes: float, rate: float
) -> list[Step]:
    """Train for so long, at least one step; `rate` is the machine's, to be compared with."""
    sources = {"text": (Source(path=Path()), InMemory(documents, vocabulary))}
    trainer = Trainer(model, OPTIM, seeds=seeds)
    steps: list[Step] = []
    began, spent, total_tokens = time.perf_counter(), 0.0, 0
    with Loader(sources, ROWS, Masking(), seeds=seeds, tokens=WHOLE) as loader, progress("speed", "loss", "use") as bar:
        task = bar.add_task("pre-training", total=100)
        while spent < 1.0 or not steps:
            batch = loader.take(1)
            lr = OPTIM.lr * max(SCHEDULE.floor, learning_rate_share(SCHEDULE, spent * WHOLE, WHOLE))
            outcome = trainer.step(batch, lr=lr, peak=OPTIM.lr, weight_decay=OPTIM.weight_decay)
            total_tokens += batch.num_tokens
            seconds = time.perf_counter() - began
            spent = seconds / (60 * minutes)
            step = Step(
                number=len(steps) + 1,
                tokens=batch.num_tokens,
                total_tokens=total_tokens,
                loss=outcome.loss,
                accuracy=outcome.accuracy,
                lr=lr,
                flops=outcome.flops,
                seconds=seconds,
            )
            steps.append(step)
            bar.update(task, completed=int(100 * min(1.0, spent)), **_shown(steps[-20:], rate))
    model.eval()
    return steps


def _shown(recent: list[Step], rate: float) -> dict[str, str]:
    seconds = recent[-1].seconds - recent[0].seconds or recent[-1].seconds
    counted = recent[1:] or recent
    return {
        "speed": f"{sum(step.tokens for step in counted) / seconds:,.0f} tokens/s",
        "loss": f"loss {np.mean([step.loss for step in recent]):.2f}",
        "use": f"{sum(step.flops for step in counted) / seconds / rate:.0%} of matmul",
    }


def _score(
    model: MaskedLM,
    train: list[list[int]],
    held_out: list[list[int]],
    vocabulary: Vocabulary,
    seeds: Seeds,
) -> Scores:
    """Model and baselines on the same hidden tokens of held-out text."""
    special = vocabulary.special_ids
    enclosed = [[vocabulary.cls_id, *ids, vocabulary.sep_id] for ids in train]
    unigram = Unigram.fit(enclosed, special_ids=special, mask_id=vocabulary.mask_id)
    bigram = Bigram.fit(enclosed, special_ids=special, mask_id=vocabulary.mask_id)
    rows = replace(ROWS, room=Tokens(16_384))
    own = Seeds(seeds.for_("held out"))
    documents = InMemory(held_out, vocabulary)
    batches = list(held_out_rows(documents, rows, rate=Masking().rate, seeds=own, tokens=MOST_HELD_OUT))
    inputs = np.concatenate([batch.packed.ids.numpy() for batch in batches])
    labels = np.concatenate([batch.labels.numpy() for batch in batches])
    asked = labels != IGNORE
    num_correct, loss_sum = _predict(model, batches)
    num_predicted = int(asked.sum())
    if num_predicted == 0:
        raise UserError(f"the held-out text has {len(inputs)} tokens, too few to hide one in three: give more text")
    return Scores(
        model=num_correct / num_predicted,
        bigram=float((bigram.predict(inputs) == labels)[asked].mean()),
        unigram=float((unigram.predict(inputs) == labels)[asked].mean()),
        loss=loss_sum / num_predicted,
        num_predicted=num_predicted,
    )


def _predict(model: MaskedLM, batches: list[MaskedBatch]) -> tuple[int, float]:
    with torch.inference_mode():
        predictions = [model.loss(batch.packed, batch.labels) for batch in batches]
    return sum(p.num_correct for p in predictions), sum(float(p.loss_sum) for p in predictions)


def _fill_blanks(
    model: MaskedLM, tokenizer: Tokenizer, documents: Sequence[Document], seeds: Seeds, *, count: int = 10
) -> list[Blank]:
    """Hide one word in each of some lines drawn at random from held-out text; the text around it is left."""
    rng = seeds.numpy("blanks")
    cut: list[tuple[str, str, str]] = []
    for i in rng.permutation(len(documents)):
        text = documents[i].text
        (spans,) = tokenizer.encode([text[:20_000]], special=False, offsets=True).offsets
        words = [(start, end) for start, end in spans if _is_word(text, start, end)]
        if words:
            start, end = words[rng.integers(len(words))]
            cut.append((text[max(0, start - 300) : start], text[start:end], text[end : end + 300]))
        if len(cut) == count:
            break
    if not cut:
        return []
    mask = tokenizer.token(tokenizer.mask_id)
    filled = MaskFiller(model, tokenizer).fill([f"{before}{mask}{after}" for before, _, after in cut], top_k=3)
    return [
        Blank(before=before, after=after, truth=truth, guesses=tuple(guesses[-1]))
        for (before, truth, after), guesses in zip(cut, filled, strict=True)
    ]


def _is_word(text: str, start: int, end: int) -> bool:
    """One token that is a whole word: `text` around it has no letter, digit or underscore."""
    around = text[max(0, start - 1) : start] + text[end : end + 1]
    return end - start > 1 and text[start:end].isidentifier() and not any(c.isalnum() or c == "_" for c in around)


def _compare_functions(
    model: MaskedLM, tokenizer: Tokenizer, documents: Sequence[Document], seeds: Seeds, *, most: int = 1500
) -> tuple[list[Neighbours], float | None, float | None]:
    """Embed functions, and ask whether the most similar one comes from the same module."""
    found = functions(documents)
    if len(found) < 10:
        return [], None, None
    rng = seeds.numpy("functions")
    found = [found[i] for i in sorted(rng.permutation(len(found))[:most])]
    embedder = Embedder(model.model, tokenizer, pooling="mean", too_long="truncate")
    vectors = embedder.encode([function.source for function in found])
    vectors = vectors - vectors.mean(0)  # what all functions share says nothing about any of them
    similar = embedder.similarity(vectors, vectors)
    np.fill_diagonal(similar, -1.0)
    modules = np.array([_module(function) for function in found])
    is_same = modules[similar.argmax(1)] == modules
    by_chance = (modules[:, None] == modules[None]).sum() - len(found)
    shown = [
        Neighbours(
            function=found[i], nearest=tuple((found[j], float(similar[i, j])) for j in similar[i].argsort()[::-1][:3])
        )
        for i in rng.permutation(len(found))[:6]
    ]
    return shown, float(is_same.mean()), float(by_chance / (len(found) * (len(found) - 1)))


def _module(function: Function) -> str:
    """json.decoder.JSONDecoder.decode -> json.decoder"""
    return ".".join(part for part in function.name.split(".")[:-1] if not part[:1].isupper())
