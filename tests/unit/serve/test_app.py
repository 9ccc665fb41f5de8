import fastapi.routing
from fastapi.testclient import TestClient

from modernbert.serve.app import application
from modernbert.serve.config import Settings
from modernbert.serve.models import Models
from support.served import folder_of


def test_no_request_waits_for_a_route_to_be_made(monkeypatch):
    settings = Settings(dtype="float32")
    app = application(settings, Models.open([f"words={folder_of('words')}"], settings))

    def make(*_, **__):
        raise AssertionError("a route is made while a client waits")

    monkeypatch.setattr(fastapi.routing, "get_dependant", make)
    client = TestClient(app, raise_server_exceptions=False)
    assert client.post("/embed", json={"inputs": "lamp"}).status_code == 200
    assert client.get("/openapi.json").status_code == 200
