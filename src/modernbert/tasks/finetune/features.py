"""Examples as rows of ids with labels, and batches of them in the rectangles that stock models want."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor

from modernbert.core.errors import UserError
from modernbert.ops.loss import IGNORE
from modernbert.tasks.config import Task
from modernbert.tasks.finetune.examples import Asked, Choice, Example, Labelled, Tagged
from modernbert.tasks.passages import Passage, passages
from modernbert.tasks.words import joined, tokens_of
from modernbert.text.tokenizer import Tokenizer

if TYPE_CHECKING:
    from modernbert.tasks.finetune.examples import Target

Feature = dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """What the model reads, in the examples' order."""

    rows: list[Feature]
    owners: list[int]
    """Number of the example that each row belongs to."""
    num_cut: int
    """Texts that lost their end."""
    heads: list[list[int | None]] = field(default_factory=list)
    """Of tagging: for each row, where the first token of each of its words is; else none."""
    parts: list[Passage] = field(default_factory=list)
    """Of question answering, one a row; else none."""

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, i: int) -> Feature:
        return self.rows[i]


def to_features(
    task: Task, examples: Sequence[Example], tokenizer: Tokenizer, num_labels: int, *, longest: int, stride: int
) -> Features:
    """Rows of ids, cut to `longest` tokens (of a question's text: divided)."""
    if task == "token_cls":
        return _tagged(cast("Sequence[Tagged]", examples), tokenizer, longest)
    if task == "qa":
        return _asked(cast("Sequence[Asked]", examples), tokenizer, longest, stride)
    if task == "multiple_choice":
        return _choices(cast("Sequence[Choice]", examples), tokenizer, longest)
    labelled = cast("Sequence[Labelled]", examples)
    has_pairs = bool(labelled) and labelled[0].pair is not None
    pairs = [each.pair or "" for each in labelled] if has_pairs else None
    encoded = tokenizer.encode([each.text for each in labelled], pairs, longest=longest)
    targets = [_target(each.target, num_labels, task) for each in labelled]
    rows = [{"input_ids": ids, "labels": target} for ids, target in zip(encoded.ids, targets, strict=True)]
    return Features(rows=rows, owners=list(range(len(rows))), num_cut=sum(cut > 0 for cut in encoded.num_cut))


def collate(rows: Sequence[Feature], *, task: Task, pad_id: int) -> dict[str, Tensor]:
    """One rectangle: ids padded at the right, and labels; a tag of padding is -100."""
    if task == "multiple_choice":  # [rows, choices, tokens]
        counts = {len(cast("list", row["input_ids"])) for row in rows}
        if len(counts) > 1:
            raise UserError(
                f"found rows with {' and '.join(map(str, sorted(counts)))} choices, expected as many in all"
            )
        flat = [{"input_ids": ids} for row in rows for ids in cast("list", row["input_ids"])]
        shape = (len(rows), counts.pop(), -1)
        batch = {name: x.reshape(shape) for name, x in collate(flat, task="seq_cls", pad_id=pad_id).items()}
        return batch | {"labels": torch.tensor([row["labels"] for row in rows])}
    ids = [cast("list[int]", row["input_ids"]) for row in rows]
    width = max(map(len, ids))
    batch = {
        "input_ids": torch.tensor(_filled(ids, width, pad_id)),
        "attention_mask": torch.tensor([[1] * len(each) + [0] * (width - len(each)) for each in ids]),
    }
    for name in rows[0].keys() - {"input_ids"}:
        values = [row[name] for row in rows]
        batch[name] = torch.tensor(_filled(cast("list", values), width, IGNORE) if task == "token_cls" else values)
    return batch


def _filled(rows: Sequence[list[int]], width: int, filler: int) -> list[list[int]]:
    return [row + [filler] * (width - len(row)) for row in rows]


def _target(target: "Target", num_labels: int, task: Task) -> object:
    if task == "multi_label":
        return [float(label in cast("tuple[int, ...]", target)) for label in range(num_labels)]
    return target


def _tagged(examples: Sequence[Tagged], tokenizer: Tokenizer, longest: int) -> Features:
    """Of a word cut into several tokens, the first bears the tag."""
    rows: list[Feature] = []
    owners, heads = [], []
    for number, (example, parts) in enumerate(
        zip(examples, tokens_of(tokenizer, [joined(each.words) for each in examples], longest=longest), strict=True)
    ):
        for part in parts:
            labels = [IGNORE] * len(part.ids)
            for word, head in enumerate(part.heads, start=part.first_word):
                if head is not None:
                    labels[head] = example.tags[word]
            rows.append({"input_ids": part.ids, "labels": labels})
            heads.append(part.heads)
            owners.append(number)
    return Features(rows=rows, owners=owners, num_cut=0, heads=heads)


def _asked(examples: Sequence[Asked], tokenizer: Tokenizer, longest: int, stride: int) -> Features:
    rows: list[Feature] = []
    owners, all_parts = [], []
    for number, example in enumerate(examples):
        for part in passages(tokenizer, example.question, example.context, longest=longest, stride=stride):
            start, end = _places(part, example)
            rows.append({"input_ids": part.ids, "labels": [start, end, len(part.ids)]})
            owners.append(number)
            all_parts.append(part)
    return Features(rows=rows, owners=owners, num_cut=0, parts=all_parts)


def _places(part: Passage, example: Asked) -> tuple[int, int]:
    """First and last token of the first answer, or [CLS] twice where it does not lie in this part."""
    if not example.answers:
        return 0, 0
    text, start = example.answers[0]
    end = start + len(text)
    inside = [i for i, (a, b) in enumerate(part.spans) if a < b and a < end and b > start]
    if not inside or part.spans[inside[0]][0] > start or part.spans[inside[-1]][1] < end:
        return 0, 0
    return part.first + inside[0], part.first + inside[-1]


def _choices(examples: Sequence[Choice], tokenizer: Tokenizer, longest: int) -> Features:
    rows: list[Feature] = []
    num_cut = 0
    for example in examples:
        encoded = tokenizer.encode([example.text] * len(example.choices), example.choices, longest=longest)
        num_cut += any(encoded.num_cut)
        rows.append({"input_ids": encoded.ids, "labels": example.target})
    return Features(rows=rows, owners=list(range(len(rows))), num_cut=num_cut)
