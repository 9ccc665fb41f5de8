"""A model that gives the log odds of praise becomes a classifier with two labels, its probabilities the same.

    python models/nano/two_sided.py RUN/model --out runs/nano/heads/sentiment-model

With odds z the labels' logits are -z/2 and z/2: softmax of the two is the logistic function of z.
"""

import argparse
import shutil
from dataclasses import replace
from pathlib import Path

import torch

from modernbert.core.files import atomic_folder
from modernbert.core.script import as_script
from modernbert.model.folder import copy_tokenizer
from modernbert.model.heads import SequenceClassifier
from modernbert.model.revisions import TRAINING
from modernbert.model.store import load, save

LABELS = ("negative", "positive")


def main() -> None:
    """Read, double the last row, write."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("model", type=Path)
    words.add_argument("--out", type=Path, required=True)
    given = words.parse_args()
    with atomic_folder(given.out) as out:
        save(two_sided(load(given.model, SequenceClassifier, dtype=torch.float32)), out)
        copy_tokenizer(given.model, out)
        if (given.model / TRAINING).exists():
            shutil.copyfile(given.model / TRAINING, out / TRAINING)


def two_sided(model: SequenceClassifier) -> SequenceClassifier:
    """The classifier, in place of the model that is given."""
    weight_1D, bias_1 = model.classifier.weight, model.classifier.bias
    model.config = replace(model.config, labels=LABELS, problem_type="single_label_classification")
    model.classifier = torch.nn.Linear(weight_1D.shape[1], 2)
    sides = torch.tensor([-0.5, 0.5])
    with torch.no_grad():
        model.classifier.weight.copy_(sides[:, None] * weight_1D)
        model.classifier.bias.copy_(sides * bias_1)
    return model


if __name__ == "__main__":
    as_script(main)
