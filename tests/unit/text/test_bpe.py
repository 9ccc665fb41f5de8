import json
import shutil

import pytest
from tokenizers.pre_tokenizers import ByteLevel

from modernbert.core.errors import UnsupportedError
from modernbert.text.bpe import PlainTokenizer, letters, merge, spell, split_added, split_words
from support.texts import NASTY, hub_like_tokenizer, small_tokenizer, small_tokenizer_folder


@pytest.fixture(scope="module")
def plain():
    return PlainTokenizer.load(small_tokenizer_folder())


@pytest.mark.parametrize("text", NASTY.values(), ids=NASTY)
def test_the_plain_way_gives_the_ids_of_the_fast_way(plain, text):
    assert plain.encode(text) == small_tokenizer().encode([text]).ids[0]
    assert plain.encode(text, special=False) == small_tokenizer().encode([text], special=False).ids[0]


def test_pairs_come_out_alike(plain):
    assert plain.encode("the fog", "[MASK] light") == small_tokenizer().encode(["the fog"], ["[MASK] light"]).ids[0]


def test_runs_of_spaces_as_on_the_hub_come_out_alike(tmp_path):
    tokenizer = hub_like_tokenizer()
    tokenizer.save(tmp_path)
    plain = PlainTokenizer.load(tmp_path)
    assert [plain.encode(text) for text in NASTY.values()] == tokenizer.encode(NASTY.values()).ids


@pytest.mark.parametrize("text", NASTY.values(), ids=NASTY)
def test_the_plain_way_back_gives_the_text_of_the_fast_way(plain, text):
    ids = plain.encode(text)
    assert plain.decode(ids) == small_tokenizer().decode(ids, special=True)


@pytest.mark.parametrize("text", NASTY.values(), ids=NASTY)
def test_words_are_cut_as_the_compiled_expression_cuts_them(text):
    compiled = ByteLevel(add_prefix_space=False, use_regex=True)
    assert ["".join(spell(word)) for word in split_words(text)] == [word for word, _ in compiled.pre_tokenize_str(text)]


def test_letters_are_those_of_gpt_2():
    assert set(letters().values()) == set(ByteLevel.alphabet())
    assert len(set(letters().values())) == 256


def test_merging_follows_the_worked_example_of_wikipedia():
    # https://en.wikipedia.org/wiki/Byte-pair_encoding: aaabdaaabac, with Z=aa, Y=ab, X=ZY, becomes XdXac
    ranks = {("a", "a"): 0, ("a", "b"): 1, ("aa", "ab"): 2}
    assert merge(list("aaabdaaabac"), ranks) == ["aaab", "d", "aaab", "a", "c"]


def test_of_added_tokens_the_longest_wins_at_the_leftmost_place():
    tokens = [{"content": c, "id": n, "lstrip": False, "rstrip": False} for n, c in enumerate(["ab", "abc", "cd", "b"])]
    assert list(split_added("xabcd", tokens)) == [("x", None), ("abc", 1), ("d", None)]


def test_an_added_token_takes_white_space_at_the_sides_it_says():
    token = {"content": "T", "id": 0, "lstrip": True, "rstrip": True}
    assert list(split_added("a \u3000T\n T b", [token])) == [("a", None), (" \u3000T\n ", 0), ("T ", 0), ("b", None)]


def changed(content, path, value):
    *outer, last = path.split(".")
    for key in outer:
        content = content[key]
    content[last] = value


@pytest.mark.parametrize(
    ("path", "value", "what"),
    [
        ("model.type", "WordPiece", "a model of type WordPiece"),
        ("model.dropout", 0.1, "a model with dropout"),
        ("model.ignore_merges", True, "a model with ignore_merges"),
        ("model.byte_fallback", True, "a model with byte_fallback"),
        ("model.end_of_word_suffix", "</w>", "a model with end_of_word_suffix"),
        ("normalizer", {"type": "Lowercase"}, "the normalizer {'type': 'Lowercase'}"),
        ("pre_tokenizer.add_prefix_space", True, "the pre-tokenizer"),
        ("pre_tokenizer.use_regex", False, "the pre-tokenizer"),
        ("pre_tokenizer", None, "the pre-tokenizer"),
        ("post_processor.type", "RobertaProcessing", "a post-processor of type RobertaProcessing"),
        ("added_tokens", [{"content": "x", "single_word": True}], "single_word tokens"),
    ],
)
def test_what_the_twin_does_not_know_is_refused(tmp_path, path, value, what):
    shutil.copy(small_tokenizer_folder() / "tokenizer.json", tmp_path)
    content = json.loads((tmp_path / "tokenizer.json").read_text(encoding="utf-8"))
    changed(content, path, value)
    (tmp_path / "tokenizer.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(UnsupportedError) as error:
        PlainTokenizer.load(tmp_path)
    assert f"tokenizer.json has {what}" in str(error.value)
    assert str(error.value).endswith(": use Tokenizer")
