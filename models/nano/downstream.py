"""The trained model on tasks, by a plain transformers `Trainer`, against the same shape from scratch and TF-IDF with a linear model.

    python models/nano/downstream.py DATA --model nano --tasks sst2 banking77 --out results/downstream.json

DATA is a folder of task data as JSON lines, TASK/train.jsonl.xz and TASK/test.jsonl.xz. Each task has so many rows, epochs
and tokens a text as a laptop trains in minutes (`judged_tasks.py`): scores are for comparing the three, not with papers. Whoever
trains does so once a learning rate (`RATES`), on nine tenths of the rows; the other tenth chooses whose test score counts.
"""

import argparse
import json
import lzma
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from judged_tasks import ENGLISH, TASKS, Task
from scipy.stats import spearmanr
from seqeval.metrics import f1_score as entity_f1
from sklearn.feature_extraction import DictVectorizer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
    DataCollatorForTokenClassification,
    DataCollatorWithPadding,
    Trainer,
    TrainingArguments,
)

import modernbert
from modernbert.core.files import write_atomically
from modernbert.core.log import say
from modernbert.core.script import as_script
from modernbert.model.hub import folder_of
from modernbert.tasks.finetune.linear import words_around

Row = dict[str, Any]
CONTENDERS = ("pretrained", "scratch", "tf-idf")

RATES = (3e-4, 1e-3)
HELD = 10
"""One row in so many chooses the rate."""


def main() -> None:
    """Train, judge, write."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("data", type=Path)
    words.add_argument("--model", default="nano")
    words.add_argument("--tasks", nargs="+", choices=TASKS, default=ENGLISH)
    words.add_argument("--contenders", nargs="+", choices=CONTENDERS, default=list(CONTENDERS))
    words.add_argument("--share", type=float, default=1.0, help="of the rows, for trying it out")
    words.add_argument("--seed", type=int, default=17)
    words.add_argument("--out", type=Path, required=True, help="JSON; scores that are in it already are kept")
    given = words.parse_args()
    found = json.loads(given.out.read_text()) if given.out.exists() else {}
    for name in given.tasks:
        for contender in given.contenders:
            if contender in found.get(name, {}):
                continue
            began = time.perf_counter()
            facts = judge(name, contender, given.data, given.model, seed=given.seed, share=given.share)
            seconds = time.perf_counter() - began
            say(f"{name}, {contender}: {TASKS[name].score} {facts['score']:.3f} in {seconds:.0f} s")
            found.setdefault(name, {})[contender] = facts | {"seconds": round(seconds)}
            with write_atomically(given.out, "w") as file:
                json.dump(found, file, indent=1)


def judge(name: str, contender: str, data: Path, model: str, *, seed: int, share: float = 1.0) -> dict[str, Any]:
    """`score` of one contender on the test split; of who trains also the `rate`, and what each gave on the rows that choose."""
    task = TASKS[name]
    train, test = (read(data / name / f"{split}.jsonl.xz") for split in ("train", "test"))
    order = np.random.default_rng(seed).permutation(len(train))[: max(8, int(task.rows * share))]
    train, test = [train[i] for i in order], test[: max(8, int(task.test_rows * share))]
    if contender == "tf-idf":
        return {"score": _counted(task, train, test)}
    held = len(train) // HELD
    splits = train[held:], train[:held], test
    scores = {
        rate: _trained(task, *splits, model, fresh=contender == "scratch", rate=rate, seed=seed) for rate in RATES
    }
    best = max(scores, key=lambda rate: scores[rate][0])
    return {"score": scores[best][1], "rate": best, "chosen_by": {rate: score for rate, (score, _) in scores.items()}}


def read(path: Path) -> list[Row]:
    """All rows of a file of JSON lines."""
    with lzma.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def _trained(
    task: Task, train: list[Row], held: list[Row], test: list[Row], model: str, *, fresh: bool, rate: float, seed: int
) -> tuple[float, float]:
    """Scores of both. Stock model, stock Trainer; `accelerate` makes it faster on a CPU and changes no result beyond rounding."""
    transformers.set_seed(seed)
    folder = folder_of(model)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    labels = _labels(task, [*train, *held, *test])
    kind = AutoModelForTokenClassification if task.kind == "tags" else AutoModelForSequenceClassification
    names = dict(enumerate(map(str, labels or ["score"])))
    config = AutoConfig.from_pretrained(folder, id2label=names, classifier_pooling="mean")
    stock = kind.from_config(config) if fresh else kind.from_pretrained(folder, config=config, dtype=torch.float32)
    stock = modernbert.accelerate(stock.float())
    collate = (DataCollatorForTokenClassification if task.kind == "tags" else DataCollatorWithPadding)(tokenizer)
    with tempfile.TemporaryDirectory() as scratch:
        trainer = Trainer(
            model=stock,
            args=TrainingArguments(
                output_dir=scratch,
                num_train_epochs=task.epochs,
                learning_rate=rate,
                per_device_train_batch_size=32,
                per_device_eval_batch_size=64,
                warmup_steps=0.1,
                lr_scheduler_type="linear",
                weight_decay=0.01,
                logging_steps=10_000,
                save_strategy="no",
                report_to=[],
                seed=seed,
                disable_tqdm=True,
                use_cpu=not torch.cuda.is_available(),
            ),
            train_dataset=_encoded(task, train, tokenizer, labels),  # pyright: ignore[reportArgumentType]
            data_collator=collate,
        )
        trainer.train()
        one, other = (_score(task, trainer, _encoded(task, rows, tokenizer, labels), labels) for rows in (held, test))
    return one, other


def _score(task: Task, trainer: Trainer, encoded: list[Row], labels: list[Any]) -> float:
    logits = np.asarray(trainer.predict(encoded).predictions)  # pyright: ignore[reportArgumentType]
    if task.kind == "class":
        return float((logits.argmax(-1) == [row["labels"] for row in encoded]).mean())
    if task.kind == "pair":
        return float(spearmanr(logits[:, 0], [row["labels"] for row in encoded]).statistic)
    guessed = [
        [labels[tag] for tag, label in zip(line.argmax(-1), row["labels"], strict=False) if label != -100]
        for line, row in zip(logits, encoded, strict=True)
    ]
    true = [[labels[label] for label in row["labels"] if label != -100] for row in encoded]
    return float(entity_f1(true, guessed))


def _labels(task: Task, train: Sequence[Row]) -> list[Any]:
    if task.kind == "pair":
        return []
    return sorted(
        {label for row in train for label in (row[task.target] if task.kind == "tags" else [row[task.target]])}
    )


def _encoded(task: Task, rows: Sequence[Row], tokenizer: Callable[..., Any], labels: list[Any]) -> list[Row]:
    """Ids and labels; of a word cut into several tokens, the first bears the tag."""
    number = {label: i for i, label in enumerate(labels)}
    encoded = []
    for row in rows:
        texts = [row[field] for field in task.text]
        ids = tokenizer(*texts, truncation=True, max_length=task.longest, is_split_into_words=task.kind == "tags")
        if task.kind == "pair":
            target: Any = row[task.target] / 5
        elif task.kind == "class":
            target = number[row[task.target]]
        else:
            words, before, target = ids.word_ids(), None, []
            for word in words:
                target.append(-100 if word is None or word == before else number[row[task.target][word]])
                before = word
        encoded.append({"input_ids": ids["input_ids"], "attention_mask": ids["attention_mask"], "labels": target})
    return encoded


def _counted(task: Task, train: list[Row], test: list[Row]) -> float:
    """Runs of words or characters weighed by TF-IDF under logistic regression; of pairs, the cosine; of tags, words around."""
    if task.kind == "tags":
        features = DictVectorizer()
        linear = LogisticRegression(max_iter=200, C=10.0)
        linear.fit(
            features.fit_transform(words_around([row["tokens"] for row in train])),
            [tag for row in train for tag in row[task.target]],
        )
        guessed = iter(linear.predict(features.transform(words_around([row["tokens"] for row in test]))))
        return float(
            entity_f1([row[task.target] for row in test], [[next(guessed) for _ in row[task.target]] for row in test])
        )
    words = {"ngram_range": (1, 2)} if task.counted == "words" else {"ngram_range": (1, 3), "analyzer": "char"}
    tfidf = TfidfVectorizer(**words, sublinear_tf=True, min_df=1)
    if task.kind == "pair":
        one, two = task.text
        tfidf.fit([row[field] for row in train for field in task.text])
        left, right = (tfidf.transform([row[field] for row in test]) for field in (one, two))
        return float(
            spearmanr(np.asarray(left.multiply(right).sum(1))[:, 0], [row[task.target] for row in test]).statistic
        )
    (field,) = task.text
    linear = LogisticRegression(max_iter=1000, C=10.0)
    linear.fit(tfidf.fit_transform([row[field] for row in train]), [row[task.target] for row in train])
    return float(linear.score(tfidf.transform([row[field] for row in test]), [row[task.target] for row in test]))


if __name__ == "__main__":
    as_script(main)
