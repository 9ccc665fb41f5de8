import json
import shutil

import pytest

from modernbert.core.errors import UserError
from modernbert.text.layout import ROLES
from modernbert.text.tokenizer import Tokenizer
from support.texts import NASTY, small_tokenizer, small_tokenizer_folder

CONFIG = "tokenizer_config.json"
SPECIAL = "special_tokens_map.json"


@pytest.fixture
def folder(tmp_path):
    shutil.copytree(small_tokenizer_folder(), tmp_path / "saved")
    return tmp_path / "saved"


def edit(path, **changes):
    """Change keys of a JSON file; `None` takes a key out."""
    content = json.loads(path.read_text(encoding="utf-8")) | changes
    path.write_text(json.dumps({key: value for key, value in content.items() if value is not None}), encoding="utf-8")


def test_a_saved_tokenizer_loads_as_it_was(folder):
    ours, loaded = small_tokenizer(), Tokenizer.load(folder)
    assert loaded.encode(NASTY.values()) == ours.encode(NASTY.values())
    assert (loaded.vocab_size, loaded.longest, loaded.num_unused) == (448, 128, 8)
    assert loaded.special_ids == ours.special_ids


def test_saving_twice_gives_the_same_bytes(folder, tmp_path):
    Tokenizer.load(folder).save(tmp_path / "new" / "again")
    for path in folder.iterdir():
        assert path.read_bytes() == (tmp_path / "new" / "again" / path.name).read_bytes()


def test_saving_leaves_other_files_alone_and_no_litter(folder):
    (folder / "model.safetensors").write_bytes(b"weights")
    small_tokenizer().save(folder)
    names = {"model.safetensors", "tokenizer.json", CONFIG, SPECIAL}
    assert {path.name for path in folder.iterdir()} == names


def test_the_files_have_the_layout_of_the_hub(folder):
    config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    mask = {"content": "[MASK]", "lstrip": True, "rstrip": False, "normalized": False, "single_word": False}
    assert config["tokenizer_class"] == "PreTrainedTokenizerFast"
    assert config["model_max_length"] == 128
    assert config["model_input_names"] == ["input_ids", "attention_mask"]
    assert config["mask_token"] == "[MASK]"
    assert config["added_tokens_decoder"][str(small_tokenizer().mask_id)] == mask | {"special": True}
    special = json.loads((folder / SPECIAL).read_text(encoding="utf-8"))
    assert special["mask_token"] == mask
    assert set(special) == {f"{role}_token" for role in ROLES}


def test_merges_are_written_as_every_release_of_tokenizers_reads_them(folder):
    model = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))["model"]
    assert all(isinstance(merge, str) and merge.count(" ") == 1 for merge in model["merges"])


def test_an_unstated_length_stays_unstated(folder):
    edit(folder / CONFIG, model_max_length=int(1e30))
    loaded = Tokenizer.load(folder)
    assert loaded.longest is None
    loaded.save(folder)
    assert json.loads((folder / CONFIG).read_text())["model_max_length"] == 1000000000000000019884624838656


def test_a_length_which_the_config_leaves_out_is_not_stated(folder):
    edit(folder / CONFIG, model_max_length=None)
    assert Tokenizer.load(folder).longest is None


def test_truncation_and_padding_kept_in_the_file_are_switched_off(folder):
    edit(
        folder / "tokenizer.json",
        truncation={"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0},
        padding={
            "strategy": {"Fixed": 64}, "direction": "Right", "pad_to_multiple_of": None,
            "pad_id": 0, "pad_type_id": 0, "pad_token": "[PAD]",
        },
    )  # fmt: skip
    texts = ["one", "a good deal longer than four tokens"]
    assert Tokenizer.load(folder).encode(texts) == small_tokenizer().encode(texts)


def test_flags_of_the_config_win_over_those_of_the_tokenizer(folder):
    content = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    for token in content["added_tokens"]:
        token["lstrip"] = False
    edit(folder / "tokenizer.json", added_tokens=content["added_tokens"])
    assert Tokenizer.load(folder).encode(["a [MASK]"]) == small_tokenizer().encode(["a [MASK]"])


def test_roles_are_found_in_the_older_file_alone(folder):
    edit(folder / CONFIG, **{f"{role}_token": None for role in ROLES})
    assert Tokenizer.load(folder).mask_id == small_tokenizer().mask_id


def test_roles_may_be_written_with_flags(folder):
    (folder / SPECIAL).unlink()
    edit(folder / CONFIG, mask_token={"__type": "AddedToken", "content": "[MASK]", "lstrip": True})
    assert Tokenizer.load(folder).mask_id == small_tokenizer().mask_id


def test_the_older_file_wins_only_where_the_newer_describes_no_tokens(folder):
    edit(folder / SPECIAL, mask_token="[unused0]")
    assert Tokenizer.load(folder).mask_id == small_tokenizer().mask_id
    edit(folder / CONFIG, added_tokens_decoder=None)
    assert Tokenizer.load(folder).mask_id == small_tokenizer().id("[unused0]")


@pytest.mark.parametrize("name", ["tokenizer.json", CONFIG])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(UserError, match=rf"saved holds no {name}: expected a tokenizer folder .*; check the path"):
        Tokenizer.load(folder)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(UserError, match=r"nowhere holds no tokenizer_config\.json"):
        Tokenizer.load(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["tokenizer.json", CONFIG, SPECIAL])
@pytest.mark.parametrize("content", [b'{"cut": ', b"\xff\xfe", b"", b'["a list"]'], ids=repr)
def test_a_damaged_file_is_named(folder, name, content):
    (folder / name).write_bytes(content)
    with pytest.raises(UserError, match=rf"{name} is damaged \(.+\): save or download it again"):
        Tokenizer.load(folder)


def test_a_file_that_tokenizers_cannot_read_is_named_with_its_version(folder):
    (folder / "tokenizer.json").write_text('{"version": "1.0"}')
    with pytest.raises(UserError, match=r"tokenizer.json cannot be read by tokenizers 0\.\d+\.\d+.* \(.+\): expected"):
        Tokenizer.load(folder)


def test_missing_roles_are_named(folder):
    (folder / SPECIAL).unlink()
    edit(folder / CONFIG, sep_token=None, mask_token=None)
    with pytest.raises(UserError, match="saved names no sep_token, mask_token: every role needs a token; add it to"):
        Tokenizer.load(folder)


def test_a_role_whose_token_does_not_exist_is_named(folder):
    edit(folder / CONFIG, pad_token="<nothing>")
    with pytest.raises(UserError, match=r"names '<nothing>' as pad_token, but tokenizer\.json has no such token"):
        Tokenizer.load(folder)


@pytest.mark.parametrize("wrong", [0, -1, 2.5, "512", True])
def test_a_length_that_is_no_number_of_tokens_is_refused(folder, wrong):
    edit(folder / CONFIG, model_max_length=wrong)
    with pytest.raises(
        UserError, match=rf"model_max_length is {wrong!r}, expected a number of tokens above 0: correct"
    ):
        Tokenizer.load(folder)


@pytest.mark.parametrize(
    "wrong", [["a list"], {"x": {"content": "[CLS]"}}, {"5": "[CLS]"}, {"5": {}}, {"5": {"content": 5}}], ids=repr
)
def test_damaged_descriptions_of_tokens_are_named(folder, wrong):
    edit(folder / CONFIG, added_tokens_decoder=wrong)
    with pytest.raises(UserError, match=r"added_tokens_decoder is damaged \(.+\), expected an id and flags for each"):
        Tokenizer.load(folder)
