import pytest

from modernbert.core.errors import ConfigError
from modernbert.core.recipes import shipped_names
from modernbert.retrieval.training.config import TrainRetrieval
from modernbert.retrieval.training.recipes import read_recipe


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mini_batch_size": 0}, "mini_batch_size is 0, expected 1 or more"),
        ({"learning_rate": 0.0}, "learning_rate is 0.0, expected above 0"),
        ({"temperature": -1.0}, "temperature is -1.0, expected above 0"),
        ({"num_train_epochs": 0.0}, "num_train_epochs is 0.0, expected above 0, or max_steps above 0"),
        ({"warmup_ratio": 1.0}, "warmup_ratio is 1.0, expected 0 or more and below 1"),
        ({"kind": "rerank", "loss": "distil"}, "loss is 'distil', expected labels for rerank"),
        ({"kind": "late", "matryoshka_dims": (8,)}, "matryoshka_dims are for dense: found late"),
        ({"columns": {"question": "q"}}, "columns: found the role 'question', expected roles out of document"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        TrainRetrieval(**{"kind": "dense", "data": "d"} | changes)


def test_shipped_recipes_say_what_they_are_for():
    names = shipped_names("retrieval")
    assert names == ["code", "colbert", "dpr", "matryoshka", "mldr", "reranker"]
    read = {name: read_recipe([name, "data=rows.jsonl"]) for name in names}
    assert {name: one.kind for name, one in read.items() if one.kind != "dense"} == {
        "colbert": "late",
        "reranker": "rerank",
    }
    assert (read["dpr"].learning_rate, read["dpr"].warmup_ratio, read["colbert"].learning_rate) == (8e-5, 0.05, 1e-4)
    assert (read["colbert"].trains_by, read["colbert"].per_device_train_batch_size) == ("distil", 16)
    assert read["mldr"].max_length == 8192
    assert read["matryoshka"].matryoshka_dims == (768, 512, 256, 128, 64)
    assert all(str(one.out) == f"runs/retrieval/{name}" for name, one in read.items())


def test_a_recipe_that_is_not_there_is_named():
    with pytest.raises(ConfigError, match="there is no retrieval recipe 'drp', found code, colbert, dpr"):
        read_recipe(["drp"])
