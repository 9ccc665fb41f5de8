"""Folders for runtimes: what they give beside the model they were made of, and what is refused."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from modernbert.core.errors import CheckpointError, UserError
from modernbert.export import network
from modernbert.export.write import export
from modernbert.infer.exported import FILE, Exported
from modernbert.model.heads import MultipleChoice, QuestionAnswerer, SequenceClassifier, TokenClassifier
from modernbert.retrieval.dense import Dense, Normalize
from modernbert.retrieval.embedder import Embedder
from modernbert.retrieval.reranker import Reranker
from modernbert.tasks.answer import Answerer
from modernbert.tasks.choose import Chooser
from modernbert.tasks.classify import TextClassifier
from modernbert.tasks.fill_mask import MaskFiller
from modernbert.tasks.tag import Tagger
from support.retrieval import write_model, write_pylate
from support.small import small_checkpoint

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

TEXTS = ["the keeper", "", "fog from the north " * 30, "the captain counted ships", "a"]


def _write(folder, kind, **changes):
    """For texts of 200 tokens: long enough for three blocks, and soon checked."""
    return write_model(folder, kind, max_position_embeddings=200, **changes)


def _write_classifier(folder, num_labels):
    return _write(folder, SequenceClassifier, labels=tuple(f"LABEL_{i}" for i in range(num_labels)))


def _export(source, out, **settings):
    wanted = {"backend": "onnxruntime", "precision": "float32", "head": None, "texts": TEXTS} | settings
    return export(str(source), out, **wanted)


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    """A masked language model, and its export."""
    home = tmp_path_factory.mktemp("words")
    small_checkpoint(home / "model")
    _export(home / "model", home / "onnx")
    return home


def test_masks_are_filled_as_by_the_model(words):
    texts = ["the [MASK] is here", "[MASK]" + " fog" * 20 + " [MASK]"]
    fillers = [MaskFiller.from_pretrained(words / name) for name in ("model", "onnx")]
    truth, found = (filler.fill(texts, top_k=3) for filler in fillers)
    for masks, wanted in zip(found, truth, strict=True):
        assert [[g.score for g in guesses] for guesses in masks] == [
            pytest.approx([g.score for g in guesses], rel=1e-2) for guesses in wanted
        ]
    targets = ["the", "a"]
    found = [[guess.token_id for guess in filler.fill(texts[:1], targets=targets)[0][0]] for filler in fillers]
    assert sorted(found[0]) == sorted(found[1])
    with pytest.raises(UserError, match=r"text 0 has no \[MASK\]"):
        fillers[1].fill(["nothing"])


def test_the_manifest_says_what_it_was_made_of(words):
    found = json.loads((words / "onnx" / FILE).read_text())
    assert (found["head"], found["file"], found["outputs"]) == ("fill-mask", "onnx/model.onnx", ["logits"])
    assert 0 < found["worst_difference"] < 1e-4
    assert found["drop"] is None
    assert {"onnx", "onnxruntime", "modernbert", "opset"} == set(found["versions"])
    assert len(found["source_hash"]) == 64


CLASSIFIED = {
    "classify": (TextClassifier, lambda folder: _write_classifier(folder, 3), lambda model: model.predict(TEXTS)),
    "tag": (
        Tagger,
        lambda folder: _write(folder, TokenClassifier, labels=("O", "B-X", "I-X")),
        lambda model: model.predict(["the keeper lit it", "fog " * 100]),
    ),
    "answer": (
        Answerer,
        lambda folder: _write(folder, QuestionAnswerer),
        lambda model: model.predict([("who?", "the keeper lit it"), ("what?", "fog " * 100)], top_k=2),
    ),
    "choose": (
        Chooser,
        lambda folder: _write(folder, MultipleChoice),
        lambda model: model.predict([("the", ("keeper", "fog", "ship")), ("a", ("b", "c" * 200))]),
    ),
}


@pytest.mark.parametrize("name", CLASSIFIED)
def test_every_predictor_answers_as_its_model(name, tmp_path):
    kind, write, ask = CLASSIFIED[name]
    write(tmp_path / "model")
    report = _export(tmp_path / "model", tmp_path / "onnx")
    truth = ask(kind.from_pretrained(tmp_path / "model", dtype="float32"))
    found = ask(kind.from_pretrained(tmp_path / "onnx"))
    assert _numbers(found) == pytest.approx(_numbers(truth), abs=1e-4)
    assert report.quality is None
    with pytest.raises(CheckpointError, match="expected 'fill-mask': export the model with --head fill-mask"):
        MaskFiller.from_pretrained(tmp_path / "onnx")


def _numbers(found):
    """All that is a number in nested results, in order."""
    if isinstance(found, float | int):
        return [float(found)]
    if isinstance(found, dict):
        return [number for key in sorted(found) for number in _numbers(found[key])]
    if isinstance(found, list | tuple):
        return [number for each in found for number in _numbers(each)]
    return [] if isinstance(found, str) else [n for name in found.__slots__ for n in _numbers(getattr(found, name))]


def test_a_reranker_scores_as_its_model(tmp_path):
    _write_classifier(tmp_path / "model", 1)
    _export(tmp_path / "model", tmp_path / "onnx")
    pairs = [("who?", "the keeper"), ("fog?", "north " * 100), ("", "a")]
    one, other = (Reranker.from_pretrained(tmp_path / name) for name in ("model", "onnx"))
    np.testing.assert_allclose(other.predict(pairs), one.predict(pairs), atol=1e-2)
    assert [each.corpus_id for each in other.rank("who?", ["fog", "the keeper"])] == [
        each.corpus_id for each in one.rank("who?", ["fog", "the keeper"])
    ]


@pytest.fixture(scope="module")
def embedder(tmp_path_factory):
    """An embedder with layers behind its pooling and with prompts, and its export."""
    home = tmp_path_factory.mktemp("embedder")
    small_checkpoint(home / "plain")
    plain = Embedder.from_pretrained(home / "plain", dtype="float32", pooling="mean")
    whole = Embedder(
        plain.encoder,
        plain.tokenizer,
        pooling="mean",
        behind=[Dense(plain.width, 24, activation="torch.nn.modules.activation.Tanh"), Normalize()],
        prompts=replace(plain.prompts, named={"query": "find: ", "document": ""}),
        longest=100,
    )
    whole.save_pretrained(home / "model")
    _export(home / "model", home / "onnx")
    return home


def test_vectors_are_the_models_prompts_and_all(embedder):
    model, exported = (
        Embedder.from_pretrained(embedder / name, dtype=d) for name, d in (("model", "float32"), ("onnx", "auto"))
    )
    assert exported.width == 24
    np.testing.assert_allclose(exported.encode_query(TEXTS), model.encode_query(TEXTS), atol=1e-5)
    np.testing.assert_allclose(exported.encode(TEXTS, truncate_dim=8), model.encode(TEXTS, truncate_dim=8), atol=1e-5)
    assert np.abs(exported.encode_query(TEXTS) - exported.encode(TEXTS)).max() > 1e-3
    np.testing.assert_allclose(np.linalg.norm(exported.encode(TEXTS), axis=1), 1, atol=1e-5)
    with pytest.raises(UserError, match="expected a model for chunks: name the one"):
        exported.encode_chunks(TEXTS, size=8)
    with pytest.raises(UserError, match="expected none: an exported graph has its own"):
        Embedder.from_pretrained(embedder / "onnx", pooling="cls")


def test_a_vector_does_not_depend_on_its_batch(embedder):
    exported = Embedder.from_pretrained(embedder / "onnx")
    together = exported.encode(TEXTS * 40)
    alone = np.concatenate([exported.encode([text]) for text in TEXTS])
    np.testing.assert_allclose(together[: len(TEXTS)], alone, atol=1e-5)
    np.testing.assert_array_equal(together.shape, (200, 24))


def test_tokens_of_late_interaction_and_the_trunk_alone_are_exported(embedder, tmp_path):
    assert _export(write_pylate(tmp_path / "late"), tmp_path / "a").manifest.head == "late"
    report = _export(embedder / "model", tmp_path / "b", head="trunk")
    rows = Exported(tmp_path / "b").rows([[5, 6, 7], [8]])
    assert [row.shape for row in rows] == [(3, report.manifest.width), (1, report.manifest.width)]
    assert Exported(tmp_path / "a").rows([[5, 6, 7]])[0].shape == (3, 32)


@pytest.mark.parametrize("precision", ["float16", "bfloat16", "int8"])
def test_rounded_exports_say_what_it_cost(embedder, tmp_path, precision):
    report = _export(embedder / "model", tmp_path / "out", precision=precision, most_lost=5.0)
    assert report.quality.measure == "cosine"
    assert report.manifest.drop == pytest.approx(report.quality.drop)
    assert report.bytes < 0.6 * (embedder / "onnx" / "onnx" / "model.onnx").stat().st_size
    np.testing.assert_allclose(
        Embedder.from_pretrained(tmp_path / "out").encode(TEXTS),
        Embedder.from_pretrained(embedder / "onnx").encode(TEXTS),
        atol=0.2,
    )


def test_with_scales_found_before_a_vector_does_not_depend_on_its_batch_in_int8_either(embedder, tmp_path):
    wanted = {"precision": "int8", "most_lost": 5.0}
    report = _export(embedder / "model", tmp_path / "calibrated", calibrate_on=TEXTS * 2, **wanted)
    assert report.manifest.calibrated_on > len(TEXTS)
    assert _export(embedder / "model", tmp_path / "dynamic", **wanted).manifest.calibrated_on is None
    apart = []
    for name in ("calibrated", "dynamic"):
        exported = Exported(tmp_path / name)
        ids = exported.tokenizer.encode(TEXTS).ids
        alone = np.stack([exported.rows([each])[0] for each in ids])
        apart.append(np.abs(np.stack(exported.rows(ids)) - alone).max())
    assert apart[0] < 1e-5 < apart[1]
    np.testing.assert_allclose(
        Embedder.from_pretrained(tmp_path / "calibrated").encode(TEXTS),
        Embedder.from_pretrained(embedder / "onnx").encode(TEXTS),
        atol=0.2,
    )
    with pytest.raises(UserError, match="found float32 to calibrate, expected int8"):
        _export(embedder / "model", tmp_path / "other", calibrate_on=TEXTS)


def test_a_rounded_export_that_lost_too_much_is_refused_and_nothing_is_left(embedder, tmp_path):
    with pytest.raises(
        UserError, match=r"int8 costs .* points \(cosine: 100.00 to .*expected 0 at most: nothing was written"
    ):
        _export(embedder / "model", tmp_path / "out", precision="int8", most_lost=0.0)
    assert list(tmp_path.iterdir()) == []


def test_an_export_that_differs_is_refused_and_nothing_is_left(words, tmp_path, monkeypatch):
    monkeypatch.setattr(network, "HIDDEN", -1.0)  # a graph in which padding is seen
    with pytest.raises(
        UserError, match=r"its export differs from it by .*expected 0.0001 at most: nothing was written"
    ):
        _export(words / "model", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(network, "HIDDEN", float("-inf"))  # rows of padding that see nothing
    with pytest.raises(UserError, match=r"its export differs from it"):
        _export(words / "model", tmp_path / "out")


def test_a_task_judges_a_rounded_export(tmp_path, embedder):
    _write_classifier(tmp_path / "model", 2)
    rows = [{"text": text, "label": f"LABEL_{i % 2}"} for i, text in enumerate(TEXTS)]
    task = tmp_path / "rows.jsonl"
    task.write_text("".join(json.dumps(row) + "\n" for row in rows))
    report = _export(tmp_path / "model", tmp_path / "a", precision="int8", task=task, most_lost=100.0)
    assert (report.quality.measure, report.quality.num_cases) == ("accuracy", 5)
    task.write_text(json.dumps({"text": "a", "label": "LABEL_7"}))
    with pytest.raises(UserError, match="found the label 'LABEL_7', expected one of LABEL_0, LABEL_1"):
        _export(tmp_path / "model", tmp_path / "b", precision="int8", task=task)
    with pytest.raises(UserError, match="found rows that say nothing of the head embedding"):
        _export(embedder / "model", tmp_path / "b", precision="int8", task=task)
    pairs = [{"text": text, "pair": text[::-1], "score": i} for i, text in enumerate(TEXTS)]
    task.write_text("".join(json.dumps(row) + "\n" for row in pairs))
    found = _export(embedder / "model", tmp_path / "b", precision="int8", task=task, most_lost=100.0).quality
    assert (found.measure, found.num_cases) == ("rank correlation", 5)
    task.write_text("{")
    with pytest.raises(UserError, match=r"rows.jsonl, line 1: not JSON"):
        _export(embedder / "model", tmp_path / "c", precision="int8", task=task)


def test_wrong_questions_are_answered_in_one_sentence(words, tmp_path):
    with pytest.raises(
        UserError, match="found ModernBertForMaskedLM, expected a model with the head token-classification"
    ):
        _export(words / "model", tmp_path / "out", head="token-classification")
    with pytest.raises(UserError, match="is there already, expected a new or an empty folder"):
        _export(words / "model", words / "onnx")
    small_checkpoint(tmp_path / "bare")
    (tmp_path / "bare" / "tokenizer.json").unlink()
    with pytest.raises(CheckpointError, match=r"tokenizer.json is missing, and an export needs it"):
        _export(tmp_path / "bare", tmp_path / "out")
    with pytest.raises(UserError, match="found no text with a word in it"):
        _export(words / "model", tmp_path / "out", precision="int8", texts=["", ""])
    assert not (tmp_path / "out").exists()


def test_an_exported_folder_runs_where_there_is_no_torch(words, embedder):
    code = f"""
import sys
sys.modules["torch"] = None  # importing it fails
import modernbert as mb
print(mb.MaskFiller.from_pretrained({str(words / "onnx")!r}).fill(["the [MASK]"])[0][0][0].token_id)
print(mb.Embedder.from_pretrained({str(embedder / "onnx")!r}).encode(["the keeper"] * 50).shape)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[1] == "(50, 24)"


def test_a_verb_that_needs_torch_says_so_and_a_few_texts_need_none():
    needs, needs_none = (_without_torch(["fill-mask", "a [MASK]", *more]) for more in (["--dtype", "float32"], []))
    assert (needs.returncode, needs.stdout) == (2, "")
    assert needs.stderr.startswith(
        "error: torch is not installed and this needs it: pip install torch, or name a folder"
    )
    assert (needs_none.returncode, needs_none.stderr) == (0, "")
    assert needs_none.stdout.startswith("a [MASK]\n  '")


def _without_torch(words):
    code = f"""
import sys
class Missing:
    def find_spec(self, name, *rest):
        if name == "torch":
            raise ModuleNotFoundError("No module named 'torch'", name="torch")
sys.meta_path.insert(0, Missing())
from modernbert.cli.main import main
sys.exit(main({words}))
"""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


def test_openvino_gives_the_same_from_its_own_file_and_from_onnx(embedder, tmp_path):
    pytest.importorskip("openvino")
    report = _export(embedder / "model", tmp_path / "openvino", backend="openvino", head="embedding")
    assert report.manifest.file == "openvino/openvino_model.xml"
    truth = Embedder.from_pretrained(embedder / "onnx").encode(TEXTS)
    np.testing.assert_allclose(Embedder.from_pretrained(tmp_path / "openvino").encode(TEXTS), truth, atol=1e-5)
    ids = Exported(embedder / "onnx").tokenizer.encode(TEXTS, longest=100).ids
    np.testing.assert_allclose(Exported(embedder / "onnx", backend="openvino").rows(ids), truth, atol=1e-5)
    with pytest.raises(UserError, match="found float16 for OpenVINO, expected float32 or int8"):
        _export(embedder / "model", tmp_path / "half", backend="openvino", precision="float16")
