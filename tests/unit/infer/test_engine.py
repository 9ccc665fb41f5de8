import threading
from itertools import islice

import pytest
import torch

from modernbert.core import log
from modernbert.core.errors import UserError
from modernbert.infer import budget, memory
from modernbert.infer.engine import Engine, Room
from modernbert.ops.packed import Packed
from support.narrow import WAYS, Narrow
from support.small import small_model
from support.texts import small_tokenizer

TEXTS = ["one", "", "a much longer text than the others are", "two words", "x" * 50]
PAIRS = [
    ("who?", "the keeper"),
    ("a much longer question than the others are", ""),
    ("", "his daughter learnt to read"),
]

given_as = pytest.mark.parametrize("given", [list, iter], ids=["few", "stream"])
"""A short list is run at once; any iterator is read in windows."""


def _engine(**room) -> Engine:
    return Engine(Narrow(10**9), small_tokenizer(), Room(**{"longest": 64} | room))


def _first_ids(packed: Packed) -> list[list[int]]:
    return [ids.tolist() for ids in packed.split(packed.ids)]


def _ids(texts) -> list[list[int]]:
    return small_tokenizer().encode(texts).ids


def _tokenizing_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("tokenize")]


@pytest.fixture(autouse=True)
def new_process(monkeypatch):
    """As in a new process: nothing has been warned of, and no budget found."""
    monkeypatch.setattr(log, "_warned", set())
    monkeypatch.setattr(budget, "_searches", {})


@given_as
@pytest.mark.parametrize("window", [1, 2, 100])
@pytest.mark.parametrize("budget", [1, 10, 1000])
def test_results_come_back_in_the_callers_order(window, budget, given):
    assert list(_engine(budget=budget, window=window).run(given(TEXTS), _first_ids)) == _ids(TEXTS)


@given_as
def test_no_text_gives_no_result(given):
    assert list(_engine().run(given([]), _first_ids)) == []


@given_as
def test_pairs_are_read_as_a_cross_encoder_wants_them(given):
    expected = small_tokenizer().encode(*zip(*PAIRS, strict=True)).ids
    assert list(_engine(window=2).run(given(PAIRS), _first_ids)) == expected


def test_a_pair_may_be_a_list():
    assert list(_engine().run([list(pair) for pair in PAIRS], _first_ids)) == list(_engine().run(PAIRS, _first_ids))


def test_the_first_results_do_not_wait_for_more_than_a_small_window():
    read = []
    results = _engine().run((read.append(1) or "text" for _ in range(1000)), _first_ids)
    next(results)
    assert len(read) == 32
    assert len(list(results)) == 999


def test_no_more_than_two_windows_are_read_ahead_of_the_results():
    read = []
    results = _engine(window=2).run((read.append(1) or "text" for _ in range(1000)), _first_ids)
    for num_results in range(1, 100):
        next(results)
        assert len(read) <= num_results + 4


def test_the_callers_iterable_stays_in_the_callers_thread():
    threads = set()
    list(_engine(window=2).run((threads.add(threading.get_ident()) or "text" for _ in range(50)), _first_ids))
    assert threads == {threading.get_ident()}


def test_a_few_texts_start_no_thread_and_a_stream_starts_one():
    names: dict[str, list[str]] = {}
    for name, texts in (("few", ["one", "two"]), ("stream", iter(["one"] * 99))):
        list(
            _engine().run(
                texts, lambda packed, name=name: names.update({name: _tokenizing_threads()}) or _first_ids(packed)
            )
        )
    assert names["few"] == []
    assert len(names["stream"]) == 1


@pytest.mark.parametrize("many", [["word " * 500], ["a"] * 33, [("a", "word " * 500)]])
def test_many_or_long_texts_are_no_few(many):
    names = []
    list(_engine().run(many, lambda packed: names.extend(_tokenizing_threads()) or _first_ids(packed)))
    assert names


def test_who_stops_early_leaves_no_thread_behind():
    results = _engine(window=4).run(iter(["text"] * 1000), _first_ids)
    assert len(list(islice(results, 10))) == 10
    assert _tokenizing_threads()
    results.close()
    assert not _tokenizing_threads()


@pytest.mark.parametrize("failure", [OSError("the disk is gone"), KeyboardInterrupt()], ids=["error", "Ctrl-C"])
def test_what_the_callers_iterable_raises_reaches_the_caller(failure):
    def texts():
        yield from ["text"] * 50
        raise failure

    with pytest.raises(type(failure)) as caught:
        list(_engine(window=8).run(texts(), _first_ids))
    assert caught.value is failure
    assert not _tokenizing_threads()


@given_as
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (3, r"texts\[4\] is of type int, expected a string: convert or drop it"),
        ("bad \ud800", r"texts\[4\] holds a lone surrogate U\+D800 at character 4"),
        (("a", "b"), r"texts\[4\] is of type tuple, expected a string"),
        ("word " * 40, r"text 4 has \d+ tokens, expected 8 or fewer: split it, or let its end be cut off"),
    ],
)
def test_what_is_wrong_with_a_text_is_said_behind_the_results_before_it(wrong, message, given):
    results = _engine(longest=8, too_long="refuse", window=3).run(given(["a", "b", "c", "d", wrong, "e"]), _first_ids)
    found = []
    with pytest.raises(UserError, match=message):
        found.extend(results)  # extend takes what comes before the error
    assert found == _ids(["a", "b", "c", "d"])


@given_as
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("alone", r"texts\[1\] is str, expected a pair of strings like the first: give every text its pair"),
        (("a", "b", "c"), r"texts\[1\] is 3 things, expected a pair"),
        (("a", None), r"texts\[1\]\[1\] is of type NoneType, expected a string"),
    ],
)
def test_a_pair_that_is_none_is_named(wrong, message, given):
    with pytest.raises(UserError, match=message):
        list(_engine().run(given([("a", "b"), wrong]), _first_ids))


def test_one_string_is_not_several_texts():
    with pytest.raises(UserError, match=r"texts is one string, expected several texts: write \['one'\]"):
        list(_engine().run("one", _first_ids))


@pytest.mark.parametrize("setting", ["budget", "window"])
def test_no_room_at_all_is_refused(setting):
    with pytest.raises(UserError, match=f"{setting}: found 0, expected 1 or more"):
        Room(longest=8, **{setting: 0})


@given_as
def test_what_was_cut_is_counted_on_stderr(capsys, given):
    text = "one two three four five six seven eight nine"
    (ids,) = _engine(longest=8).run(given([text]), _first_ids)
    assert len(ids) == 8
    cut = len(_ids([text])[0]) - 8
    said = f"1 of 1 texts were longer than 8 tokens: {cut} tokens at their ends were not read"
    assert said in capsys.readouterr().err


def test_what_was_cut_is_said_to_who_stops_early_too(capsys):
    results = _engine(longest=4, window=2).run(iter(["one two three four five"] * 100), _first_ids)
    next(results)
    results.close()
    assert "2 of 2 texts were longer than 4 tokens" in capsys.readouterr().err


@given_as
def test_the_model_runs_without_gradients_and_the_caller_with_them(given):
    model, tokenizer = small_model()
    results = Engine(model, tokenizer, Room(longest=64)).run(given(["a", "b"]), lambda packed: [
        model.model(packed).requires_grad] * packed.num_documents)  # fmt: skip
    assert next(results) is False
    assert torch.is_grad_enabled()
    assert not torch.is_inference_mode_enabled()


def test_progress_tells_texts_and_tokens_a_second_on_stderr(capsys):
    list(_engine().run(["one two three"] * 40, _first_ids, show_progress=True))
    printed = capsys.readouterr()
    assert "texts: 40 of 40 (100%)" in printed.err
    assert "texts/s" in printed.err
    assert "tokens/s" in printed.err
    assert printed.out == ""


def test_no_progress_is_no_word(capsys):
    list(_engine().run(["one two three"] * 40, _first_ids))
    assert capsys.readouterr() == ("", "")


# ---------------------------------------------------------------- budgets and memory


def test_batches_are_sorted_and_keep_to_the_budget():
    model = Narrow(10**9)
    texts = ["word " * n for n in range(20)]
    list(Engine(model, small_tokenizer(), Room(longest=64, budget=50)).run(iter(texts), model.read))
    assert sum(model.seen) == sum(map(len, _ids(texts)))
    assert max(model.seen) <= 64
    assert all(tokens <= 50 for tokens in model.seen[:-3])


def test_a_measured_budget_grows_from_a_small_one_and_loses_nothing():
    model = Narrow(10**9)
    texts = ["four words are here"] * 3000
    assert list(Engine(model, small_tokenizer(), Room(longest=64)).run(texts, model.read)) == _ids(texts)
    assert max(model.seen[:2]) <= 512 < max(model.seen), "the challenger had its turn"


def test_a_measured_budget_keeps_to_what_memory_holds(monkeypatch):
    monkeypatch.setattr(memory, "most_tokens", lambda model, device: 40)
    model = Narrow(10**9)
    texts = ["four words are here"] * 300
    assert list(Engine(model, small_tokenizer(), Room(longest=64)).run(texts, model.read)) == _ids(texts)
    assert max(model.seen) <= 40


@given_as
@pytest.mark.parametrize("way", WAYS)
def test_out_of_memory_halves_the_budget_and_loses_nothing(way, given, capsys):
    model = Narrow(40, way)
    engine = Engine(model, small_tokenizer(), Room(longest=64, budget=200))
    texts = ["two words"] * 30
    assert list(engine.run(given(texts), model.read)) == _ids(texts)
    assert max(model.seen) <= 40
    said = capsys.readouterr().err
    assert said.count("memory ran out in a batch of") == 1
    assert "nothing is lost" in said


def test_after_out_of_memory_the_smaller_budget_stays():
    model = Narrow(40)
    list(Engine(model, small_tokenizer(), Room(longest=64, budget=64)).run(iter(["two words"] * 300), model.read))
    assert len(set(model.seen[:-1])) <= 2, "one budget for all batches but the last of a window"


@given_as
def test_a_text_that_does_not_fit_alone_is_named(given):
    model = Narrow(40)
    engine = Engine(model, small_tokenizer(), Room(longest=64, window=2))
    with pytest.raises(
        UserError, match=r"text 2 has 64 tokens and does not fit in memory even alone \(CUDA out of memory"
    ):
        list(engine.run(given(["a", "b", "word " * 80, "c"]), model.read))
    assert not _tokenizing_threads()


def test_any_other_failure_of_the_model_is_raised_as_it_is():
    def read(packed):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        list(_engine().run(["a"], read))


@given_as
def test_more_tokens_than_may_be_are_refused_before_any_runs(given):
    engine, num_tokens = _engine(), sum(map(len, _ids(TEXTS)))
    assert len(list(engine.run(given(TEXTS), _first_ids, most_tokens=num_tokens))) == len(TEXTS)
    ran = []
    with pytest.raises(UserError, match=rf"found {num_tokens} tokens, expected {num_tokens - 1} or fewer: give fewer"):
        list(engine.run(given(TEXTS), lambda packed: ran.append(packed), most_tokens=num_tokens - 1))
    assert not ran
