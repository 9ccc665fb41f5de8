from pathlib import Path

import pytest

from modernbert.core.errors import CheckpointError, UserError
from modernbert.retrieval.prompts import Prompts, prompted


def test_a_prompt_in_full_wins_over_a_name_and_a_name_over_the_default():
    prompts = Prompts.of({"prompts": {"query": "q: ", "other": "o: "}, "default_prompt_name": "other"}, Path("m"))
    assert prompts.choose("query", "mine: ") == "mine: "
    assert prompts.choose("query", None) == "q: "
    assert prompts.choose(None, None) == "o: "
    assert prompts.choose("document", None) == ""


def test_an_unknown_prompt_is_named():
    with pytest.raises(UserError, match="found 'quary', expected one of query, document"):
        Prompts().choose("quary", None)


def test_a_folder_with_prompts_that_are_no_texts_is_refused():
    with pytest.raises(CheckpointError, match="expected texts by name"):
        Prompts.of({"prompts": {"query": 3}}, Path("m"))
    with pytest.raises(CheckpointError, match="default_prompt_name: found 'x', expected one of query"):
        Prompts.of({"default_prompt_name": "x"}, Path("m"))


def test_texts_get_their_prompt_and_a_list_stays_one():
    assert prompted(["a", "b"], "q: ") == ["q: a", "q: b"]
    assert list(prompted(iter(["a"]), "q: ")) == ["q: a"]
    texts = iter(["a"])
    assert prompted(texts, "") is texts
