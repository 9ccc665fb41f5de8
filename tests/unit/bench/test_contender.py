import json

import pytest

from modernbert.bench._worker import serve
from modernbert.bench.backends import backend
from modernbert.bench.contender import Contender, LostError
from modernbert.bench.rivals import rival


class Lines(list):
    def write(self, text):
        self.append(text)

    def flush(self):
        pass


def test_a_worker_answers_a_mistake_and_lives_on():
    answers = Lines()
    serve(['{"do": "load"}\n', '{"do": "dance"}\n'], answers)
    errors = [json.loads(answer)["error"] for answer in answers]
    assert [error.split(":")[0] for error in errors] == ["TypeError", "AttributeError"]


@pytest.fixture
def contender(tmp_path):
    with Contender(rival("bert", "tiny"), backend("onnx-fp32"), exports=tmp_path, log=tmp_path / "log") as running:
        yield running


def test_a_lost_worker_is_told_in_words(contender, tmp_path):
    with pytest.raises(LostError, match=r"TypeError: .*missing"):
        contender.ask("load")
    contender._process.terminate()
    with pytest.raises(LostError, match="ended with code -15: "):
        contender.ask("states", lengths=[3], file=str(tmp_path / "x.npy"))


def test_a_killed_worker_was_most_likely_killed_for_memory(contender):
    contender._process.kill()
    with pytest.raises(LostError, match="killed, most likely for memory"):
        contender.ask("run")
    assert contender._process.wait() == -9
