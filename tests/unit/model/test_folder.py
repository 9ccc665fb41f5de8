import pytest

from modernbert.core.errors import UserError
from modernbert.model.folder import check_free, copy_tokenizer
from modernbert.text.tokenizer import Tokenizer
from support.texts import small_tokenizer


def test_a_tokenizer_is_copied_byte_for_byte_and_nothing_else_is(tmp_path):
    source, target = tmp_path / "a", tmp_path / "b"
    target.mkdir()
    small_tokenizer().save(source)
    (source / "model.safetensors").write_bytes(b"x")
    names = copy_tokenizer(source, target)
    assert set(names) == {path.name for path in target.iterdir()} == {path.name for path in source.glob("*.json")}
    assert all((source / name).read_bytes() == (target / name).read_bytes() for name in names)
    assert Tokenizer.load(target).encode(["a text"]).ids == small_tokenizer().encode(["a text"]).ids


def test_without_a_tokenizer_nothing_is_copied(tmp_path):
    assert copy_tokenizer(tmp_path, tmp_path) == ()


def test_a_new_folder_and_an_empty_one_are_free(tmp_path):
    check_free(tmp_path)
    check_free(tmp_path / "new")


def test_a_name_that_is_taken_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    for taken in (tmp_path, tmp_path / "file"):
        with pytest.raises(UserError, match=r"is there already, expected a new or an empty folder"):
            check_free(taken)
