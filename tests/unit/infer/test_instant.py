"""Which texts NumPy answers, and that it answers as torch does."""

import json
import logging
import shutil
import sys

import numpy as np
import pytest
import torch

from modernbert.core.errors import CheckpointError, UnsupportedError, UserError
from modernbert.infer import instant
from modernbert.infer.exported import refuse_exported
from modernbert.infer.instant import Instant, open_instant
from modernbert.model.arrays import read_weights
from modernbert.model.hf_config import from_file
from modernbert.model.hub import folder_of, tokenizer_folder
from modernbert.model.store import fresh, load, save
from modernbert.ops.packed import Packed
from modernbert.retrieval.embedder import Embedder
from modernbert.tasks.classify import TextClassifier
from modernbert.tasks.fill_mask import MaskFiller
from modernbert.tasks.prediction import Prediction, softmax
from modernbert.tasks.tag import Tagger
from modernbert.text.tokenizer import Tokenizer
from support.close import FP32
from support.sentences import SUBJECTS, VERBS
from support.tiny import tiny_config

LENGTHS = (1, 2, 63, 64, 65, 66, 127, 128, 129, 130, 511)
HEADS = {
    "nano": "fill-mask",
    "nano:sentiment": "text-classification",
    "nano:entities": "token-classification",
    "nano:embedding": "embedding",
}


@pytest.fixture
def no_torch(monkeypatch):
    """As in a process that has not imported it; nothing that is called here does."""
    monkeypatch.delitem(sys.modules, "torch")


def _opened(name):
    folder = folder_of(name)
    config, architecture = from_file(folder / "config.json")
    weights = read_weights(folder, config, architecture)
    assert weights is not None
    tokenizer = Tokenizer.load(tokenizer_folder(folder))
    return Instant(folder, config, tokenizer, weights, head=HEADS[name], pooling=config.classifier_pooling)


def _documents(tokenizer):
    """Of a story, one with a [MASK] in it each."""
    story = " ".join(f"{subject} {verb}" for subject in SUBJECTS * 12 for verb in VERBS)
    ids = tokenizer.encode([story], special=False).ids[0]
    documents = [tokenizer.enclose(ids[9 * i :][: n - 2]) if n > 2 else ids[:n] for i, n in enumerate(LENGTHS)]
    for document in documents:
        document[len(document) // 2] = tokenizer.mask_id
    assert tuple(map(len, documents)) == LENGTHS
    return documents


@pytest.mark.parametrize("name", HEADS)
def test_what_comes_out_is_what_torch_gives(name):
    ours = _opened(name)
    documents = _documents(ours.tokenizer)
    model, packed = load(name, dtype=torch.float32), Packed.from_lists(documents)
    with torch.inference_mode():
        if name == "nano:embedding":
            embedder = Embedder(model, ours.tokenizer, pooling=ours.config.classifier_pooling)
            truth = list(embedder.embed(packed).numpy())
        elif name == "nano":
            truth = [each.numpy() for each in packed.split(model(packed))]
        else:
            truth = model.rows(packed)
    together, alone = ours.rows(documents), [ours.rows([document])[0] for document in documents]
    for found in (together, alone):
        _assert_close(found, truth, is_vector=name == "nano:embedding")


def _assert_close(found, truth, *, is_vector):
    for ours, theirs in zip(found, truth, strict=True):
        assert (ours.dtype, ours.shape) == (np.float32, theirs.shape)
        if not is_vector:
            ours, theirs = (np.log(softmax(each[::7] if each.ndim > 1 else each)) for each in (ours, theirs))
        assert (np.abs(ours - theirs) / (1 + np.abs(theirs))).max() <= FP32


@pytest.mark.parametrize("name", ["nano", "nano:entities"])
def test_some_places_only_are_the_same_numbers(name):
    ours = _opened(name)
    documents = _documents(ours.tokenizer)[:5]
    places = [(0, 0), (4, 3), (2, 62), (4, 0)]
    rows = ours.rows(documents)
    np.testing.assert_allclose(
        ours.rows_at(documents, places), np.stack([rows[number][place] for number, place in places]), atol=1e-5
    )


def test_masks_are_filled_with_the_same_words():
    texts = ["She opened the [MASK] and went out.", "for i in [MASK](10):", "[MASK] met [MASK] in Berlin."]
    model = _opened("nano")
    fillers = MaskFiller(model, model.tokenizer), MaskFiller.from_pretrained("nano", dtype="float32")
    ours, theirs = (_shown(filler.fill(texts, top_k=10)) for filler in fillers)
    assert ours == theirs
    assert list(map(len, ours)) == [1, 1, 2]
    ours, theirs = (_shown(filler.fill(texts[:1], targets=["door", "window", "sea"])) for filler in fillers)
    assert ours == theirs


def _shown(filled):
    return [[[(each.token, f"{each.score:.1%}") for each in guesses] for guesses in masks] for masks in filled]


def test_labels_and_tags_are_the_same():
    texts = ["The music was beautiful.", "I want my money back.", "", "word " * 300]
    ours, theirs = (
        [(each.label, f"{each.score:.1%}", each.num_pieces) for each in classifier.predict(texts)]
        for classifier in (
            _predictor(TextClassifier, "nano:sentiment"),
            TextClassifier.from_pretrained("nano", dtype="float32"),
        )
    )
    assert ours == theirs
    texts = ["Angela Merkel met Tim Cook in Berlin.", "nothing here"]
    ours, theirs = (
        [(each.tags, [(e.label, e.text, f"{e.score:.1%}") for e in each.entities]) for each in tagger.predict(texts)]
        for tagger in (_predictor(Tagger, "nano:entities"), Tagger.from_pretrained("nano", dtype="float32"))
    )
    assert ours == theirs


def _predictor(kind, name):
    model = _opened(name)
    return kind(model, model.tokenizer, Prediction.load(model.folder))


@pytest.mark.usefixtures("no_torch")
def test_vectors_are_the_same_as_with_torch_prompts_and_all(monkeypatch):
    texts = ["def area(r): return 3.14 * r * r", "sum of two numbers", ""]
    ours = Embedder.for_texts("nano", texts)
    assert isinstance(ours.light, Instant)
    found = [ours.encode(texts, prompt="search: ", truncate_dim=64), ours.encode_query(texts)]
    cls = Embedder.for_texts("nano", texts, pooling="cls").encode(texts)
    with pytest.raises(UnsupportedError, match="opened for a few texts, expected one for chunks: open it by from_pre"):
        ours.encode_chunks(texts, size=32)
    monkeypatch.setitem(sys.modules, "torch", torch)
    theirs = Embedder.from_pretrained("nano", dtype=torch.float32)
    np.testing.assert_allclose(found[0], theirs.encode(texts, prompt="search: ", truncate_dim=64), atol=1e-5)
    np.testing.assert_allclose(found[1], theirs.encode_query(texts), atol=1e-5)
    np.testing.assert_allclose(
        cls, Embedder.from_pretrained("nano", pooling="cls", dtype=torch.float32).encode(texts), atol=1e-5
    )
    assert Embedder.for_texts("nano", texts).light is None, "torch is here"
    assert theirs.width == ours.width


@pytest.mark.usefixtures("no_torch")
def test_a_prompt_counts_and_modules_are_left_to_torch(tmp_path, monkeypatch):
    monkeypatch.setattr(Embedder, "from_pretrained", lambda *_, **__: "by torch")
    for folder in (folder_of("nano"), folder_of("nano:embedding")):
        shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    settings = tmp_path / "config_sentence_transformers.json"
    settings.write_text(json.dumps({"prompts": {"query": "find: "}}))
    assert isinstance(Embedder.for_texts(tmp_path, ["a"]).light, Instant)
    settings.write_text(json.dumps({"prompts": {"query": "find: " * 6000}}))
    assert Embedder.for_texts(tmp_path, ["a"]) == "by torch"
    settings.unlink()
    assert Embedder.for_texts(tmp_path, ["a"], dtype="float32") == "by torch"
    (tmp_path / "modules.json").write_text(
        json.dumps([{"path": "", "type": "sentence_transformers.models.Transformer"}])
    )
    assert Embedder.for_texts(tmp_path, ["a"]) == "by torch"


@pytest.mark.usefixtures("no_torch")
def test_few_texts_of_a_small_model_are_numpys(caplog):
    folder = folder_of("nano")
    with caplog.at_level(logging.INFO, "modernbert"):
        assert open_instant(folder, "fill-mask", ["a [MASK]"]) is not None
    assert "NumPy in float32, because" in caplog.text
    assert open_instant(folder, "fill-mask", ["word " * 1000] * 2) is not None
    assert open_instant(folder, "fill-mask", ["word " * 4000]) is None, "too much work"
    assert open_instant(folder, "fill-mask", ["[MASK]"] * 256) is not None
    assert open_instant(folder, "fill-mask", ["[MASK]" * 20] * 256) is None, "too many to fill"
    assert open_instant(folder, "fill-mask", ["a"] * 257) is None, "too many texts"
    assert open_instant(folder, "fill-mask", ["a" * 40_000]) is None, "too many characters"
    assert open_instant(folder, "text-classification", ["a"]) is None, "another head"
    assert open_instant(folder, "question-answering", ["a"]) is None, "a head that NumPy has not"
    assert open_instant(folder, "fill-mask", ["\ud800"]) is not None, "its text is refused where it is read"


@pytest.mark.usefixtures("no_torch")
def test_a_large_model_is_left_to_torch(tmp_path, monkeypatch):
    monkeypatch.setattr(instant, "MOST_WORK", 100_000_000)
    assert open_instant(folder_of("nano"), "fill-mask", ["a [MASK]"]) is None


def test_a_process_that_has_torch_goes_on_with_it():
    assert open_instant(folder_of("nano"), "fill-mask", ["a [MASK]"]) is None
    assert not isinstance(MaskFiller.for_texts("nano", ["a [MASK]"]).model, Instant)


@pytest.mark.usefixtures("no_torch")
def test_what_is_wrong_is_said_as_ever(tmp_path, monkeypatch):
    with pytest.raises(CheckpointError, match="neither a packaged model"):
        MaskFiller.for_texts("nothing", ["a [MASK]"])
    filler = MaskFiller.for_texts("nano", ["no mask", "a \ud800 [MASK]"])
    assert isinstance(filler.model, Instant)
    with pytest.raises(UserError, match="text 0 has no"):
        filler.fill(["no mask"])
    with pytest.raises(UserError, match="lone surrogate"):
        filler.fill(["a \ud800 [MASK]"])
    with pytest.raises(UserError, match="token id 99999 is outside the vocabulary"):
        filler.model.rows([[1, 99_999]])
    with pytest.raises(UnsupportedError, match="opened for a few texts, expected one for a drawing"):
        refuse_exported(filler.model, "a drawing")
    monkeypatch.setitem(sys.modules, "torch", torch)
    save(fresh(tiny_config()), tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(CheckpointError, match="is damaged"):
        MaskFiller.for_texts(tmp_path, ["a [MASK]"])
