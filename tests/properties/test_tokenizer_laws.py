"""What holds for any text. The small vocabulary makes many tokens of a word, so laws about tokens have much to bite on."""

import unicodedata

from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from modernbert.text.bpe import PlainTokenizer, letters
from support.texts import LONG_WORD, small_tokenizer, small_tokenizer_folder

BYTE_OF = {letter: byte for byte, letter in letters().items()}

# A character that Python's Unicode does not know yet may be a letter, or compose, in that of `tokenizers`.
characters = st.characters(exclude_categories=["Cs", "Cn"])
words = st.sampled_from(
    [" ", "  ", "\n", "\r\n", "'s", "I'll", "the", " light", "42", "e\u0301", "\u1112\u1161", "😀", "𝒜", "Å"]
)
plain_texts = st.lists(st.text(characters, max_size=8) | words, max_size=12).map("".join)
special_texts = st.sampled_from(["[MASK]", " [MASK]", "[CLS]", "[SEP]", "[", "MASK]", "[unused0]", "[unused", "\u3000"])
any_texts = st.lists(plain_texts | special_texts, max_size=6).map("".join)
law = settings(deadline=None, max_examples=150)


def has_no_special(text):
    return not any(token in text for token in ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"])


@given(plain_texts)
@example(LONG_WORD)
@law
def test_decoding_gives_the_text_back_in_nfc(text):
    assume(has_no_special(text))
    tokenizer = small_tokenizer()
    assert tokenizer.decode(tokenizer.encode([text]).ids[0]) == unicodedata.normalize("NFC", text)


@given(any_texts)
@law
def test_the_plain_twin_and_the_fast_tokenizer_agree(text):
    plain = PlainTokenizer.load(small_tokenizer_folder())
    assert plain.encode(text) == small_tokenizer().encode([text]).ids[0]


@given(plain_texts)
@law
def test_offsets_cut_the_text_of_their_token(text):
    tokenizer = small_tokenizer()
    encoded = tokenizer.encode([text], offsets=True, special=False)
    for token_id, (start, end) in zip(encoded.ids[0], encoded.offsets[0], strict=True):
        cut = unicodedata.normalize("NFC", text[start:end])
        spelled = bytes(BYTE_OF[letter] for letter in tokenizer.token(token_id))
        assert cut == cut.strip()
        if is_whole(spelled):
            assert spelled.decode().strip() == cut
        elif cut:  # a piece of a character, which is cut out whole
            assert spelled.strip() in cut.encode()
        else:
            assert text[start - 1].isspace()


def is_whole(spelled):
    return spelled.decode(errors="ignore").encode() == spelled


@given(any_texts, st.none() | any_texts, st.integers(3, 40))
@law
def test_cutting_counts_every_token_and_keeps_the_beginnings(text, pair, longest):
    tokenizer = small_tokenizer()
    pairs = None if pair is None else [pair]
    whole, cut = tokenizer.encode([text], pairs), tokenizer.encode([text], pairs, longest=longest)
    assert len(cut.ids[0]) == min(longest, len(whole.ids[0])) == len(whole.ids[0]) - cut.num_cut[0]
    for all_of, some_of in zip(whole.parts[0], cut.parts[0], strict=True):
        kept = cut.ids[0][some_of.start : some_of.stop]
        assert kept == whole.ids[0][all_of.start : all_of.stop][: len(kept)]
    assert (cut.ids[0][0], cut.ids[0][-1]) == (tokenizer.cls_id, tokenizer.sep_id)


@given(any_texts, st.none() | any_texts)
@law
def test_parts_are_the_texts_without_the_special_tokens_around_them(text, pair):
    tokenizer = small_tokenizer()
    encoded = tokenizer.encode([text], None if pair is None else [pair])
    for part, alone in zip(encoded.parts[0], [text] if pair is None else [text, pair], strict=True):
        assert encoded.ids[0][part.start : part.stop] == tokenizer.encode([alone], special=False).ids[0]
