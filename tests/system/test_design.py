import json
import resource

from support.demonstration import modernbert

NANO = ("--parameters", "15M..20M", "--hidden-sizes", "256", "512", "--vocab-size", "16384")


def test_a_nano_model_is_designed_and_its_recipe_can_be_checked(tmp_path):
    done = modernbert("design", *NANO, "--write", "mine.yaml", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "mine.yaml: " in done.stdout.decode().splitlines()[-1]
    assert done.stderr == b""
    checked = modernbert("recipe", "check", "mine.yaml", "--json", cwd=tmp_path)
    assert checked.returncode == 0, checked.stderr
    planned = json.loads(checked.stdout)
    assert 15e6 <= planned["num_parameters"] <= 20e6
    assert planned["model"]["vocab_size"] == 16_384


def test_the_same_words_give_the_same_bytes():
    first, second = (modernbert("design", "large", "--json") for _ in range(2))
    assert first.returncode == 0, first.stderr
    assert first.stdout == second.stdout


def test_a_mistake_is_one_sentence_and_exit_code_2():
    done = modernbert("design", "--parameters", "15M..20M")
    assert done.returncode == 2
    assert done.stdout == b""
    assert done.stderr.decode() == (
        "error: found no shape of 15M to 20M parameters with a width of 768 and a vocabulary of 50,368; "
        "the embeddings alone are larger: take a smaller vocabulary or width\n"
    )


def test_help_is_instant():
    best = float("inf")
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = modernbert("design", "--help")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        best = min(best, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        assert done.returncode == 0
        assert b"usage: modernbert design" in done.stdout
        if best < 0.5:
            return
    raise AssertionError(f"--help took {best:.2f} s at best of five")
