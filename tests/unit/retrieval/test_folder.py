import json

import pytest

from modernbert.core.errors import CheckpointError, UnsupportedError, UserError
from modernbert.retrieval.dense import activation_of
from modernbert.retrieval.embedder import Embedder
from modernbert.retrieval.expansion import Expansion
from modernbert.retrieval.folder import describe
from modernbert.retrieval.late import LateInteraction
from modernbert.retrieval.similarity import similarity_named
from modernbert.retrieval.sparse import SparseEncoder
from support.small import small_checkpoint


@pytest.fixture
def folder(tmp_path):
    Embedder.from_pretrained(small_checkpoint(tmp_path / "plain")).save_pretrained(tmp_path / "saved")
    return tmp_path / "saved"


def _change(path, **changes):
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def _kinds(folder, *kinds):
    modules = [{"path": "" if kind == "Transformer" else "1_Pooling", "type": f"x.{kind}"} for kind in kinds]
    (folder / "modules.json").write_text(json.dumps(modules))


def test_old_releases_put_the_transformer_in_a_folder_of_its_own(folder, tmp_path):
    before = Embedder.from_pretrained(folder).encode(["a b"])
    inside = folder / "0_Transformer"
    inside.mkdir()
    for name in (
        "config.json",
        "model.safetensors",
        "sentence_bert_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
    ):
        (folder / name).rename(inside / name)
    (folder / "special_tokens_map.json").rename(inside / "special_tokens_map.json")
    modules = json.loads((folder / "modules.json").read_text())
    modules[0]["path"] = "0_Transformer"
    (folder / "modules.json").write_text(json.dumps(modules))
    assert (Embedder.from_pretrained(folder).encode(["a b"]) == before).all()


def test_what_is_not_built_is_refused_in_a_sentence(folder):
    _change(folder / "1_Pooling" / "config.json", pooling_mode_mean_tokens=False, pooling_mode_max_tokens=True)
    with pytest.raises(UnsupportedError, match="found the pooling max, expected cls or mean"):
        Embedder.from_pretrained(folder)
    with pytest.raises(CheckpointError, match="found a Pooling module, expected vectors of tokens"):
        LateInteraction.from_pretrained(folder)
    _kinds(folder, "Transformer", "WordWeights")
    with pytest.raises(UnsupportedError, match="found a module WordWeights, expected Pooling or Dense or Normalize"):
        Embedder.from_pretrained(folder)
    _kinds(folder, "StaticEmbedding")
    with pytest.raises(UnsupportedError, match="found the module StaticEmbedding first, expected a Transformer"):
        describe(folder)


def test_broken_files_are_named(folder):
    _change(folder / "sentence_bert_config.json", max_seq_length="long")
    with pytest.raises(CheckpointError, match="max_seq_length: found 'long', expected a whole number"):
        Embedder.from_pretrained(folder)
    _change(folder / "sentence_bert_config.json", do_lower_case=True)
    with pytest.raises(UnsupportedError, match="do_lower_case is not built"):
        describe(folder)
    (folder / "config_sentence_transformers.json").write_text("[]")
    (folder / "sentence_bert_config.json").write_text("{}")
    with pytest.raises(CheckpointError, match="holds list, expected a mapping"):
        describe(folder)
    (folder / "modules.json").write_text("[3]")
    with pytest.raises(CheckpointError, match="does not list modules with a type"):
        describe(folder)
    (folder / "modules.json").write_text("[")
    with pytest.raises(CheckpointError, match="is not JSON"):
        describe(folder)


def test_a_folder_with_something_in_it_is_not_written_over(folder):
    with pytest.raises(UserError, match="expected a new or an empty folder"):
        Embedder.from_pretrained(folder).save_pretrained(folder)


def test_unknown_words_of_settings_are_refused(folder):
    with pytest.raises(UnsupportedError, match=r"found the activation 'os\.system', expected one of torch's"):
        activation_of("os.system", "here")
    with pytest.raises(UserError, match="similarity_fn_name: found 'maxsim', expected one of cosine, dot"):
        similarity_named("maxsim", "here")
    with pytest.raises(CheckpointError, match="query_expansion: found 3, expected a strategy"):
        Expansion.of(3, folder)
    with pytest.raises(UserError, match="truncate_dim: found 200, expected 1 to 128"):
        Embedder.from_pretrained(folder).encode(["a"], truncate_dim=200)


def test_a_sparse_encoder_needs_a_masked_language_model(folder, tmp_path):
    _kinds(folder, "Transformer")
    with pytest.raises(CheckpointError, match="found ModernBertModel, expected ModernBertForMaskedLM"):
        SparseEncoder.from_pretrained(folder)
    model = SparseEncoder.from_pretrained(tmp_path / "plain")
    with pytest.raises(UserError, match="max_active_dims: found 0, expected 1 or more"):
        model.encode(["a"], max_active_dims=0)
    with pytest.raises(TypeError, match="encode takes a list of texts"):
        model.encode("a")
    assert model.encode([]).shape == (0, 448)
