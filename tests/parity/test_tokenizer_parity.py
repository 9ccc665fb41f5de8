"""Ours against transformers' AutoTokenizer and against bare `tokenizers`, on the same files: every id must be equal."""

import json
import shutil

import pytest
import tokenizers
from transformers import AutoTokenizer

from modernbert.text.tokenizer import Tokenizer
from support.texts import LONG_WORD, NASTY, hub_like_tokenizer, small_tokenizer, small_tokenizer_folder

TEXTS = [*NASTY.values(), LONG_WORD]
ROLES = ["unk", "cls", "sep", "pad", "mask"]


@pytest.fixture(scope="module", params=["with a model's config", "alone"])
def theirs(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved")
    small_tokenizer().save(folder)
    if request.param != "alone":
        ids = {f"{role}_token_id": small_tokenizer().sep_id for role in ["bos", "eos", "cls", "sep", "pad"]}
        config = {"model_type": "modernbert", "vocab_size": 448, **ids}
        (folder / "config.json").write_text(json.dumps(config))
    return AutoTokenizer.from_pretrained(folder)


def test_ids_are_those_of_bare_tokenizers():
    bare = tokenizers.Tokenizer.from_file(str(small_tokenizer_folder() / "tokenizer.json"))
    assert small_tokenizer().encode(TEXTS).ids == [bare.encode(text).ids for text in TEXTS]
    assert small_tokenizer().encode(TEXTS, TEXTS[::-1]).ids == [
        bare.encode(text, pair).ids for text, pair in zip(TEXTS, TEXTS[::-1], strict=True)
    ]


@pytest.mark.parametrize("text", NASTY.values(), ids=NASTY)
def test_ids_are_those_of_transformers(theirs, text):
    assert small_tokenizer().encode([text]).ids[0] == theirs(text)["input_ids"]
    assert small_tokenizer().encode([text], special=False).ids[0] == theirs(text, add_special_tokens=False)["input_ids"]


def test_pairs_are_those_of_transformers(theirs):
    assert small_tokenizer().encode(TEXTS, TEXTS[::-1]).ids == theirs(TEXTS, TEXTS[::-1])["input_ids"]


@pytest.mark.parametrize("longest", [3, 4, 5, 8, 9, 16, 17, 64])
def test_cut_texts_and_pairs_are_those_of_transformers(theirs, longest):
    # Not the long word: transformers makes a copy of all that it cuts off, for every piece of it, for minutes.
    texts, pairs = [*NASTY.values()] * 2, [*NASTY.values()][::-1] + TEXTS[5:-1] + TEXTS[:5]
    cut = {"truncation": True, "max_length": longest}
    assert small_tokenizer().encode(texts, longest=longest).ids == theirs(texts, **cut)["input_ids"]
    assert small_tokenizer().encode(texts, pairs, longest=longest).ids == theirs(texts, pairs, **cut)["input_ids"]


def test_decoded_text_is_that_of_transformers(theirs):
    for ids in small_tokenizer().encode(TEXTS).ids:
        assert small_tokenizer().decode(ids) == theirs.decode(ids, skip_special_tokens=True)
        assert small_tokenizer().decode(ids, special=True) == theirs.decode(ids)


def test_transformers_reads_roles_sizes_and_flags_as_we_wrote_them(theirs):
    ours = small_tokenizer()
    assert [getattr(theirs, f"{role}_token_id") for role in ROLES] == [getattr(ours, f"{role}_id") for role in ROLES]
    assert (len(theirs), theirs.model_max_length) == (ours.vocab_size, ours.longest)
    assert theirs.model_input_names == ["input_ids", "attention_mask"]
    assert theirs.added_tokens_decoder[ours.mask_id].lstrip
    assert set(theirs.all_special_ids) == ours.special_ids


def test_offsets_differ_from_those_of_transformers_by_white_space_only(theirs):
    for text in ["  the light, I'll  see\n it ", NASTY["code"], NASTY["masks and spaces"]]:
        longer = theirs(text, return_offsets_mapping=True)["offset_mapping"]
        trimmed = small_tokenizer().encode([text], offsets=True).offsets[0]
        assert [text[start:end].strip() for start, end in longer] == [text[start:end] for start, end in trimmed]


@pytest.mark.parametrize("legacy", [False, True], ids=["as transformers 5 saves", "after it cut and padded"])
def test_what_transformers_saves_loads_here(theirs, tmp_path, legacy):
    if legacy:
        theirs(["a", "b c"], truncation=True, max_length=3, padding="max_length")
    theirs.save_pretrained(tmp_path)
    assert not (tmp_path / "special_tokens_map.json").exists()
    loaded = Tokenizer.load(tmp_path)
    assert loaded.encode(TEXTS) == small_tokenizer().encode(TEXTS)
    assert loaded.special_ids == small_tokenizer().special_ids
    assert loaded.longest == 128


def test_runs_of_spaces_as_on_the_hub_mean_the_same_to_both(tmp_path):
    hub_like_tokenizer().save(tmp_path)
    theirs = AutoTokenizer.from_pretrained(tmp_path)
    assert Tokenizer.load(tmp_path).encode(TEXTS).ids == theirs(TEXTS)["input_ids"]
    assert set(theirs.all_special_ids) == hub_like_tokenizer().special_ids == small_tokenizer().special_ids


def test_flags_that_stand_in_the_config_alone_mean_the_same_to_both(tmp_path):
    shutil.copytree(small_tokenizer_folder(), tmp_path, dirs_exist_ok=True)
    content = json.loads((tmp_path / "tokenizer.json").read_text(encoding="utf-8"))
    for token in content["added_tokens"]:
        token["lstrip"] = False
    (tmp_path / "tokenizer.json").write_text(json.dumps(content), encoding="utf-8")
    theirs = AutoTokenizer.from_pretrained(tmp_path)
    assert (
        Tokenizer.load(tmp_path).encode(TEXTS).ids == theirs(TEXTS)["input_ids"] == small_tokenizer().encode(TEXTS).ids
    )
