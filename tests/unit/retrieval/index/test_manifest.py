"""What an index was made for."""

from dataclasses import replace

import pytest

from modernbert.core.errors import ConfigError, UserError
from modernbert.retrieval.index.manifest import Manifest, Part, Settings, check_same, read_manifest
from support.records import SETTINGS


def test_it_is_read_as_it_was_written(tmp_path):
    part = Part(name="a.parquet", commit=3, rows=5, size=700)
    manifest = Manifest(settings=SETTINGS).next(part, count=4, average_words=2.5)
    manifest.save(tmp_path)
    assert read_manifest(tmp_path) == manifest
    assert manifest.commit == 3
    assert read_manifest(tmp_path / "none") is None


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"vector_size": 4}, "made with vector size 3, now it is 4"),
        ({"tokens_size": None}, "made with tokens size 2, now it is None"),
        ({"similarity": "cosine"}, "made with similarity dot, now it is cosine"),
        ({"chunker": "other"}, "made with chunker lines-1, now it is other"),
    ],
)
def test_another_kind_of_vectors_is_refused(tmp_path, changed, complaint):
    with pytest.raises(UserError, match=f"{complaint}, and their vectors or texts do not fit together"):
        check_same(tmp_path, SETTINGS, replace(SETTINGS, **changed))
    check_same(tmp_path, SETTINGS, replace(SETTINGS, model="another name of the same weights"))


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"vector_size": 0}, "vectors of 0 and None, expected 1 or more"),
        ({"tokens_size": 0}, "vectors of 2 and 0, expected 1 or more"),
        ({"similarity": "angle"}, "similarity 'angle', expected 'cosine' or 'dot'"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(changed, complaint):
    with pytest.raises(ConfigError, match=complaint):
        Settings(**{"model": "m", "model_hash": "0", "vector_size": 2, **changed})
