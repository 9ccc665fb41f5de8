import pytest
import torch

from modernbert.tasks.attention_maps import attention_maps
from modernbert.tasks.fill_mask import MaskFiller
from support.served import KINDS, client, folder_of


@pytest.mark.parametrize("layer", [0, 1])
def test_attention_is_pythons_layer_by_layer(layer):
    filler = MaskFiller.from_pretrained(folder_of("words"), dtype="float32")
    text = "𝔣𝔬𝔤 and a bell"
    found = client().post("/inside/attention", json={"inputs": text, "layer": layer}).json()
    one = client().post("/inside/attention", json={"inputs": text, "layer": layer, "head": 1}).json()
    expected = attention_maps(filler.model.model, filler.tokenizer.encode([text]).ids[0])[layer]
    assert found["num_heads"] == len(expected)
    torch.testing.assert_close(torch.tensor(found["shares"]), expected.mean(0), atol=1e-4, rtol=0)
    torch.testing.assert_close(torch.tensor(one["shares"]), expected[1], atol=1e-4, rtol=0)
    assert [each["text"] for each in found["tokens"][1:-1]] == [
        text[each["start"] : each["end"]] for each in found["tokens"][1:-1]
    ]
    kinds = ["global" if kind == "full_attention" else "local" for kind in filler.model.config.layer_kinds]
    assert [each["kind"] for each in found["layers"]] == kinds


def test_every_model_can_be_looked_into_whatever_its_head():
    for kind in KINDS:
        assert client().post("/inside/attention", json={"inputs": "a bell", "model": kind}).json()["model"] == kind


def test_a_layer_or_a_text_beyond_what_is_there_is_refused():
    layer = client().post("/inside/attention", json={"inputs": "a", "layer": 99})
    assert (layer.status_code, layer.json()["error"]) == (422, "layer: found 99, expected 0 to 3")
    head = client().post("/inside/attention", json={"inputs": "a", "head": 99})
    assert (head.status_code, head.json()["error"]) == (422, "head: found 99, expected 0 to 1")
    long = client().post("/inside/attention", json={"inputs": "bell " * 300})
    assert long.status_code == 413
    assert "tokens, expected 256 or fewer: look at a part" in long.json()["error"]


def test_the_server_says_what_it_has():
    found = client().get("/inside/server").json()
    assert [each["name"] for each in found["models"]] == list(KINDS)
    assert found["models"][0]["abilities"] == ["fill-mask", "embed", "zero-shot"]
    assert (found["mask"], found["max_client_batch_size"]) == ("[MASK]", 32)
