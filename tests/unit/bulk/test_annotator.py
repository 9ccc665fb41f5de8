"""What is said of documents, against the predictors that people call, which pack other batches."""

import json
from dataclasses import asdict

import numpy as np
import pyarrow as pa
import pytest

from modernbert.bulk.annotator import Annotator
from modernbert.bulk.cutting import TextCutter
from modernbert.core.errors import CheckpointError, UnsupportedError, UserError
from modernbert.infer.exported import Manifest
from modernbert.retrieval.embedder import Embedder
from modernbert.tasks.classify import TextClassifier
from modernbert.tasks.tag import Tagger
from modernbert.text.tokenizer import Tokenizer
from support.annotated import LONGEST, models, recipe, texts


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return models(tmp_path_factory.mktemp("models"))


def _columns(texts, *sources, **changes):
    annotator = Annotator(recipe(*sources, **changes))
    return annotator.annotate(annotator.prepare(texts))


def test_labels_are_those_of_the_classifier_long_documents_included(made):
    given = texts()
    found = _columns(given, made["topic"])
    wanted = TextClassifier.from_pretrained(made["topic"], dtype="float32").predict(given)
    assert max(each.num_pieces for each in wanted) > 1
    assert len({each.label for each in wanted}) > 1
    assert found["label"].to_pylist() == [each.label for each in wanted]
    assert found["pieces"].to_pylist() == [each.num_pieces for each in wanted]
    np.testing.assert_allclose(found["score"], [each.score for each in wanted], atol=1e-5)
    assert found["scores"].to_pylist()[3] == pytest.approx(wanted[3].scores, abs=1e-5)
    assert set(found["unread"].to_pylist()) == {0}


def test_a_regression_gives_its_number(made):
    given = texts()
    wanted = TextClassifier.from_pretrained(made["quality"], dtype="float32").predict(given)
    found = _columns(given, made["quality"])
    assert "label" not in found
    np.testing.assert_allclose(found["score"], [each.score for each in wanted], atol=1e-5)


def test_the_highest_of_the_pieces_counts_where_that_is_asked(made):
    given = texts()
    found = _columns(given, made["quality"], long="chunk-max")
    cutter = TextCutter(Tokenizer.load(made["quality"]), longest=LONGEST)
    predictor = TextClassifier.from_pretrained(made["quality"], dtype="float32")
    cuts = cutter.cut(given, "chunk-max")
    # All at once, as the annotator does: scores of 15 move by 1e-5 when their neighbours in a batch are others, and on some machines so too.
    scores = iter(predictor.engine.run_ids([piece for cut in cuts for piece in cut.pieces], predictor.logits))
    for cut, score in zip(cuts, found["score"].to_pylist(), strict=True):
        pieces = [float(next(scores)[0]) for _ in cut.pieces]
        assert score == pytest.approx(max(pieces), rel=2e-6, abs=1e-5)


def test_the_head_alone_is_what_the_embedder_reads_and_the_rest_is_counted(made):
    given = texts()
    found = _columns(given, "nano:embedding", long="head")
    wanted = Embedder.from_pretrained("nano:embedding", dtype="float32").encode_document(given)
    np.testing.assert_allclose(np.stack(found["embedding"].to_numpy(zero_copy_only=False)), wanted, atol=1e-5)
    cut = _columns(given, made["topic"], long="head")
    tokenizer = Tokenizer.load(made["topic"])
    lengths = [len(ids) for ids in tokenizer.encode(given, special=False).ids]
    assert cut["tokens"].to_pylist() == lengths
    assert cut["unread"].to_pylist() == [max(0, length - (LONGEST - 2)) for length in lengths]
    assert max(lengths) > LONGEST


def test_entities_are_those_of_the_tagger(made):
    given = texts()
    found = _columns(given, made["names"])["entities"].to_pylist()
    wanted = Tagger.from_pretrained(made["names"], dtype="float32").predict(given)
    assert any(each.entities for each in wanted)
    assert [[(e["start"], e["end"], e["label"]) for e in row] for row in found] == [
        [(e.start, e.end, e.label) for e in each.entities] for each in wanted
    ]


def test_heads_on_one_trunk_share_its_pass_and_say_the_same_as_alone(made):
    given = texts()
    together = Annotator(recipe(*(f"{name}={made[name]}" for name in ("topic", "quality"))))
    assert together.num_passes == 1
    assert Annotator(recipe(f"a={made['topic']}", f"b={made['other']}", f"c={made['names']}")).num_passes == 3
    found = together.annotate(together.prepare(given))
    assert found["topic_scores"].equals(_columns(given, made["topic"])["scores"])
    assert found["quality_score"].equals(_columns(given, made["quality"])["score"])


def test_no_document_gives_the_same_columns_without_rows(made):
    for source in ("topic", "quality", "names"):
        some, none = _columns(["one"], made[source]), _columns([], made[source])
        assert pa.table(some).schema == pa.table(none).schema
    assert pa.table(_columns([], "nano:embedding")).num_rows == 0


def test_what_says_nothing_of_a_document_is_refused(made, tmp_path):
    from modernbert.model.heads import MultipleChoice
    from modernbert.model.store import save
    from support.small import small_model

    model, tokenizer = small_model()
    save(MultipleChoice(model.config), tmp_path)
    tokenizer.save(tmp_path)
    with pytest.raises(CheckpointError, match="expected an embedder, or a classifier"):
        Annotator(recipe(str(tmp_path)))


def test_an_exported_graph_is_refused_and_its_model_named(tmp_path):
    told = Manifest(
        head="trunk", precision="float32", backend="onnxruntime", file="onnx/model.onnx", outputs=("last_hidden_state",),
        longest=128, width=64, source="runs/edu", source_hash="", worst_difference=0.0,
    )  # fmt: skip
    (tmp_path / "export.json").write_text(json.dumps(asdict(told)))
    with pytest.raises(UnsupportedError, match=r"expected a model for annotating: name the one .*, 'runs/edu'"):
        Annotator(recipe(str(tmp_path)))


def test_models_need_names_of_their_own():
    with pytest.raises(UserError, match="expected a name of its own"):
        recipe("nano:embedding", "nano:embedding")
