import dataclasses

import pytest

from modernbert.core.errors import UserError
from modernbert.retrieval.evaluation.collection import Collection, read_collection
from support.beir import small_collection, write_beir, write_small

CORPUS = [{"_id": "1", "title": "Ships", "text": "They sail."}, {"_id": 2, "text": "Zwei Türme"}, {"id": "3", "title": "", "text": "three"}]  # fmt: skip
QUERIES = [{"_id": "a", "text": "what sails?"}, {"_id": "b", "text": "unasked"}, {"_id": "c", "text": "türme"}]


@pytest.mark.parametrize("packed", ["", ".xz", ".gz"])
def test_a_folder_in_beirs_layout_is_read(tmp_path, packed):
    write_beir(tmp_path / "sea", corpus=CORPUS, queries=QUERIES, qrels="a 1 2\na 3 0\nc 2 1.0", packed=packed)
    found = read_collection(tmp_path / "sea")
    assert found == Collection(
        name="sea",
        documents={"1": "Ships They sail.", "2": "Zwei Türme", "3": "three"},
        queries={"a": "what sails?", "c": "türme"},
        relevant={"a": {"1": 2, "3": 0}, "c": {"2": 1}},
    )


def test_another_split_is_chosen_by_its_name(tmp_path):
    write_beir(tmp_path, corpus=CORPUS, queries=QUERIES, qrels="a 1 1")
    write_beir(tmp_path, corpus=CORPUS, queries=QUERIES, qrels="b 2 1", split="train")
    assert list(read_collection(tmp_path, split="train").queries) == ["b"]
    with pytest.raises(UserError, match=r"found no qrels/dev\.tsv.*there is test, train: choose with --split"):
        read_collection(tmp_path, split="dev")


def test_what_does_not_fit_together_is_said(tmp_path, capsys):
    write_beir(tmp_path / "sea", corpus=CORPUS, queries=QUERIES, qrels="a 1 1\na 99 1\nb 3 0\nz 1 1\ny 1 1")
    found = read_collection(tmp_path / "sea")
    assert found.relevant == {"a": {"1": 1, "99": 1}, "b": {"3": 0}}
    said = capsys.readouterr().err
    assert "sea: 2 judged queries such as 'z' are not in the collection and are left out" in said
    assert "sea: 1 of 3 judged documents are not in the collection: nobody can find them" in said
    assert "sea: 1 queries have no relevant document: every ranking gets 0 for them" in said


@pytest.mark.parametrize(
    ("qrels", "message"),
    [
        ("x 1 1", "none of the 1 judged queries is in the collection"),
        ("a 7 1\na 8 1", "none of the 2 judged documents is in the collection"),
        ("a 1 good", "line 2: the score is 'good', expected a whole number from 0 on"),
        ("a 1 -1", "line 2: the score is '-1', expected"),
        ("a 1 0.5", "line 2: the score is '0.5', expected"),
        ("a 1 nan", "line 2: the score is 'nan', expected"),
        ("a 1 inf", "line 2: the score is 'inf', expected"),
    ],
)
def test_judgements_that_cannot_be_meant_are_refused(tmp_path, qrels, message):
    write_beir(tmp_path, corpus=CORPUS, queries=QUERIES, qrels=qrels)
    with pytest.raises(UserError, match=message):
        read_collection(tmp_path)


def test_other_columns_are_named(tmp_path):
    write_beir(tmp_path, corpus=CORPUS, queries=QUERIES, qrels="a 1 1")
    (tmp_path / "qrels" / "test.tsv").write_text("query\tdocument\nq\td\n")
    with pytest.raises(UserError, match=r"test\.tsv, line 2: found the columns query, document, expected query-id"):
        read_collection(tmp_path)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"text": "no id"}, "line 2: found text, expected _id and text"),
        ({"_id": "1"}, "line 2: found _id, expected _id and text"),
        ({"_id": "1", "text": "again"}, "line 2: the id '1' is there already"),
        ({"_id": "9", "text": 3}, "expected _id and text, and perhaps a title, both texts"),
    ],
)
def test_rows_that_are_no_document_are_refused(tmp_path, row, message):
    write_beir(tmp_path, corpus=[CORPUS[0], row], queries=QUERIES, qrels="a 1 1")
    with pytest.raises(UserError, match=message):
        read_collection(tmp_path)


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(UserError, match=r"there is no such folder, expected corpus\.jsonl.*or write hub:OWNER/NAME"):
        read_collection(tmp_path / "none")
    with pytest.raises(UserError, match=r"found no corpus\.jsonl"):
        read_collection(tmp_path)
    write_beir(tmp_path, corpus=[], queries=QUERIES, qrels="a 1 1")
    with pytest.raises(UserError, match="there is no row in it"):
        read_collection(tmp_path)


def test_the_fingerprint_is_of_texts_ids_and_grades_alone(tmp_path):
    one = small_collection()
    assert read_collection(write_small(tmp_path / "other name")).fingerprint() == one.fingerprint()
    assert dataclasses.replace(one, name="x").fingerprint() == one.fingerprint()
    turned = dict(reversed(one.documents.items()))
    assert dataclasses.replace(one, documents=turned).fingerprint() == one.fingerprint()
    for changed in (
        {"documents": one.documents | {"d0": "other"}},
        {"queries": one.queries | {"q0": "other"}},
        {"relevant": {**one.relevant, "q0": {"d0": 2}}},
        {"documents": {**one.documents, "new": ""}},
    ):
        assert dataclasses.replace(one, **changed).fingerprint() != one.fingerprint()
