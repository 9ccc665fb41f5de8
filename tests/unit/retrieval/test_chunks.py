import numpy as np
import pytest

from modernbert.core.errors import UserError
from modernbert.ops.packed import Packed
from modernbert.retrieval.chunks import _cut, _windows
from modernbert.retrieval.embedder import Embedder
from support.small import small_model
from support.texts import CORPUS

TEXT = CORPUS[:900]


def _embedder(pooling="mean", longest=128) -> Embedder:
    model, tokenizer = small_model()
    return Embedder(model.model, tokenizer, pooling=pooling, longest=longest)


def test_early_chunks_are_read_alone():
    embedder = _embedder()
    (found,) = embedder.encode_chunks([TEXT], size=60, overlap=10)
    ids = embedder.tokenizer.encode([TEXT], special=False).ids[0]
    own = embedder.tokenizer.enclose(ids[50:110])
    expected = embedder.embed(Packed.from_lists([own])).detach().numpy()[0]
    np.testing.assert_allclose(found.vectors[1], expected, atol=1e-5)
    assert len(found.spans) == len(found.vectors) == -(-(len(ids) - 10) // 50)


def test_spans_name_every_character_that_is_no_white_space():
    (found,) = _embedder().encode_chunks([TEXT], size=40, overlap=5)
    covered = set()
    for start, end in found.spans:
        covered |= set(range(start, end))
    assert {i for i, c in enumerate(TEXT) if not c.isspace()} <= covered


def test_late_chunks_are_means_of_states_of_the_whole_text():
    embedder = _embedder(longest=1000)
    (found,) = embedder.encode_chunks([TEXT], size=64, late=True)
    ids = embedder.tokenizer.encode([TEXT], special=False).ids[0]
    states = embedder.encoder(Packed.from_lists([embedder.tokenizer.enclose(ids)])).detach()[1:-1]
    for number, chunk in enumerate(_cut(len(ids), 64, 0)):
        expected = states[chunk.start : chunk.stop].mean(0).numpy()
        np.testing.assert_allclose(found.vectors[number], expected, atol=1e-5)


def test_late_chunks_beyond_the_model_come_from_windows():
    found = _embedder().encode_chunks([TEXT, "", "short"], size=30, overlap=3, late=True, normalize_embeddings=True)
    assert [len(each.spans) for each in found][1:] == [1, 1]
    for each in found:
        np.testing.assert_allclose(np.linalg.norm(each.vectors, axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("num_tokens", [0, 1, 99, 100, 101, 250, 1003])
@pytest.mark.parametrize(("size", "overlap"), [(10, 0), (30, 29), (100, 50), (64, 7)])
def test_windows_hold_every_chunk_once_and_fit(num_tokens, size, overlap):
    chunks = _cut(num_tokens, size, overlap)
    windows = _windows(num_tokens, chunks, 100)
    assert [chunk for window in windows for chunk in window.chunks] == chunks
    for window in windows:
        assert window.end - window.start <= 100
        assert all(window.start <= chunk.start <= chunk.stop <= window.end for chunk in window.chunks)


def test_sizes_that_cannot_be_are_refused():
    with pytest.raises(UserError, match=r"size 127 and overlap 0: expected .* a size of 126 tokens or fewer"):
        _embedder().encode_chunks([TEXT], size=127)
    with pytest.raises(UserError, match="expected an overlap below the size"):
        _embedder().encode_chunks([TEXT], size=10, overlap=10)
    with pytest.raises(UserError, match="found a model that pools"):
        _embedder("cls").encode_chunks([TEXT], size=10, late=True)
    with pytest.raises(TypeError, match="takes a list of texts"):
        _embedder().encode_chunks(TEXT, size=10)
