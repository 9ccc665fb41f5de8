import pytest

from modernbert.core.errors import UserError
from modernbert.infer.desk import Desk
from modernbert.serve.indexes import Indexes
from support.served import client
from support.shelf import shelf


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return shelf(tmp_path_factory.mktemp("served") / "home")


@pytest.fixture(scope="module")
def asking(home):
    return client("words", index=(f"notes={home / 'notes'}", f"code={home / 'code'}"))


def test_passages_come_with_their_lines_and_without_the_places_of_this_machine(asking, home):
    found = asking.post("/search", json={"query": "who heard the bell", "index": "notes"}).json()
    first = found["results"][0]
    assert (found["index"], first["path"], first["first_line"]) == ("notes", "notes/bell.txt", 1)
    marked = {line["text"][a:b] for line in first["lines"] for a, b in line["spans"]}
    assert {"bell", "heard"} <= marked
    assert str(home) not in str(found)


def test_the_first_index_is_asked_where_none_is_named_and_filters_hold(asking):
    assert asking.post("/search", json={"query": "bell"}).json()["index"] == "notes"
    body = {"query": "load_weights", "index": "code", "mode": "lexical", "top_k": 1, "where": ["language=python"]}
    (only,) = asking.post("/search", json=body).json()["results"]
    assert (only["path"], "def load_weights" in only["text"]) == ("code/store.py", True)
    abouts = asking.get("/indexes").json()
    assert [(each["name"], each["is_code"]) for each in abouts] == [("notes", False), ("code", True)]
    assert all(each["num_passages"] > 0 for each in abouts)


@pytest.mark.parametrize(
    ("body", "status", "sentence"),
    [
        ({"query": "bell", "index": "/etc"}, 404, "index: found '/etc', expected one of notes, code"),
        ({"query": "a /(x+x+)+y/"}, 422, "query: found a /pattern/, expected words"),
        ({"query": "   "}, 422, "found an empty query"),
        ({"query": "bell", "where": ["path"]}, 422, "path"),
        ({"query": "bell", "top_k": 101}, 422, "top_k: expected less than or equal to 100"),
        ({"query": "bell", "folder": "/etc"}, 422, "folder: Extra inputs are not permitted"),
    ],
)
def test_what_cannot_be_searched_is_refused(asking, body, status, sentence):
    answer = asking.post("/search", json=body)
    assert answer.status_code == status
    assert sentence in answer.json()["error"]


def test_a_server_without_an_index_says_how_to_start_one(home):
    assert client().get("/indexes").json() == []
    answer = client().post("/search", json={"query": "bell"})
    assert answer.status_code == 404
    assert answer.json()["error"] == "this server has no index: start it with --index NAME=FOLDER"
    desk = Desk(max_batch_tokens=1024)
    with pytest.raises(UserError, match="--index: found 'a' twice, expected a name each"):
        Indexes.open([f"a={home / 'notes'}", f"a={home / 'code'}"], desk)
    with pytest.raises(UserError, match="found no index: make one with"):
        Indexes.open([f"a={home / 'nowhere'}"], desk)
