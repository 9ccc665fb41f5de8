from contextlib import ExitStack

import pytest

from modernbert.core.errors import UserError
from modernbert.retrieval.doors.repository import Repository, folders_of
from modernbert.retrieval.doors.tools import CHARACTERS, Tools
from support.shelf import put, shelf


@pytest.fixture
def home(tmp_path):
    return shelf(tmp_path)


@pytest.fixture
def repositories(home):
    with ExitStack() as opened:
        yield [opened.enter_context(Repository(*one)) for one in folders_of([home / "notes", home / "code"]).items()]


@pytest.fixture
def tools(repositories):
    return Tools(repositories)


def test_search_asks_all_indexes_and_names_the_one_of_each_result(tools, home):
    first, *others = tools.answer("search", {"query": "load_weights", "top_k": 3, "index": "code"})
    assert first.startswith(f"[code] {home}/code/store.py:1-9")
    assert "\n4  def load_weights(path):\n" in first
    assert others == []
    both = tools.answer("search", {"query": "lamps", "top_k": 2})
    assert [one.partition("]")[0] for one in both] == ["[notes", "[code"], "the first of each"


def test_of_one_index_there_is_nothing_to_name(repositories, home):
    (only,) = Tools(repositories[:1]).answer("search", {"query": "bell", "where": "path=*.txt", "mode": "lexical"})
    assert only == f"{home}/notes/bell.txt:1-2\n1  In winter\n2  nobody heard the bell."


def test_what_changed_is_read_before_the_answer(tools, home):
    put(home / "notes" / "gull.txt", "Every gull described the fog.\n")
    first = tools.answer("search", {"query": "gull", "index": "notes", "mode": "lexical"})[0]
    assert first.endswith("gull.txt:1-1\n1  Every gull described the fog.")


def test_answers_keep_to_their_room_and_say_what_did_not_fit(repositories, home):
    put(
        home / "notes" / "long.txt",
        "\n".join(f"The bell rang on day {day}, and nobody knew why." for day in range(900)),
    )
    tools = Tools(repositories[:1], room=150)
    *shown, last = tools.answer("search", {"query": "bell", "top_k": 20})
    assert shown
    assert last == f"{20 - len(shown)} more did not fit: narrow the query, or search with where"
    assert sum(len(one) + 2 for one in shown) <= 150 * CHARACTERS
    (read,) = tools.answer("read", {"path": "long.txt", "first_line": 3})
    head, *rows = read.split("\n")
    assert head == f"{home}/notes/long.txt:3-{2 + len(rows)} of 900 lines"
    assert rows[0] == "3  The bell rang on day 2, and nobody knew why."
    assert sum(len(row.partition("  ")[2]) + 1 for row in rows) <= 150 * CHARACTERS


def test_context_is_of_one_index_and_cites(tools, home):
    (text,) = tools.answer("context", {"query": "lamps", "budget": 300, "index": "notes"})
    assert f"[1] {home}/notes/lamps.md:1-6\n# Lamps" in text
    with pytest.raises(UserError, match="index: found none of 2, expected notes or code: name the one to ask"):
        tools.answer("context", {"query": "lamps"})
    with pytest.raises(UserError, match="budget: nothing fits into 2 tokens, expected more"):
        tools.answer("context", {"query": "lamps", "budget": 2, "index": "notes"})


def test_a_view_says_so_beside_every_answer_and_an_index_that_cannot_be_refreshed_too(tools, repositories, home):
    with Repository("notes", repositories[0].folder) as view:
        *_, note = Tools([view]).answer("search", {"query": "bell", "top_k": 1})
        assert note.startswith("notes: read-only, as of the last commit; it is in use by process ")
        assert Tools([view]).answer("context", {"query": "bell", "budget": 300})[-1] == note
    (home / "code").rename(home / "away")
    *_, note = tools.answer("search", {"query": "bell", "top_k": 1, "index": "code"})
    assert note.startswith("code: as it was, for it could not be refreshed: ")


def test_list_and_refresh_say_what_there_is(tools, home):
    notes, code = tools.answer("list_indexes", {})
    assert notes == f"notes: 4 chunks of documents in {home}/notes"
    assert code == f"code: 1 chunks of code in {home}/code"
    (home / "notes" / "bell.txt").unlink()
    (report,) = tools.answer("refresh", {"index": "notes"})
    assert report.startswith("notes: 2 files: 0 added, 0 changed, 0 moved, 1 removed")
    assert tools.answer("search", {"query": '"nobody heard"', "index": "notes"}) == [
        "found nothing for '\"nobody heard\"'"
    ]
    assert tools.answer("context", {"query": '"nobody heard"', "index": "notes"}) == [
        "found nothing for '\"nobody heard\"'"
    ]


def test_a_name_that_two_indexes_have_is_asked_back(tools, home):
    put(home / "code" / "lamps.md", "# Other lamps\n")
    with pytest.raises(
        UserError, match=r"lamps\.md: found 2 files of this name, expected one of .*notes/lamps\.md, .*code/lamps\.md"
    ):
        tools.answer("read", {"path": "lamps.md"})
    (read,) = tools.answer("read", {"path": "lamps.md", "index": "code"})
    assert read.endswith("code/lamps.md:1-1 of 1 lines\n1  # Other lamps")


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (("find", {}), "'find': no such tool, expected one of search, context, read, refresh, list_indexes"),
        (("search", {"query": "x", "index": "nots"}), "index: found 'nots', expected notes or code"),
        (
            ("read", {"path": "/etc/passwd"}),
            "/etc/passwd: no index has such a file, expected a path as search gives it",
        ),
        (("list_indexes", {"all": True}), "list_indexes: no such argument 'all'; expected none"),
    ],
)
def test_a_mistake_is_one_sentence(tools, call, sentence):
    with pytest.raises(UserError, match=sentence):
        tools.answer(*call)
