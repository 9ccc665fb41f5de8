"""Labels that a model was never trained on, named in words.

Two ways, by what the model is. A model of natural-language inference is asked whether the text entails "This text is about
sports." (Yin et al., arXiv 1909.00161). A masked language model fills the blank in the same sentence; how likely a label's
tokens are there is compared with how likely they are without the text, so that frequent words do not always win (Holtzman
et al., arXiv 2104.08315).
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Self

import numpy as np

from modernbert.core.errors import CheckpointError, UserError
from modernbert.infer.engine import Engine, Room, longest_text
from modernbert.infer.read import Read
from modernbert.model.heads import MaskedLM, SequenceClassifier
from modernbert.model.hf_config import from_file
from modernbert.model.hub import folder_of, tokenizer_folder
from modernbert.model.store import Dtype, load
from modernbert.ops.packed import Packed
from modernbert.tasks.classify import Classified
from modernbert.tasks.prediction import softmax
from modernbert.text.tokenizer import Tokenizer

TEMPLATE = "This text is about {}."


class ZeroShot:
    """A model of inference or a masked language model, and its tokenizer."""

    def __init__(self, model: SequenceClassifier | MaskedLM, tokenizer: Tokenizer) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.engine = Engine(model, tokenizer, Room(longest=longest_text(model.config, tokenizer)))
        self._entailment = _entailment(model.config.labels) if isinstance(model, SequenceClassifier) else None

    @classmethod
    def from_pretrained(cls, source: str | Path, *, dtype: Dtype = "auto", device: str = "cpu") -> Self:
        """From a packaged model, a folder or a Hub id of either kind.

        Raises:
            CheckpointError: it is neither, or a classifier without a label for entailment.
        """
        folder = folder_of(source)
        _, architecture = from_file(folder / "config.json")
        kinds = {"ModernBertForSequenceClassification": SequenceClassifier, "ModernBertForMaskedLM": MaskedLM}
        if architecture not in kinds:
            raise CheckpointError(
                f"{folder}: found {architecture or 'no architecture'}, expected a masked language model, or a classifier of "
                "natural-language inference, to classify by labels it has not seen"
            )
        model = load(folder, kinds[architecture], dtype=dtype, device=device)
        return cls(model, Tokenizer.load(tokenizer_folder(folder)))  # type: ignore[arg-type]

    def predict(
        self, texts: Iterable[str], labels: Sequence[str], *, template: str = TEMPLATE, several: bool = False
    ) -> list[Classified]:
        """For each text, how well each label fits.

        Args:
            labels: words, such as "sports", "politics".
            template: a sentence with {} where the label goes.
            several: whether a text may have several labels: each is judged alone. Models of inference only.

        Raises:
            UserError: fewer than two labels, or a template without {}.
        """
        labels = list(dict.fromkeys(labels))
        if (len(labels) < 2 and not several) or not labels or not all(label.strip() for label in labels):
            raise UserError(f"labels: found {labels}, expected two different ones or more: name what to tell apart")
        if template.count("{}") != 1:
            raise UserError(f"template: found {template!r}, expected a sentence with one {{}} where the label goes")
        if several and self._entailment is None:
            raise UserError("several labels a text need a model of inference: found a masked language model")
        texts = list(texts)
        scores = (
            self._by_inference(texts, labels, template)
            if self._entailment
            else self._by_blanks(texts, labels, template)
        )
        return [self._read(row, labels, several=several) for row in scores]

    def _by_inference(self, texts: Sequence[str], labels: Sequence[str], template: str) -> list[np.ndarray]:
        """Logits of entailment, less those of contradiction where the model has them."""
        pairs = [(text, template.format(label)) for text in texts for label in labels]
        found = np.array(list(self.engine.run(pairs, self._entailed)))
        return list(found.reshape(len(texts), len(labels)))

    def _entailed(self, packed: Packed) -> list[float]:
        yes, no = self._entailment or (0, None)
        logits_NC = self.model(packed).float()
        return (logits_NC[:, yes] - (logits_NC[:, no] if no is not None else 0)).tolist()

    def _by_blanks(self, texts: Sequence[str], labels: Sequence[str], template: str) -> list[np.ndarray]:
        """Mean log-probability of a label's tokens in the blank, less the same without a text."""
        before, after = template.split("{}")
        wanted = self.tokenizer.encode(
            [f" {label}" if before.endswith(" ") else label for label in labels], special=False
        ).ids
        mask = self.tokenizer.token(self.tokenizer.mask_id)
        counts = sorted({len(ids) for ids in wanted})  # labels of as many tokens share a blank
        prompts = self.tokenizer.encode([f" {before}{mask * count}{after}" for count in counts], special=False).ids
        room = self.engine.room.longest - len(self.tokenizer.enclose([])) - max(map(len, prompts))
        told = [[], *self.tokenizer.encode(texts, special=False).ids]
        documents = [self.tokenizer.enclose(ids[:room] + prompt) for ids in told for prompt in prompts]

        columns = tuple(sorted({token for ids in wanted for token in ids}))
        column_of = {token: place for place, token in enumerate(columns)}
        rows = list(self.engine.run_ids(documents, Read(self._blanks, (columns,))))

        def fit(text: int, ids: list[int]) -> float:
            logs_mU = rows[text * len(counts) + counts.index(len(ids))][
                -len(ids) :
            ]  # a text may have blanks of its own
            return float(np.mean([logs_mU[place, column_of[token]] for place, token in enumerate(ids)]))

        table = np.array([[fit(text, ids) for ids in wanted] for text in range(len(told))])
        return list(table[1:] - table[0])

    def _blanks(self, packed: Packed, columns: tuple[int, ...]) -> list[np.ndarray]:
        """Log-probabilities of these tokens in the blanks of each document."""
        at_M = (packed.ids == self.tokenizer.mask_id).nonzero().squeeze(1)
        logs_MU = self.model(packed, at_M).float().log_softmax(-1)[:, list(columns)].cpu().numpy()
        owners_M = packed.documents[at_M].cpu().numpy()
        return [logs_MU[owners_M == number] for number in range(packed.num_documents)]

    @staticmethod
    def _read(scores: np.ndarray, labels: Sequence[str], *, several: bool) -> Classified:
        shares = 1 / (1 + np.exp(-scores)) if several else softmax(scores)
        order = sorted(range(len(labels)), key=lambda i: -shares[i])
        best = labels[order[0]]
        return Classified(
            label=best,
            score=float(shares[order[0]]),
            scores={labels[i]: float(shares[i]) for i in order},
            labels=tuple(labels[i] for i in order if shares[i] > 0.5) if several else (best,),
            num_pieces=1,
        )


def _entailment(labels: Sequence[str]) -> tuple[int, int | None]:
    """Places of the labels for entailment and for contradiction."""
    small = [label.lower() for label in labels]
    yes = [i for i, label in enumerate(small) if label.startswith("entail")]
    if len(yes) != 1:
        raise CheckpointError(
            f"this classifier's labels are {', '.join(labels)}, expected one that begins with 'entail': name a model of "
            "natural-language inference, or a masked language model"
        )
    no = [i for i, label in enumerate(small) if label.startswith(("contra", "not_entail", "not-entail"))]
    return yes[0], no[0] if no else None
