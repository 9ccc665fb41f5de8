import pytest

from modernbert.core.errors import UserError
from modernbert.text.bpe import letters
from modernbert.text.train import train_tokenizer
from support.texts import CORPUS, NASTY, small_tokenizer


def train(*texts, **settings):
    return train_tokenizer(texts or [CORPUS], **{"vocab_size": 320, "num_unused": 3, **settings})


def test_ids_are_bytes_then_merges_then_special_then_unused():
    tokens = [small_tokenizer().token(token_id) for token_id in range(448)]
    assert sorted(tokens[:256]) == sorted(letters().values())
    assert all(len(token) > 1 and not token.startswith("[") for token in tokens[256:435])
    assert tokens[435:440] == ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"]
    assert tokens[440:] == [f"[unused{n}]" for n in range(8)]


def test_the_defaults_give_the_special_tokens_the_hub_s_ids():
    # Too few words for 50,280 tokens: where [CLS] would stand follows from the sizes, which a small corpus moves down.
    tokenizer = train_tokenizer([CORPUS])
    assert tokenizer.vocab_size == 50_368
    assert tokenizer.cls_id + tokenizer.num_unused == 50_281 + 83


@pytest.mark.parametrize(("asked", "made"), [(320, 320), (321, 384), (264, 320)])
def test_the_vocabulary_is_rounded_up_to_a_multiple_of_64_with_unused_tokens(asked, made):
    tokenizer = train(vocab_size=asked)
    assert tokenizer.vocab_size == made
    assert tokenizer.num_unused == 3 + made - asked


def test_a_corpus_too_small_for_the_vocabulary_leaves_tokens_unused():
    tokenizer = train("abc abc abc", vocab_size=640)
    assert tokenizer.vocab_size == 640
    assert tokenizer.num_unused == 640 - 256 - 5 - len(["ab", "abc", "Ġabc"])


def test_every_byte_has_a_token_though_the_corpus_has_few():
    tokenizer = train("only this")
    for text in NASTY.values():
        assert tokenizer.unk_id not in tokenizer.encode([text.replace("[UNK]", "")]).ids[0]


def test_the_same_texts_give_the_same_vocabulary():
    first, second = (train(*CORPUS.splitlines()) for _ in range(2))
    assert [first.token(n) for n in range(320)] == [second.token(n) for n in range(320)]


def test_rare_pairs_are_not_learnt():
    assert train("wxyz", min_frequency=2).num_unused == 320 - 256 - 5
    assert train("wxyz", min_frequency=1).num_unused == 320 - 256 - 5 - len(["wx", "yz", "wxyz"])


def test_texts_are_not_joined():
    assert train(*["q", "z"] * 50, min_frequency=2).num_unused == 320 - 256 - 5


def test_merges_are_learnt_on_composed_text():
    assert train(*["e\u0301"] * 9).encode(["\u00e9"], special=False).ids == [[256]]


def test_digits_stay_together_as_in_gpt_2():
    tokenizer = train(*["1987 1987"] * 9)
    assert len(tokenizer.encode(["1987"], special=False).ids[0]) == 1


@pytest.mark.parametrize(("asked", "made"), [(2, 2), (3, 3), (6, 6), (24, 17), (33, 33)])
def test_no_token_is_longer_than_asked_for(asked, made):
    tokenizer = train(*["灯台の光は白い灯台の光"] * 9, vocab_size=384, longest_token=asked)
    ordinary = [tokenizer.token(n) for n in range(tokenizer.unk_id)]
    assert max(map(len, ordinary)) == made  # a letter stands for a byte; the text has 33


def test_the_stated_length_is_kept():
    assert train(longest=77).longest == 77


@pytest.mark.parametrize("texts", [[], [""], ["", ""]], ids=["no text", "an empty text", "two"])
def test_a_corpus_without_text_is_refused(texts):
    with pytest.raises(
        UserError, match="there is no text to learn from, expected at least one that is not empty: check"
    ):
        train_tokenizer(texts, vocab_size=320, num_unused=0)


def test_bad_texts_are_named():
    with pytest.raises(UserError, match=r"texts\[1\] holds a lone surrogate U\+D83D at character 0"):
        train("fine", "\ud83d")
    with pytest.raises(UserError, match=r"texts\[0\] is of type NoneType, expected a string"):
        train(None)
    with pytest.raises(UserError, match="texts is one string, expected several texts"):
        train_tokenizer("one text")


def test_a_failure_of_the_caller_s_iterator_is_the_caller_s():
    def texts():
        yield "fine"
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        train_tokenizer(texts())


def test_a_vocabulary_too_small_for_the_bytes_is_refused_with_the_sum():
    with pytest.raises(
        UserError, match="vocab_size is 263, but the 256 bytes, 5 special and 3 unused tokens take 264: ch"
    ):
        train(vocab_size=263)


@pytest.mark.parametrize(
    ("name", "value", "least"),
    [("num_unused", -1, 0), ("longest", 0, 1), ("min_frequency", 0, 1), ("longest_token", 1, 2)],
)
def test_a_number_too_small_is_refused(name, value, least):
    with pytest.raises(UserError, match=f"{name} is {value}, expected at least {least}: choose a larger one"):
        train(**{name: value})
