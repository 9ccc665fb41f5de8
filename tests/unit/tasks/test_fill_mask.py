import pytest
import torch

from modernbert.core.errors import UserError
from modernbert.ops.packed import Packed
from modernbert.tasks.fill_mask import MaskFiller
from support.small import small_checkpoint, small_model


def test_every_mask_of_every_text_gets_its_likeliest_tokens():
    model, tokenizer = small_model()
    texts = ["a [MASK] b [MASK]", "[MASK]", "much longer text before the [MASK] than in the others"]
    filled = MaskFiller(model, tokenizer).fill(texts, top_k=3)
    assert [len(masks) for masks in filled] == [2, 1, 1]
    for text, masks in zip(texts, filled, strict=True):
        (ids,) = tokenizer.encode([text]).ids
        logits = model(Packed.from_lists([ids]), backend="reference")
        places = [i for i, token_id in enumerate(ids) if token_id == tokenizer.mask_id]
        for place, guesses in zip(places, masks, strict=True):
            scores, best = logits[place].softmax(-1).topk(3)
            assert [guess.token_id for guess in guesses] == best.tolist()
            torch.testing.assert_close(torch.tensor([guess.score for guess in guesses]), scores, atol=1e-5, rtol=1e-4)
            assert guesses[0].token == tokenizer.decode([guesses[0].token_id], special=True)


def test_more_candidates_than_tokens_gives_all_tokens():
    model, tokenizer = small_model()
    ((guesses,),) = MaskFiller(model, tokenizer).fill(["[MASK]"], top_k=10_000)
    assert len(guesses) == tokenizer.vocab_size
    assert sum(guess.score for guess in guesses) == pytest.approx(1.0, abs=1e-4)


def test_a_text_without_a_mask_is_refused():
    with pytest.raises(UserError, match=r"text 1 has no \[MASK\] to fill: write \[MASK\] where a token is wanted"):
        MaskFiller(*small_model()).fill(["a [MASK]", "nothing here"])


def test_a_text_that_is_too_long_is_refused_rather_than_cut():
    with pytest.raises(UserError, match=r"text 0 has \d,\d+ tokens, expected 128 or fewer"):
        MaskFiller(*small_model()).fill(["[MASK] " + "word " * 3000])


def test_one_string_is_not_a_list_of_texts():
    with pytest.raises(TypeError, match=r"found one string, write fill\(\[text\]\)"):
        MaskFiller(*small_model()).fill("a [MASK]")


def test_no_candidates_are_refused():
    with pytest.raises(UserError, match="top_k: found 0, expected 1 or more"):
        MaskFiller(*small_model()).fill(["a [MASK]"], top_k=0)


def test_it_opens_a_folder(tmp_path):
    ((guesses,),) = MaskFiller.from_pretrained(small_checkpoint(tmp_path)).fill(["import [MASK]"])
    assert len(guesses) == 5


def test_only_the_targets_are_judged_by_their_share_of_the_whole_vocabulary():
    model, tokenizer = small_model()
    filler = MaskFiller(model, tokenizer)
    ((every,),) = filler.fill(["the [MASK] of"], top_k=10_000)
    shares = {guess.token: guess.score for guess in every}
    ((found,),) = filler.fill(["the [MASK] of"], targets=["in", "to", "of"])
    assert {guess.token for guess in found} == {" in", " to", " of"}
    for guess in found:
        assert guess.score == pytest.approx(shares[guess.token], abs=1e-6)
    assert [guess.score for guess in found] == sorted((guess.score for guess in found), reverse=True)
    with pytest.raises(UserError, match=r"target 'extraordinarily' is .* tokens, expected one"):
        filler.fill(["a [MASK]"], targets=["extraordinarily"])
