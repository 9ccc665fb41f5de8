import string

import numpy as np
import pytest

from modernbert.core.errors import CheckpointError, UserError
from modernbert.retrieval.dense import Dense, Normalize
from modernbert.retrieval.expansion import Expansion
from modernbert.retrieval.late import LateInteraction
from modernbert.retrieval.late_folder import LateSettings
from support.small import small_checkpoint, small_model

DOCUMENTS = ["The keeper, alone.", "", "fog from the north", "The keeper, alone."]


def _late(**settings) -> LateInteraction:
    model, tokenizer = small_model()
    too_long = settings.pop("too_long", "truncate")
    behind = [Dense(128, 16), Normalize()]
    return LateInteraction(model.model, tokenizer, behind=behind, settings=LateSettings(**settings), too_long=too_long)


def test_vectors_have_length_one_and_the_skiplist_gives_none():
    late, all_of_it = _late(skiplist=tuple(string.punctuation)), _late()
    found, whole = late.encode_document(DOCUMENTS), all_of_it.encode_document(DOCUMENTS)
    assert [len(more) - len(less) for more, less in zip(whole, found, strict=True)] == [2, 0, 0, 2]
    for rows in found:
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
        assert rows.dtype == np.float32


def test_spans_and_tokens_name_every_row():
    late = _late(skiplist=(",", "."), expansion=Expansion(length=12))
    rows, spans = late.encode_document(DOCUMENTS), late.document_spans(DOCUMENTS)
    assert [len(each) for each in rows] == [len(each) for each in spans]
    shown = [DOCUMENTS[0][start:end] for start, end in spans[0]]
    assert "".join(shown) == "Thekeeperalone"
    assert len(late.query_tokens("the keeper")) == len(late.encode_query(["the keeper"])[0]) == 12


def test_documents_are_ranked_and_ties_stay_in_order():
    found = _late().rank("the keeper alone", DOCUMENTS, return_documents=True)
    places = [each.corpus_id for each in found]
    assert places.index(0) + 1 == places.index(3)
    assert all(each.text == DOCUMENTS[each.corpus_id] for each in found)
    assert len(_late().rank("a", DOCUMENTS, top_k=2)) == 2
    with pytest.raises(UserError, match="top_k: found 0, expected 1 or more"):
        _late().rank("a", DOCUMENTS, top_k=0)


def test_a_query_that_is_cut_is_said_or_refused(capsys):
    settings = {"expansion": Expansion(length=8)}
    assert len(_late(**settings).encode_query(["a b c d e f g h i j k"])[0]) == 8
    assert "1 of 1 queries were longer than 8 tokens" in capsys.readouterr().err
    with pytest.raises(UserError, match=r"query 0 has .* tokens, expected 8 or fewer"):
        _late(too_long="refuse", **settings).encode_query(["a b c d e f g h i j k"])


def test_an_encoder_alone_is_no_late_interaction_folder(tmp_path):
    with pytest.raises(CheckpointError, match=r"found no modules\.json and the architecture 'ModernBertForMaskedLM'"):
        LateInteraction.from_pretrained(small_checkpoint(tmp_path))


def test_one_string_is_not_a_list_of_texts():
    with pytest.raises(TypeError, match="encode_query takes a list of texts"):
        _late().encode_query("one")
