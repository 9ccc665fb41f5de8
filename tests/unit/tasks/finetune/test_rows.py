"""Rows to examples: what is guessed, what is said, and one sentence for everything that cannot be meant."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from modernbert.core.errors import ConfigError, UserError
from modernbert.data.records import Record, read_records
from modernbert.tasks.config import Finetune
from modernbert.tasks.finetune.columns import find_columns
from modernbert.tasks.finetune.examples import label_names, named_rows, to_examples
from modernbert.tasks.finetune.splits import read_splits
from support.labelled import write_rows


def _record(**values: object) -> Record:
    return Record(values, "set.jsonl, line 1")


@pytest.mark.parametrize(
    ("task", "there", "found"),
    [
        ("seq_cls", "text label id", {"text": "text", "label": "label"}),
        ("seq_cls", "sentence1 sentence2 label idx", {"text": "sentence1", "text_pair": "sentence2", "label": "label"}),
        ("seq_cls", "question sentence label", {"text": "question", "text_pair": "sentence", "label": "label"}),
        ("seq_cls", "review sentiment", {"text": "review", "label": "sentiment"}),
        ("regression", "sentence1 sentence2 score", {"text": "sentence1", "text_pair": "sentence2", "label": "score"}),
        ("multi_label", "text labels", {"text": "text", "label": "labels"}),
        ("token_cls", "id tokens ner_tags pos_tags", {"tokens": "tokens", "tags": "ner_tags"}),
        (
            "qa",
            "id title context question answers",
            {"question": "question", "context": "context", "answers": "answers"},
        ),
        ("multiple_choice", "question choices label", {"text": "question", "choices": "choices", "label": "label"}),
        ("multiple_choice", "sent1 ending0 ending1 label", {"text": "sent1", "choices": "ending*", "label": "label"}),
    ],
)
def test_columns_are_guessed_by_the_names_that_people_use(task, there, found):
    assert find_columns(task, _record(**dict.fromkeys(there.split(), "x")), {}) == found


def test_what_was_said_wins_over_a_guess():
    found = find_columns(
        "seq_cls", _record(text="a", title="b", label="c", topic="d"), {"label": "topic", "text": "title"}
    )
    assert found == {"text": "title", "label": "topic"}


@pytest.mark.parametrize(
    ("task", "values", "said", "message"),
    [
        ("seq_cls", {"body": "a", "text": "b", "label": 1}, {}, "each of the columns 'text', 'body' could be the text, expected one"),
        ("seq_cls", {"text": "a"}, {}, r"seq_cls needs a column for label, found 'text': say which one it is with --columns.label=NAME"),
        ("seq_cls", {"txt": "a", "label": 1}, {"text": "text"}, "there is no column 'text' for text, found 'txt', 'label': did you mean 'txt'"),
        ("token_cls", {"tokens": []}, {}, "token_cls needs a column for tags"),
        ("seq_cls", {"sentence1": 1, "sentence2": 1, "premise": 1, "hypothesis": 1}, {}, "expected one pair of texts"),
    ],
)  # fmt: skip
def test_a_column_that_cannot_be_guessed_is_asked_for(task, values, said, message):
    with pytest.raises(UserError, match=message):
        find_columns(task, _record(**values), said)


COLUMNS = {"text": "text", "label": "label", "tokens": "tokens", "tags": "tags", "context": "context", "question": "question",
           "answers": "answers", "choices": "choices"}  # fmt: skip


@pytest.mark.parametrize(
    ("task", "values", "message"),
    [
        ("seq_cls", {"text": "", "label": "positive"}, r"set.jsonl, line 1: 'text' is empty, expected text: drop the row"),
        ("seq_cls", {"text": None, "label": "positive"}, r"'text' is null, expected a value"),
        ("seq_cls", {"text": "x"}, r"'label' is missing, expected a value"),
        ("seq_cls", {"text": "x", "label": "positives"}, r"the test label 'positives' is in no training row, .*did you mean 'positive'"),
        ("seq_cls", {"text": "x", "label": "zz"}, r"mend the row or add such rows to train"),
        ("seq_cls", {"text": "x", "label": ["a"]}, r"the label is \['a'\], expected a name or a whole number: mend"),
        ("seq_cls", {"text": "x", "label": 0.5}, r"the label is 0.5, .* number: for scores give --task regression"),
        ("seq_cls", {"text": "\ud800", "label": "positive"}, r"not valid Unicode at character 0"),
        ("regression", {"text": "x", "label": "nan"}, r"'label' is 'nan', expected a number"),
        ("regression", {"text": "x", "label": True}, r"expected a number"),
        ("token_cls", {"tokens": ["a", "b"], "tags": ["O"]}, r"found 2 words and 1 tags, expected a tag for each word"),
        ("token_cls", {"tokens": ["a", " "], "tags": ["O", "O"]}, r"found the word ' ', expected text that is not white space"),
        ("token_cls", {"tokens": "a b", "tags": ["O"]}, r"'tokens' is 'a b', expected a list: CSV cannot hold one"),
        ("token_cls", {"tokens": [], "tags": []}, r"found no word"),
        ("qa", {"question": "q", "context": "the cat", "answers": {"text": ["cat"], "answer_start": [3]}},
         r"the answer 'cat' does not stand at character 3 of the context, found ' ca'"),
        ("qa", {"question": "q", "context": "the cat", "answers": "cat"}, r"answers are 'cat', expected SQuAD's"),
        ("multiple_choice", {"text": "q", "choices": ["a"], "label": 0}, r"expected two texts or more"),
        ("multiple_choice", {"text": "q", "choices": ["a", "b"], "label": 2}, r"the right choice is 2, expected a number from 0 to 1"),
    ],
)  # fmt: skip
def test_a_row_that_is_no_example_is_told_with_its_place(task, values, message):
    with pytest.raises(UserError, match=message):
        to_examples(task, [_record(**values)], COLUMNS, ["negative", "positive", "O"], split="test")


def test_labels_are_in_an_order_that_people_expect():
    rows = [_record(label=label) for label in (10, 2, "1", 2.0)]
    assert label_names("seq_cls", rows, {"label": "label"}) == ("1", "2", "10")
    tagged = [_record(tags=["I-PER", "O", "B-LOC", "B-PER"])]
    assert label_names("token_cls", tagged, {"tags": "tags"}) == ("O", "B-LOC", "B-PER", "I-PER")


def test_rows_of_one_label_teach_nothing():
    with pytest.raises(UserError, match="all 3 training rows have the label 'a', expected two labels or more"):
        label_names("seq_cls", [_record(label="a")] * 3, {"label": "label"})


def test_numbers_are_called_by_the_names_beside_them():
    rows = [_record(label=i, label_name=name) for i, name in ((0, "ham"), (1, "spam"))]
    assert [row.values["label"] for row in named_rows(rows, "label")] == ["ham", "spam"]
    with pytest.raises(UserError, match="label 0 is called 'spam', elsewhere 'ham'"):
        named_rows([*rows, _record(label=0, label_name="spam")], "label")


def _settings(dataset: Path) -> Finetune:
    return Finetune(task="seq_cls", dataset=str(dataset))


def test_a_set_without_validation_rows_gives_up_a_tenth_and_never_a_copy(tmp_path):
    rows = [{"text": f"text {i % 40}", "label": i % 2} for i in range(100)]
    path = write_rows(tmp_path / "all.jsonl", rows)  # type: ignore[arg-type]
    splits = read_splits(_settings(path))
    assert not splits.has_test
    train, held_out = ({json.dumps(row.values) for row in each} for each in (splits.train, splits.validation))
    assert train.isdisjoint(held_out)
    assert 10 <= len(splits.validation) <= 13
    assert len(splits.train) + len(splits.validation) == 100
    again = read_splits(_settings(path))
    assert again == splits


@pytest.mark.parametrize("end", ["jsonl", "csv", "tsv", "parquet", "jsonl.xz"])
def test_files_of_all_kinds_hold_the_same_rows(end, tmp_path):
    rows = [{"text": 'a, "quoted"\nline', "label": "x"}, {"text": "b\tc", "label": "y"}]
    path = tmp_path / f"train.{end}"
    if end.startswith("jsonl"):
        import lzma

        content = "".join(json.dumps(row) + "\n" for row in rows).encode()
        path.write_bytes(lzma.compress(content) if end.endswith("xz") else content)
    elif end == "parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        import csv

        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, ["text", "label"], delimiter="," if end == "csv" else "\t")
            writer.writeheader()
            writer.writerows(rows)
    assert [row.values for row in read_records(str(path))] == rows
    assert [row.values for row in read_splits(replace(_settings(tmp_path), validation=str(path))).train] == rows


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("train.csv", "", "is empty, expected a first line that names the columns"),
        ("train.csv", "text,label\na,b,c\n", r"line 2: found 3 fields, expected 2 as in the first line"),
        ("train.csv", "text,label\n\xff", r"cannot be read"),
        ("train.jsonl", "", "found no train row, expected one or more"),
        ("train.jsonl", "{", "is no JSON"),
        ("train.jsonl", '{"text": "a", "label": 1}\n', "found 1 training row, expected two or more"),
        ("other.jsonl", '{"text": "a", "label": 1}\n', "expected a file train.jsonl, .csv, .tsv or .parquet in it"),
    ],
)
def test_a_file_that_cannot_be_meant_is_told(name, content, message, tmp_path):
    (tmp_path / name).write_bytes(content.encode("latin-1"))
    with pytest.raises(UserError, match=message):
        read_splits(_settings(tmp_path))


def test_a_path_that_is_not_there_is_no_hub_id(tmp_path):
    with pytest.raises(UserError, match=r"there is no such file or folder: check the path"):
        read_splits(_settings(tmp_path / "missing.jsonl"))


@pytest.mark.parametrize("named", [True, False])
def test_test_labels_that_the_hub_keeps_secret_are_no_test(named, monkeypatch):
    datasets = pytest.importorskip("datasets")
    label = datasets.ClassLabel(names=["no", "yes"]) if named else datasets.Value("float32")
    features = datasets.Features({"sentence": datasets.Value("string"), "label": label})
    labels = {"train": [0, 1, 1], "validation": [1, 0], "test": [-1, -1]}
    whole = {
        split: datasets.Dataset.from_dict({"sentence": ["a"] * len(of), "label": of}, features=features)
        for split, of in labels.items()
    }
    monkeypatch.setattr(datasets, "load_dataset", lambda name, subset: whole)
    found = read_splits(_settings("nyu-mll/glue"))
    assert not found.has_test
    assert found.test == found.validation
    assert [row.values["label"] for row in found.train] == (["no", "yes", "yes"] if named else [0, 1, 1])
    whole["test"] = whole["validation"]
    assert read_splits(_settings("nyu-mll/glue")).has_test


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"learning_rate": 0.0}, "learning_rate is 0.0, expected above 0"),
        ({"eval_strategy": "steps"}, "steps needs eval_steps"),
        ({"columns": {"txt": "a"}}, "columns: found the role 'txt', expected roles out of answers"),
        ({"class_weights": "balanced", "task": "qa"}, "which is for seq_cls"),
        ({"lora_rank": 0}, "lora_rank is 0, expected 1 or more"),
    ],
)
def test_settings_that_cannot_be_meant(changes, message):
    with pytest.raises(ConfigError, match=message):
        Finetune(**{"task": "seq_cls", "dataset": "x", **changes})  # type: ignore[arg-type]
