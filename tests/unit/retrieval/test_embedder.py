import numpy as np
import pytest
import torch

from modernbert.core.errors import UserError
from modernbert.ops.packed import Packed
from modernbert.retrieval.embedder import Embedder
from support.small import small_checkpoint, small_model
from support.texts import NASTY

TEXTS = ["one", "", "a much longer text than the others are", "two words"]


def _embedder(pooling="mean") -> Embedder:
    model, tokenizer = small_model()
    return Embedder(model.model, tokenizer, pooling=pooling, too_long="truncate")


def test_mean_and_cls_are_what_they_say():
    model, tokenizer = small_model()
    mean, first = (_embedder(pooling).encode(TEXTS) for pooling in ("mean", "cls"))
    for row, ids in enumerate(tokenizer.encode(TEXTS).ids):
        hidden = model.model(Packed.from_lists([ids]), backend="reference").detach().numpy()
        np.testing.assert_allclose(mean[row], hidden.mean(0), atol=1e-5, rtol=1e-5)
        np.testing.assert_allclose(first[row], hidden[0], atol=1e-5, rtol=1e-5)
    assert mean.dtype == np.float32


def test_nasty_texts_get_finite_vectors_in_order():
    embedder = _embedder()
    nasty = [text[:5000] for text in NASTY]
    together = embedder.encode(nasty)
    assert np.isfinite(together).all()
    for row in (0, len(nasty) // 2, len(nasty) - 1):
        np.testing.assert_allclose(embedder.encode([nasty[row]])[0], together[row], atol=1e-5)


def test_queries_and_documents_of_a_model_without_prompts_are_the_same():
    embedder = _embedder()
    np.testing.assert_array_equal(embedder.encode_query(TEXTS), embedder.encode_document(TEXTS))


def test_similarity_is_the_cosine():
    embedder = _embedder()
    vectors = embedder.encode(TEXTS)
    expected = torch.cosine_similarity(torch.tensor(vectors)[:, None], torch.tensor(vectors)[None], dim=-1)
    np.testing.assert_allclose(embedder.similarity(vectors, vectors), expected.numpy(), atol=1e-6)
    assert np.isfinite(embedder.similarity(np.zeros((1, 3), np.float32), np.ones((1, 3), np.float32))).all()


def test_normalized_vectors_have_length_one():
    np.testing.assert_allclose(
        np.linalg.norm(_embedder().encode(TEXTS, normalize_embeddings=True), axis=1), 1.0, atol=1e-6
    )


def test_no_text_gives_no_row():
    assert _embedder().encode([]).shape == (0, 128)


def test_one_string_is_not_a_list_of_texts():
    with pytest.raises(TypeError, match=r"found one string, write encode\(\[text\]\)"):
        _embedder().encode("one")


def test_a_lone_surrogate_is_named():
    with pytest.raises(UserError, match="lone surrogate"):
        _embedder().encode(["fine", "bad \ud800"])


def test_it_opens_a_folder_with_its_pooling(tmp_path):
    embedder = Embedder.from_pretrained(small_checkpoint(tmp_path))
    assert embedder.pooling == "mean"
    assert Embedder.from_pretrained(tmp_path, pooling="cls").pooling == "cls"
    assert embedder.encode(TEXTS).shape == (4, 128)


def test_token_ids_give_the_vectors_of_their_texts():
    embedder = _embedder()
    ids = embedder.tokenizer.encode(TEXTS, special=False).ids
    np.testing.assert_array_equal(embedder.encode_ids(ids), embedder.encode(TEXTS))
    np.testing.assert_array_equal(
        embedder.encode_ids(ids, truncate_dim=5, normalize_embeddings=True),
        embedder.encode(TEXTS, truncate_dim=5, normalize_embeddings=True),
    )


def test_token_ids_that_are_none_or_too_many_are_told(capsys):
    with pytest.raises(UserError, match="document 1: found the token 448, expected 0 to 447"):
        _embedder().encode_ids([[5], [448]])
    model, tokenizer = small_model()
    refusing = Embedder(model.model, tokenizer, pooling="mean", longest=8, too_long="refuse")
    with pytest.raises(UserError, match="document 0 has 12 tokens, expected 8 or fewer: split it"):
        refusing.encode_ids([[5] * 10])
    cutting = Embedder(model.model, tokenizer, pooling="mean", longest=8)
    np.testing.assert_array_equal(cutting.encode_ids([[5] * 10]), cutting.encode_ids([[5] * 6]))
    assert (
        "document 0 has 12 tokens, expected 8 or fewer: the 4 tokens at its end were not read"
        in capsys.readouterr().err
    )


def test_tokens_have_the_encoders_states():
    model, tokenizer = small_model()
    found = _embedder().encode_tokens(TEXTS)
    for rows, ids in zip(found, tokenizer.encode(TEXTS).ids, strict=True):
        expected = model.model(Packed.from_lists([ids]), backend="reference").detach().numpy()
        np.testing.assert_allclose(rows, expected, atol=1e-5, rtol=1e-5)
