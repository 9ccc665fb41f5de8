"""The page's files: what they are served with, and that they need nothing from elsewhere."""

import re

import pytest

from modernbert.serve.routes.playground import FOLDER
from support.served import client

FILES = sorted(path.name for path in FOLDER.iterdir())


def test_every_file_comes_with_a_policy_that_allows_nothing_but_this_server():
    for path in ("/", *(f"/playground/{name}" for name in FILES)):
        answer = client().get(path)
        assert answer.status_code == 200, path
        policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
        assert policy.pop("default-src") == "'none'"
        assert set(policy.values()) == {"'none'", "'self'"}
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert client().get("/").headers["content-type"] == "text/html; charset=utf-8"
    assert client().get("/playground/app.js").headers["content-type"] == "text/javascript; charset=utf-8"


def test_a_file_that_did_not_change_is_not_sent_again():
    tag = client().get("/").headers["etag"]
    again = client().get("/", headers={"if-none-match": tag})
    assert (again.status_code, again.content) == (304, b"")
    assert client().get("/", headers={"if-none-match": '"other"'}).status_code == 200


@pytest.mark.parametrize(
    "name", ["nothing.js", "..%2Fmodels.py", "%2Fetc%2Fpasswd", "../../../config.py", "__init__.py"]
)
def test_no_other_file_can_be_had(name):
    assert client().get(f"/playground/{name}").status_code == 404


@pytest.mark.parametrize("name", FILES)
def test_a_file_names_no_other_place_and_everything_it_names_is_there(name):
    text = (FOLDER / name).read_text(encoding="utf-8")
    text = text.replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert not re.search(r"https?:|//[a-z]+\.|url\(|@import|innerHTML|eval\(|new Function", text)
    assert set(re.findall(r'from "\./(.*?)"', text)) | set(re.findall(r'"playground/(.*?)"', text)) <= set(FILES)
    assert not re.search(r"\sstyle=|\son\w+=|<script>", text) or not name.endswith(".html")
