import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import tokenizers
from tokenizers.processors import TemplateProcessing

from modernbert.core.errors import UnsupportedError, UserError
from modernbert.text.bpe import PlainTokenizer
from modernbert.text.tokenizer import Tokenizer
from support.texts import LONG_WORD, NASTY, hub_like_tokenizer, small_tokenizer, small_tokenizer_folder


@pytest.fixture
def tokenizer():
    return small_tokenizer()


def cut_out(tokenizer, text):
    """Each token with the characters that its offsets name."""
    encoded = tokenizer.encode([text], offsets=True)
    spans = zip(encoded.ids[0], encoded.offsets[0], strict=True)
    return [(tokenizer.token(token_id), text[start:end]) for token_id, (start, end) in spans][1:-1]


def test_special_tokens_have_ids_by_role(tokenizer):
    roles = [tokenizer.unk_id, tokenizer.cls_id, tokenizer.sep_id, tokenizer.pad_id, tokenizer.mask_id]
    assert [tokenizer.token(token_id) for token_id in roles] == ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"]
    assert tokenizer.special_ids == frozenset(roles)


def test_the_empty_text_becomes_cls_sep(tokenizer):
    assert tokenizer.encode([""]).ids == [[tokenizer.cls_id, tokenizer.sep_id]]


def test_no_texts_give_no_ids(tokenizer):
    assert len(tokenizer.encode([])) == 0
    assert tokenizer.encode([], [], offsets=True).offsets == []


def test_a_pair_follows_its_text(tokenizer):
    encoded = tokenizer.encode(["the light"], ["the fog"])
    first, second = encoded.parts[0]
    assert [tokenizer.decode(encoded.ids[0][part.start : part.stop]) for part in (first, second)] == [
        "the light",
        "the fog",
    ]
    assert tokenizer.decode(encoded.ids[0], special=True) == "[CLS]the light[SEP]the fog[SEP]"


def test_without_special_tokens_only_the_text_is_left(tokenizer):
    encoded = tokenizer.encode(["the light"], special=False)
    assert tokenizer.decode(encoded.ids[0], special=True) == "the light"
    assert encoded.parts == [(range(len(encoded.ids[0])),)]


def test_special_tokens_spelled_out_in_a_text_count(tokenizer):
    assert tokenizer.encode(["[SEP]"], special=False).ids == [[tokenizer.sep_id]]


SPELLED_OUT = "a [SEP]b [MASK], [CLS][unused0] [unused12] [PAD]"


def test_literally_no_token_that_a_text_spells_out_counts(tokenizer):
    ids = tokenizer.encode([SPELLED_OUT], literal=True, special=False).ids[0]
    assert tokenizer.decode(ids) == SPELLED_OUT
    unused = {tokenizer.id(f"[unused{n}]") for n in range(tokenizer.num_unused)}
    assert not set(ids) & (tokenizer.special_ids | unused)


def test_literally_other_text_is_encoded_as_ever(tokenizer):
    texts = [text for text in NASTY.values() if "[MASK]" not in text]
    assert tokenizer.encode(texts, literal=True).ids == tokenizer.encode(texts).ids


def test_literally_encoded_is_what_plain_bpe_makes_without_added_tokens():
    plain = PlainTokenizer.load(small_tokenizer_folder())
    ids = small_tokenizer().encode([SPELLED_OUT], literal=True, special=False).ids[0]
    assert ids == replace(plain, added=[]).encode(SPELLED_OUT, special=False)


def test_literally_runs_of_spaces_keep_their_tokens_and_ids():
    tokenizer = hub_like_tokenizer()
    text = "a" + " " * 24 + "[SEP]" + " " * 4 + "b"
    ids = tokenizer.encode([text], literal=True).ids[0]
    assert {tokenizer.id(" " * 24), tokenizer.id(" " * 4)} <= set(ids)
    assert ids.count(tokenizer.sep_id) == 1


def test_literal_encoding_travels_to_other_processes(tokenizer):
    once = tokenizer.encode(["[SEP]"], literal=True).ids
    assert pickle.loads(pickle.dumps(tokenizer)).encode(["[SEP]"], literal=True).ids == once
    assert tokenizer.encode(["[SEP]"], special=False).ids == [[tokenizer.sep_id]]


def test_mask_takes_the_space_before_it(tokenizer):
    ids = tokenizer.encode(["the light is [MASK]."]).ids[0]
    assert ids == tokenizer.encode(["the light is[MASK]."]).ids[0]
    assert tokenizer.decode(ids, special=True) == "[CLS]the light is[MASK].[SEP]"


def test_cutting_keeps_cls_and_sep_and_counts_what_it_cuts(tokenizer):
    whole = tokenizer.encode(["the light is white", "the"])
    encoded = tokenizer.encode(["the light is white", "the"], longest=4)
    assert encoded.ids == [[*whole.ids[0][:3], tokenizer.sep_id], whole.ids[1]]
    assert encoded.num_cut == [len(whole.ids[0]) - 4, 0]
    assert encoded.parts == [(range(1, 3),), (range(1, 2),)]


def test_nothing_is_cut_unless_asked_for(tokenizer):
    encoded = tokenizer.encode(["light " * 500])
    assert encoded.num_cut == [0]
    assert len(encoded.ids[0]) > tokenizer.longest


def test_of_a_pair_the_longer_text_is_cut_first(tokenizer):
    encoded = tokenizer.encode(["the the"], ["the the the the the"], longest=8)
    assert [len(part) for part in encoded.parts[0]] == [2, 3]
    assert encoded.num_cut == [2]


def test_cutting_counts_without_special_tokens_too(tokenizer):
    encoded = tokenizer.encode(["the the the"], longest=2, special=False)
    assert (len(encoded.ids[0]), encoded.num_cut) == (2, [1])


def test_cutting_leaves_as_little_as_cls_sep(tokenizer):
    assert tokenizer.encode(["the light"], longest=2).ids == [[tokenizer.cls_id, tokenizer.sep_id]]


@pytest.mark.parametrize(
    ("longest", "pairs", "special", "least"),
    [(1, None, True, 2), (2, ["b"], True, 3), (0, None, False, 1), (-1, None, True, 2)],
)
def test_a_length_without_room_for_the_special_tokens_is_refused(tokenizer, longest, pairs, special, least):
    with pytest.raises(UserError, match=rf"longest={longest} leaves no room for .*: it must be at least {least}"):
        tokenizer.encode(["a"], pairs, longest=longest, special=special)


def test_offsets_leave_the_space_out(tokenizer):
    assert cut_out(tokenizer, " the light") == [("Ġthe", "the"), ("Ġlight", "light")]


def test_a_token_of_white_space_has_an_empty_span(tokenizer):
    assert ("Ċ", "") in cut_out(tokenizer, "the\nlight")


def test_a_mask_s_offsets_leave_its_space_out(tokenizer):
    assert cut_out(tokenizer, "the  [MASK]") == [("Ġthe"[1:], "the"), ("[MASK]", "[MASK]")]


def test_tokens_of_one_character_share_its_span(tokenizer):
    assert {cut for _, cut in cut_out(tokenizer, "😀")} == {"😀"}


@pytest.mark.parametrize(
    "text", ["e\u0301", "a\u0323\u0302", "\u1112\u1161\u11ab"], ids=["acute", "two marks", "Hangul"]
)
def test_a_composed_character_is_wholly_inside_its_offsets(tokenizer, text):
    assert {cut for token, cut in cut_out(tokenizer, f"x{text}") if token != "x"} == {text}


def test_offsets_of_a_pair_are_places_in_the_pair(tokenizer):
    encoded = tokenizer.encode(["light"], ["a light"], offsets=True)
    assert encoded.offsets[0][encoded.parts[0][1].stop - 1] == (2, 7)


def test_offsets_are_cut_with_their_tokens(tokenizer):
    whole = tokenizer.encode(["the light is white"], offsets=True)
    encoded = tokenizer.encode(["the light is white"], longest=4, offsets=True)
    assert encoded.offsets == [[*whole.offsets[0][:3], (0, 0)]]


def test_offsets_not_asked_for_are_refused_with_the_way_to_get_them(tokenizer):
    with pytest.raises(UserError, match=r"encoded without offsets: call encode\(..., offsets=True\)"):
        _ = tokenizer.encode(["a"]).offsets


def test_ids_are_the_same_with_and_without_offsets(tokenizer):
    assert tokenizer.encode(NASTY.values(), offsets=True).ids == tokenizer.encode(NASTY.values()).ids


def test_a_text_s_ids_do_not_depend_on_its_neighbours(tokenizer):
    assert tokenizer.encode(NASTY.values()).ids == [tokenizer.encode([text]).ids[0] for text in NASTY.values()]


def test_texts_may_come_from_numpy_and_from_a_generator(tokenizer):
    texts = ["the light", "the fog"]
    assert tokenizer.encode(np.array(texts)) == tokenizer.encode(text for text in texts) == tokenizer.encode(texts)


@pytest.mark.parametrize("text", ["the " * 250_000, "\0" * 1_000_000, LONG_WORD], ids=["line", "NULs", "word"])
def test_a_megabyte_without_a_line_end_comes_back_whole(tokenizer, text):
    assert tokenizer.decode(tokenizer.encode([text]).ids[0]) == text


def test_bad_text_is_named_with_its_place(tokenizer):
    with pytest.raises(UserError, match=r"texts\[1\] holds a lone surrogate U\+DCFF at character 2: it is not valid"):
        tokenizer.encode(["fine", "ab\udcff"])
    with pytest.raises(UserError, match=r"pairs\[0\] is of type int, expected a string"):
        tokenizer.encode(["fine"], [3])
    with pytest.raises(UserError, match="texts is one string"):
        tokenizer.encode("fine")


def test_a_tuple_is_not_taken_for_a_pair(tokenizer):
    with pytest.raises(UserError, match=r"texts\[0\] is of type tuple, expected a string"):
        tokenizer.encode([("question", "answer")])


def test_a_missing_pair_is_refused(tokenizer):
    with pytest.raises(UserError, match="2 texts but 1 pairs: give every text its pair"):
        tokenizer.encode(["a", "b"], ["c"])


def test_enclosing_ids_gives_what_encoding_gives(tokenizer):
    first, second = tokenizer.encode(["the light", "fog"], special=False).ids
    assert tokenizer.enclose(first) == tokenizer.encode(["the light"]).ids[0]
    assert tokenizer.enclose(first, second) == tokenizer.encode(["the light"], ["fog"]).ids[0]
    assert tokenizer.enclose([]) == [tokenizer.cls_id, tokenizer.sep_id]


def test_decoding_leaves_special_tokens_out_unless_asked(tokenizer):
    ids = np.array(tokenizer.encode(["the [MASK]"]).ids[0])
    assert tokenizer.decode(ids) == "the"
    assert tokenizer.decode(ids, special=True) == "[CLS]the[MASK][SEP]"
    assert tokenizer.decode([]) == ""


@pytest.mark.parametrize("wrong", [-1, 448, 2**40])
def test_an_unknown_id_is_refused_and_not_left_out(tokenizer, wrong):
    for use in (tokenizer.token, lambda token_id: tokenizer.decode([5, token_id, 6])):
        with pytest.raises(UserError, match=rf"no token has the id {wrong}: this vocabulary's ids go from 0 to 447"):
            use(wrong)


def test_an_unknown_token_is_refused(tokenizer):
    with pytest.raises(UserError, match="no token ' the' in this vocabulary of 448 tokens: spell it as"):
        tokenizer.id(" the")
    assert tokenizer.token(tokenizer.id("Ġthe")) == "Ġthe"


def test_threads_may_share_a_tokenizer_and_cut_differently(tokenizer):
    text = "the light is white " * 20
    lengths = [*range(2, 50)] * 4
    with ThreadPoolExecutor(4) as pool:
        encoded = list(pool.map(lambda longest: tokenizer.encode([text], longest=longest), lengths))
    assert [len(one.ids[0]) for one in encoded] == lengths


def test_a_tokenizer_travels_to_other_processes(tokenizer):
    copy = pickle.loads(pickle.dumps(tokenizer))
    assert copy.encode(NASTY.values()) == tokenizer.encode(NASTY.values())
    assert repr(copy) == "Tokenizer(448 tokens, longest 128)"


def test_a_template_that_is_more_than_a_frame_is_refused(tokenizer):
    fast = tokenizers.Tokenizer.from_file(str(small_tokenizer_folder() / "tokenizer.json"))
    fast.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[SEP] $B [SEP] $A [CLS]",
        special_tokens=[(token, tokenizer.id(token)) for token in ("[CLS]", "[SEP]")],
    )
    with pytest.raises(
        UnsupportedError, match=r"post-processor makes '.*' of 2 times 'a': expected special tokens around"
    ):
        Tokenizer(fast, {}, None)


def test_confined_texts_are_cut_in_those_threads_only_and_are_the_same(tokenizer):
    alone = tokenizer.encode(NASTY, NASTY, longest=40, offsets=True)
    names: list[str] = []

    class Noted(ThreadPoolExecutor):
        def submit(self, work, *args, **kwargs):
            return super().submit(lambda: names.append(threading.current_thread().name) or work(*args, **kwargs))

    with Noted(1, thread_name_prefix="cutter") as threads, ThreadPoolExecutor(4) as askers:
        confined = pickle.loads(pickle.dumps(tokenizer))
        confined.confine(threads)
        found = list(askers.map(lambda _: confined.encode(NASTY, NASTY, longest=40, offsets=True), range(8)))
        with pytest.raises(UserError):
            confined.encode(["\ud800"])
    assert found == [alone] * 8
    assert set(names) == {"cutter_0"}
    assert pickle.loads(pickle.dumps(confined)).encode(NASTY).ids == tokenizer.encode(NASTY).ids, (
        "a copy has no threads"
    )
