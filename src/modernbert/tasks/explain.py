"""Which words drove a prediction.

Integrated gradients (Sundararajan et al., arXiv 1703.01365), by Captum: the gradient of the label's logit, summed along the way
from a text whose every word is [MASK] to the text itself. The weights of all tokens add up to the difference of the two logits.
As a check that needs no gradient, occlusion: how much the logit falls when one word is [MASK].

Shapes:  B texts of one length   t tokens of the text   D width   C labels
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from modernbert.core.errors import UserError, require
from modernbert.infer.exported import refuse_exported
from modernbert.model.twin import twin
from modernbert.ops.packed import Packed
from modernbert.tasks.classify import TextClassifier
from modernbert.tasks.ranks import spearman
from modernbert.tasks.words import split

MOST_TOKENS_AT_ONCE = 4096
"""Of the texts along the way that go through together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighed:
    """A word and what it did."""

    text: str
    start: int
    end: int
    weight: float
    """Logits that it adds to the label, by integrated gradients; below 0: it speaks against it."""
    occlusion: float | None
    """By how much the label's logit falls without it; absent where that was not asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """A prediction and its words."""

    text: str
    label: str
    score: float
    words: tuple[Weighed, ...]
    logit: float
    """Of the label."""
    baseline: float
    """The same for the text of [MASK]s."""
    gap: float
    """How far the weights' sum is from the difference of the two: the error of summing in steps, in logits."""
    agreement: float | None
    """Spearman's correlation of both kinds of weights; absent without occlusion, or with fewer than three words."""


def explain(
    classifier: TextClassifier,
    text: str,
    *,
    label: str | None = None,
    steps: int = 32,
    occlusion: bool = False,
    longest: int | None = None,
) -> Explanation:
    """Why the text has this label.

    Args:
        label: absent: the one that the classifier gives.
        steps: of the sum along the way; the error is reported as `gap`.
        longest: tokens that the text may have; absent: what the model takes.

    Raises:
        UserError: the text is empty, longer than that, or the label is unknown.
    """
    refuse_exported(classifier.model, "explanations")
    tokenizer, labels = classifier.tokenizer, classifier.model.config.labels
    encoded = tokenizer.encode([text], offsets=True)
    ids, places = encoded.ids[0], encoded.offsets[0]
    most = min(classifier.longest, longest or classifier.longest)
    if not text.strip() or len(ids) > most:
        raise UserError(f"found a text of {len(ids)} tokens, expected 3 to {most}: explain a part of it")
    (found,) = classifier.predict([text])
    name = label or found.label
    if name not in labels:
        raise UserError(f"label: found {name!r}, expected one of {', '.join(labels)}")
    target = labels.index(name)
    special = tokenizer.special_ids
    masked = [token if token in special else tokenizer.mask_id for token in ids]
    weights_t, ends, gap = _integrated(classifier, ids, masked, target, steps)
    words = split(text).spans
    owner_t = _owners(places, words)
    weight_of = [float(sum(w for w, o in zip(weights_t, owner_t, strict=True) if o == n)) for n in range(len(words))]
    falls = [fall for _, fall in occlude(classifier, text, name)] if occlusion else None
    return Explanation(
        text=text,
        label=name,
        score=found.scores[name],
        words=tuple(
            Weighed(
                text=text[start:end],
                start=start,
                end=end,
                weight=weight_of[n],
                occlusion=None if falls is None else falls[n],
            )
            for n, (start, end) in enumerate(words)
        ),
        logit=ends[1],
        baseline=ends[0],
        gap=gap,
        agreement=spearman(weight_of, falls) if falls is not None and len(words) >= 3 else None,
    )


def occlude(classifier: TextClassifier, text: str, label: str) -> list[tuple[str, float]]:
    """Each word of a short text, and how much the label's logit falls when it is [MASK]; quick, and needs no library."""
    encoded = classifier.tokenizer.encode([text], offsets=True)
    ids, words = encoded.ids[0], split(text).spans
    owner_t = _owners(encoded.offsets[0], words)
    target, mask = classifier.model.config.labels.index(label), classifier.tokenizer.mask_id
    variants = [
        [mask if owner == n else token for token, owner in zip(ids, owner_t, strict=True)] for n in range(len(words))
    ]
    whole, *rest = (float(row[target]) for row in classifier.engine.run_ids([ids, *variants], classifier.logits))
    return [(text[start:end], whole - each) for (start, end), each in zip(words, rest, strict=True)]


def _integrated(
    classifier: TextClassifier, ids: list[int], masked: list[int], target: int, steps: int
) -> tuple[list[float], tuple[float, float], float]:
    """Weight of each token, the logits at both ends, and the error of the sum."""
    captum = require("captum.attr", extra="explain")
    model = twin(classifier.model)  # whose hooks nobody else meets
    table = model.model.embeddings.tok_embeddings
    device = table.weight.device
    with torch.no_grad():
        to_1tD = table(torch.tensor([ids], device=device)).float()
        from_1tD = table(torch.tensor([masked], device=device)).float()

    def logits(inputs_BtD: Tensor) -> Tensor:
        packed = Packed.from_lists([ids] * len(inputs_BtD), device=device)
        handle = table.register_forward_hook(lambda *_: inputs_BtD.flatten(0, 1).to(table.weight.dtype))
        try:
            return model(packed, backend="blocked").float()  # whose modules are called, so that the hook is
        finally:
            handle.remove()

    method = captum.IntegratedGradients(logits)
    at_once = max(1, MOST_TOKENS_AT_ONCE // len(ids))
    weights_1tD = method.attribute(
        to_1tD, baselines=from_1tD, target=target, n_steps=steps, internal_batch_size=at_once
    )
    with torch.no_grad():
        ends = (float(logits(from_1tD)[0, target]), float(logits(to_1tD)[0, target]))
    weights_t = weights_1tD.sum(-1)[0].tolist()
    return weights_t, ends, sum(weights_t) - (ends[1] - ends[0])


def _owners(places: Sequence[tuple[int, int]], words: Sequence[tuple[int, int]]) -> list[int]:
    """Number of the word that each token stands in; -1 for special tokens and white space."""
    return [
        next((n for n, (a, b) in enumerate(words) if start < b and end > a), -1) if start < end else -1
        for start, end in places
    ]
