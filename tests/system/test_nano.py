"""The model inside the package: whole, small, equal in every reader, and of use to somebody who just installed it."""

import io
import json
import subprocess
import sys

import numpy as np
import pytest
import torch

import modernbert
from modernbert.cli.main import main
from modernbert.core import packaged
from modernbert.model.catalogue import take
from modernbert.model.hub import folder_of

TEXTS = [
    "The capital of France is [MASK].",
    "for i in [MASK](10):\n    print(i)",
    "She put on her coat and [MASK] out into the rain. " * 30,
]


def test_all_packaged_models_together_are_small_enough_to_install():
    size = sum(path.stat().st_size for path in packaged.FOLDER.rglob("*") if path.is_file())
    assert size <= 40e6
    assert packaged.DEFAULT in packaged.names()


def test_stock_transformers_opens_it_and_computes_the_same():
    from transformers import AutoModelForMaskedLM, AutoTokenizer

    folder = folder_of("nano")
    stock = AutoModelForMaskedLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ours = modernbert.load("nano", dtype="float32")
    for text in TEXTS:
        ids = tokenizer(text)["input_ids"]
        assert ids == modernbert.Tokenizer.load("nano").encode([text]).ids[0]
        with torch.no_grad():
            expected = stock(input_ids=torch.tensor([ids])).logits[0]
            found = ours(modernbert.Packed.from_lists([ids]))
        torch.testing.assert_close(found, expected, atol=2e-4, rtol=1e-4)


def test_sentence_transformers_opens_its_embedding_head(tmp_path):
    from sentence_transformers import SentenceTransformer

    take("nano:embedding", tmp_path / "embedding")
    stock = SentenceTransformer(str(tmp_path / "embedding"), device="cpu", model_kwargs={"dtype": "float32"})
    ours = modernbert.Embedder.from_pretrained("nano", dtype="float32")
    np.testing.assert_allclose(ours.encode(TEXTS), stock.encode(TEXTS), atol=2e-5)


def test_sentence_transformers_opens_its_late_head(tmp_path):
    from sentence_transformers import MultiVectorEncoder

    take("nano:late", tmp_path / "late")
    stock = MultiVectorEncoder(str(tmp_path / "late"), device="cpu", model_kwargs={"dtype": "float32"})
    ours = modernbert.LateInteraction.from_pretrained("nano", dtype="float32")
    for found, expected in (
        (ours.encode_query(TEXTS), stock.encode_query(TEXTS)),
        (ours.encode_document(TEXTS), stock.encode_document(TEXTS)),
    ):
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, other, atol=2e-5)


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("for i in [MASK](10):\n    print(i)", " range"),
        ("He opened the door [MASK] looked inside.", " and"),
        ("The children were playing in [MASK] garden.", " the"),
    ],
)
def test_it_fills_what_anybody_would(text, right):
    ((guesses,),) = modernbert.MaskFiller.from_pretrained("nano").fill([text])
    assert guesses[0].token == right


@pytest.mark.parametrize("kind", [modernbert.Embedder, modernbert.LateInteraction])
def test_it_finds_the_function_that_is_meant(kind):
    embedder = kind.from_pretrained("nano")
    functions = [
        "def rmtree(path): shutil.rmtree(path)",
        "def area(radius): return math.pi * radius ** 2",
        "def join(thread): thread.join()",
    ]
    queries = ["delete a folder and everything in it", "surface of a circle", "wait for the thread to end"]
    found = embedder.similarity(embedder.encode_query(queries), embedder.encode_document(functions)).argmax(1)
    assert found.tolist() == [0, 1, 2]


def test_its_heads_judge_and_find_names_and_stock_agrees(tmp_path):
    from transformers import pipeline

    texts = ["The music was beautiful.", "One of the worst films I have ever seen.", "I want my money back."]
    judged = modernbert.TextClassifier.from_pretrained("nano", dtype="float32").predict(texts)
    assert [one.label for one in judged] == ["positive", "negative", "negative"]
    take("nano:sentiment", tmp_path / "sentiment")
    stock = pipeline("text-classification", str(tmp_path / "sentiment"), device="cpu", dtype="float32")
    for ours, expected in zip(judged, stock(texts), strict=True):
        assert ours.label == expected["label"]
        assert ours.score == pytest.approx(expected["score"], abs=1e-4)
    (found,) = modernbert.Tagger.from_pretrained("nano").predict(["Angela Merkel met Tim Cook in Berlin."])
    assert [(one.text, one.label) for one in found.entities] == [
        ("Angela Merkel", "PER"),
        ("Tim Cook", "PER"),
        ("Berlin", "LOC"),
    ]


def test_every_verb_takes_it_without_being_told(capsys):
    assert main(["fill-mask", "The sun rises in the [MASK].", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["masks"][0]) == 5
    assert main(["classify", "--labels", "sports", "politics", "--", "The team won the match"]) == 0
    assert capsys.readouterr().out.startswith("sports")
    assert main(["classify", "A delightful evening."]) == 0
    assert capsys.readouterr().out.startswith("positive")
    assert main(["tag", "She lives in Berlin."]) == 0
    assert "LOC" in capsys.readouterr().out


SHORT = {
    "fill-mask": (["fill-mask", "She opened the [MASK] and went out."], "door"),
    "classify": (["classify", "The music was beautiful.", "I want my money back."], "positive"),
    "tag": (["tag", "Angela Merkel met Tim Cook in Berlin."], "PER"),
    "embed": (["embed"], '"embedding": ['),
}


def _loaded(words, given=""):
    """What a command prints, and the modules that its process has loaded in the end."""
    code = f"import sys; from modernbert.cli.main import main; main({words}); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, input=given)
    *printed, loaded = done.stdout.splitlines()
    return "\n".join(printed), set(loaded.split())


@pytest.mark.parametrize("verb", SHORT)
def test_a_few_short_texts_do_not_wait_for_torch(verb, capsys, monkeypatch):
    words, expected = SHORT[verb]
    text = "def area(r): return 3.14 * r * r\n"
    printed, loaded = _loaded(words, text)
    assert expected in printed
    assert not loaded & {"torch", "huggingface_hub", "onnxruntime", "openvino"}

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    assert main([*words, "--dtype", "float32"]) == 0  # by torch
    if verb != "embed":
        assert capsys.readouterr().out.rstrip("\n") == printed.rstrip("\n")
        return
    ours, theirs = (json.loads(each)["embedding"] for each in (printed, capsys.readouterr().out))
    assert ours == pytest.approx(theirs, abs=1e-5)


@pytest.mark.parametrize("given", ["word " * 8000, "good\n" * 300], ids=["a long text", "many texts"])
def test_what_is_more_is_computed_by_torch(given):
    printed, loaded = _loaded(["embed"], given)
    assert len(printed.splitlines()) == len(given.splitlines())
    assert "torch" in loaded


def test_filling_a_mask_imports_nothing_that_it_does_not_need():
    _, loaded = _loaded(["fill-mask", "a [MASK]", "--dtype", "float32"])
    assert "torch" in loaded
    assert not loaded & {
        "transformers",
        "sentence_transformers",
        "peft",
        "sklearn",
        "scipy",
        "pandas",
        "pyarrow",
        "matplotlib",
    }
