import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from pydantic import BaseModel

from modernbert.core.errors import UserError
from modernbert.infer.engine import TooLongError
from modernbert.serve.errors import ApiError, as_api_error, handle
from support import served

RAISED = {
    "api": ApiError(429, "busy", param="model", retry_after=7),
    "own-kind": ApiError(400, "none", kind="Empty"),
    "user": UserError("found 1, expected 2: add one"),
    "long": TooLongError(
        "text 0 has 9 tokens, expected 8 or fewer: split it, or let its end be cut off with too_long='truncate'"
    ),
    "bug": RuntimeError("secret"),
}


class Body(BaseModel):
    texts: str | list[str] | list[int]
    number: int = 0


@pytest.fixture(scope="module")
def client():
    app = FastAPI()
    handle(app)

    @app.get("/v1/raise/{name}")
    @app.get("/raise/{name}")
    async def raising(name: str) -> None:
        raise RAISED[name]

    @app.post("/v1/take")
    @app.post("/take")
    async def take(body: Body) -> None: ...

    return TestClient(app, raise_server_exceptions=False)


def test_below_v1_errors_have_openais_shape_and_elsewhere_teis(client):
    openai, tei = client.get("/v1/raise/api"), client.get("/raise/api")
    assert (openai.status_code, tei.status_code) == (429, 429)
    assert openai.headers["retry-after"] == tei.headers["retry-after"] == "7"
    assert openai.json() == {"error": {"message": "busy", "type": "rate_limit_error", "param": "model", "code": "429"}}
    assert tei.json() == {"error": "busy", "error_type": "Overloaded"}
    assert client.get("/raise/own-kind").json() == {"error": "none", "error_type": "Empty"}


def test_the_users_mistake_is_422_with_its_sentence(client):
    answer = client.get("/raise/user")
    assert (answer.status_code, answer.json()["error"]) == (422, "found 1, expected 2: add one")


def test_a_text_that_is_too_long_is_413_with_the_limit_and_the_way_out_of_a_client(client):
    answer = client.get("/raise/long")
    assert answer.status_code == 413
    assert answer.json()["error"] == (
        'text 0 has 9 tokens, expected 8 or fewer: split it, or say "truncate": true where the route has it'
    )


def test_a_bug_of_ours_says_nothing_of_the_inside(client):
    answer = client.get("/raise/bug")
    assert answer.status_code == 500
    assert answer.json() == {"error": "something went wrong here; the server's log says what", "error_type": "Backend"}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"texts": {"a": 1}}, "texts: expected a valid string or a valid list"),
        (
            {"texts": "a", "number": "x"},
            "number: expected a valid integer, unable to parse string as an integer",
        ),
        ({}, "texts: Field required"),
        ([], "body: expected a valid dictionary or object to extract fields from"),
    ],
    ids=["none of several kinds", "one kind", "missing", "another shape"],
)
def test_a_field_that_is_wrong_is_named_without_its_value(client, body, said):
    answer = client.post("/take", json=body)
    assert answer.status_code == 422
    assert answer.json()["error"] == said
    assert client.post("/v1/take", json=body).json()["error"]["type"] == "invalid_request_error"


def test_a_path_that_nobody_serves_says_where_the_paths_are(client):
    for answer, status in ((client.get("/nothing"), 404), (client.get("/take"), 405)):
        assert answer.status_code == status
        assert answer.json()["error"] == "no route takes GET here: see /openapi.json for those there are"
    assert client.get("/take").headers["allow"] == "POST"


def test_without_a_word_of_pydantic_there_is_still_a_sentence():
    assert as_api_error([]).message == "the body is not what this route takes"


def test_every_route_describes_what_goes_wrong_as_it_is_said():
    description = served.client().app.openapi()
    for path, methods in description["paths"].items():
        for method in methods.values():
            assert {"400", "401", "404", "413", "422", "429", "504"} <= set(method["responses"]), path
    said = served.client().post("/fill-mask", json={"inputs": 5}).json()
    assert set(said) == set(description["components"]["schemas"]["TeiError"]["properties"])
    said = served.client().post("/v1/rerank", json={"query": 5}).json()
    assert set(said["error"]) == set(description["components"]["schemas"]["OpenAiProblem"]["properties"])
