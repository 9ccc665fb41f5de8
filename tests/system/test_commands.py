"""The commands as a user types them: what they print, and what a wrong use prints."""

import json
import resource
import sys

import numpy as np
import pytest

from support.demonstration import demonstration, modernbert

VERBS = ("bench", "demo", "fill-mask", "embed", "doctor", "rerank", "index", "search", "mcp")


def _model() -> str:
    return str(demonstration()[0] / "model")


@pytest.mark.parametrize("words", [(), *((verb,) for verb in VERBS)], ids=lambda words: "-".join(words) or "top")
def test_help_is_instant(words):
    best = float("inf")
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = modernbert(*words, "--help", python=sys.executable)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)  # processor time: other tests run beside this one
        best = min(best, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        assert done.returncode == 0
        assert b"usage: modernbert" in done.stdout
        if best < 0.5:
            return
    pytest.fail(f"--help took {best:.2f} s at best of five")


def test_fill_mask_takes_texts_as_words():
    done = modernbert("fill-mask", "--model", _model(), "import [MASK]", "a [MASK] b [MASK]", "--top-k", "2")
    lines = done.stdout.decode().splitlines()
    assert [line.startswith("  ") for line in lines] == [False, True, False, True, True]
    assert lines[1].count("%") == 2


def test_fill_mask_takes_stdin_and_prints_json():
    done = modernbert("fill-mask", "--model", _model(), "--json", stdin="import [MASK]\nx = [MASK]\n")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["text"] for row in rows] == ["import [MASK]", "x = [MASK]"]
    assert len(rows[0]["masks"][0]) == 5
    assert rows[0]["masks"][0][0].keys() == {"token", "token_id", "score"}


def test_embed_prints_one_json_line_a_text():
    done = modernbert("embed", "--model", _model(), stdin="def f(): pass\nh\u00e9llo\n")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["text"] for row in rows] == ["def f(): pass", "h\u00e9llo"]
    assert len(rows[0]["embedding"]) == 128


def test_embed_writes_an_array_of_the_same_vectors(tmp_path):
    (tmp_path / "a.txt").write_text("one\ntwo\n")
    (tmp_path / "b.jsonl").write_text('{"text": "three\\nlines"}\n')
    done = modernbert("embed", "--model", _model(), "a.txt", "b.jsonl", "--out", "v.npy", "--normalize", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    vectors = np.load(tmp_path / "v.npy")
    assert vectors.shape == (3, 128)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    modernbert("embed", "--model", _model(), "a.txt", "b.jsonl", "--out", "v.jsonl", "--normalize", cwd=tmp_path)
    rows = [json.loads(line) for line in (tmp_path / "v.jsonl").read_text().splitlines()]
    np.testing.assert_allclose([row["embedding"] for row in rows], vectors, atol=1e-6)


def test_doctor_says_what_will_run_and_why():
    done = modernbert("doctor")
    text = done.stdout.decode()
    assert done.returncode == 0, done.stderr
    for word in ("dtype", "attention", "varlen", "native", "kernels", "GFLOP/s measured", "torch"):
        assert word in text
    told = json.loads(modernbert("doctor", "--json").stdout)
    assert told["attention"] in told["backends"]
    assert told["dtype_reason"]


def test_nul_bytes_and_a_megabyte_on_one_line_are_text():
    line = b"x\0y " + b"word " * 200_000
    done = modernbert("embed", "--model", _model(), stdin=line + b"\nshort\n")
    assert done.returncode == 0, done.stderr
    rows = [json.loads(row) for row in done.stdout.splitlines()]
    assert len(rows) == 2
    assert np.isfinite(rows[0]["embedding"]).all()
    assert b"1 of 2 texts were longer than 1,024 tokens" in done.stderr


WRONG = {
    "no text": (("embed",), b"", "there is no text: found no line"),
    "an empty line": (("embed",), b"one\n\ntwo\n", "stdin, line 2: is empty"),
    "not UTF-8": (("embed",), b"fine\nbad \xff\n", "stdin, line 2: byte 4 is not UTF-8"),
    "a missing file": (("embed", "gone.txt"), b"", "gone.txt: cannot be read (No such file or directory)"),
    "an unknown ending": (("embed", "--out", "v.csv"), b"x", "found '.csv', expected .npy or .jsonl"),
    "too long, refused": (("embed", "--too-long", "refuse"), b"word " * 9000, "split it"),
    "no mask": (("fill-mask", "nothing"), b"", "text 0 has no [MASK] to fill"),
    "too long to fill": (("fill-mask",), b"[MASK] " + b"word " * 9000, "expected 1,024 or fewer"),
    "texts and a file": (("fill-mask", "a [MASK]", "--file", "x"), b"", "found texts and --file x"),
    "broken JSONL": (("embed", "bad.jsonl"), b"", "bad.jsonl, line 1: not JSON"),
    "JSONL of something else": (("embed", "odd.jsonl"), b"", "odd.jsonl, line 1: found no string under 'text'"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_use_gets_one_sentence_and_exit_code_2(case, tmp_path):
    (verb, *rest), stdin, message = WRONG[case]
    (tmp_path / "bad.jsonl").write_text("{\n")
    (tmp_path / "odd.jsonl").write_text('{"txt": 1}\n')
    done = modernbert(verb, "--model", _model(), *rest, stdin=stdin, cwd=tmp_path)
    stderr = done.stderr.decode()
    assert done.returncode == 2, stderr
    assert message in stderr
    assert len(stderr.strip().splitlines()) == 1
    assert done.stdout == b""


def test_a_lone_surrogate_on_the_command_line_is_named():
    done = modernbert("fill-mask", "--model", _model(), "bad \udcff [MASK]")
    assert done.returncode == 2
    assert b"lone surrogate" in done.stderr


@pytest.mark.parametrize("model", ["no-such-folder", "some/model"])
def test_an_unknown_model_is_one_sentence(model):
    done = modernbert("embed", "--model", model, stdin=b"x\n")
    assert done.returncode == 2
    assert model.encode() in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_trainings_settings_without_training_are_refused():
    done = modernbert("demo", "--minutes", "1")
    assert done.returncode == 2
    assert b"found settings of a training without --train" in done.stderr


def test_a_folder_that_is_not_a_model_is_one_sentence(tmp_path):
    done = modernbert("fill-mask", "--model", str(tmp_path), "[MASK]")
    assert done.returncode == 2
    assert b"config.json is missing" in done.stderr


def test_an_unknown_option_is_a_mistake_of_the_user():
    assert modernbert("doctor", "--no-such-option").returncode == 2


def test_minutes_that_make_no_sense_are_refused():
    done = modernbert("demo", "--minutes", "0")
    assert done.returncode == 2
    assert b"minutes: found 0.0" in done.stderr


def test_two_lines_of_text_are_enough_for_a_demonstration(tmp_path):
    (tmp_path / "two.txt").write_text("one line\nand another\n")
    done = modernbert("demo", "--train", "--text", "two.txt", "--minutes", "0.001", "--vocab-size", "320", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert b"hidden tokens found in held-out text" in done.stdout


def test_text_that_is_not_there_is_refused():
    done = modernbert("demo", "--train", "--text", "gone")
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
