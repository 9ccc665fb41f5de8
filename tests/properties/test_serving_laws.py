"""Whatever bytes a client sends to whichever route: an answer below 500 in JSON, no NaN in it, and the server goes on."""

import json
import math

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.served import client

law = settings(deadline=None, max_examples=250)
plain = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=20),
    st.sampled_from(["[MASK]", "", "\U0010ffff", "a\u0000b", "words", "query", "__proto__", "../../etc/passwd"]),
)  # fmt: skip
anything = st.recursive(
    plain, lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=5), inner, max_size=3))
)


@pytest.fixture(scope="module")
def server():
    return client()


def _posts(server):
    description = server.app.openapi()
    found = {}
    for path, methods in description["paths"].items():
        if "post" not in methods or "requestBody" not in methods["post"]:
            continue
        schema = methods["post"]["requestBody"]["content"]["application/json"]["schema"]
        name = schema.get("$ref", "").rpartition("/")[2]
        found[path] = sorted(description["components"]["schemas"].get(name, {}).get("properties", {}))
    return found


def _check(answer):
    assert answer.status_code < 500, answer.text
    if answer.content and "application/json" in answer.headers.get("content-type", ""):
        assert not _has_nan(json.loads(answer.content))


def _has_nan(value):
    if isinstance(value, dict):
        return any(map(_has_nan, value.values()))
    if isinstance(value, list):
        return any(map(_has_nan, value))
    return isinstance(value, float) and not math.isfinite(value)


@law
@given(st.data())
def test_no_body_with_the_right_keys_gives_500(server, data):
    posts = _posts(server)
    path = data.draw(st.sampled_from(sorted(posts)))
    keys = st.sampled_from(posts[path] or ["inputs"])
    body = data.draw(st.one_of(st.dictionaries(keys, anything, max_size=5), anything))
    _check(server.post(path, content=json.dumps(body).encode(errors="surrogatepass")))


@law
@given(st.data())
def test_no_bytes_give_500(server, data):
    path = data.draw(st.sampled_from(sorted(_posts(server))))
    whole = orjson.dumps({"inputs": "[MASK]", "input": "a", "model": "words"})
    cut = st.integers(0, len(whole)).map(lambda end: whole[:end])
    kind = data.draw(st.sampled_from(["application/json", "text/plain", "application/x-www-form-urlencoded", ""]))
    _check(server.post(path, content=data.draw(st.one_of(st.binary(max_size=40), cut)), headers={"content-type": kind}))


@law
@given(st.text(max_size=30), st.sampled_from(["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"]))
def test_no_path_gives_500(server, path, method):
    _check(
        server.request(method, "/" + path.encode(errors="replace").hex()[:8] + "/" + "".join(filter(str.isalnum, path)))
    )
