"""int8 as a user meets it: --dtype, and the report."""

import inspect
import json

import pytest
import torch

from modernbert.model.encoder import encode
from modernbert.model.quantize import quantize
from modernbert.model.store import load
from modernbert.ops.packed import Packed
from modernbert.retrieval.embedder import Embedder
from modernbert.tasks.fill_mask import MaskFiller
from modernbert.text.tokenizer import Tokenizer
from support.demonstration import demonstration, modernbert
from support.native import needs_native

pytestmark = needs_native

TEXT = "import [MASK]"


def _model() -> str:
    return str(demonstration()[0] / "model")


def test_the_report_of_a_trained_model_says_that_int8_is_fine():
    texts = "\n".join(f"def area_{number}(radius): return {number} * radius" for number in range(40))
    done = modernbert("model", "check-int8", "-", "--model", _model(), "--seconds", "0.1", "--json", stdin=texts)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["num_texts"] == 40
    assert told["vectors"]["mean"] > 0.999
    assert abs(told["guesses"]["loss_int8"] - told["guesses"]["loss"]) < 0.02
    assert told["problems"] == []


@torch.inference_mode()
def test_states_are_nearer_to_those_of_float64_than_bfloat16s_are():
    texts = [inspect.getsource(module) for module in (json, inspect)]
    packed = Packed.from_lists(Tokenizer.load(_model()).encode(texts, longest=512).ids)
    truth = encode(load(_model(), dtype="float32").double().model, packed, backend="blocked")
    brief = encode(load(_model(), dtype="bfloat16").model, packed, backend="blocked")
    whole = encode(quantize(load(_model(), dtype="float32")).model, packed)
    assert (whole - truth).norm() < (brief - truth).norm()


def test_the_report_has_help():
    done = modernbert("model", "check-int8", "--help")
    assert done.returncode == 0
    assert b"before you use --dtype int8" in done.stdout


def test_embed_takes_int8():
    done = modernbert("embed", "--model", _model(), "--dtype", "int8", stdin=f"{TEXT}\n")
    found = json.loads(done.stdout)["embedding"]
    embedder = Embedder.from_pretrained(_model(), dtype="float32")
    assert found == pytest.approx(embedder.encode([TEXT])[0].tolist(), abs=0.02)
    quantize(embedder.encoder)
    assert found == pytest.approx(embedder.encode([TEXT])[0].tolist(), abs=1e-6)


def test_fill_mask_takes_int8():
    done = modernbert("fill-mask", "--model", _model(), TEXT, "--dtype", "int8", "--json")
    found = [guess["score"] for guess in json.loads(done.stdout)["masks"][0]]
    filler = MaskFiller.from_pretrained(_model(), dtype="float32")
    assert found == pytest.approx([guess.score for guess in filler.fill([TEXT])[0][0]], abs=0.02)
    quantize(filler.model)
    assert found == pytest.approx([guess.score for guess in filler.fill([TEXT])[0][0]], abs=1e-6)
