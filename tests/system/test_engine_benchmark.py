"""The benchmark of texts to vectors, without its rival: its texts, its checks, its page."""

import sysconfig
from pathlib import Path

import numpy as np
import pytest

from modernbert.demo.corpus import Document
from modernbert.model.config import SIZES
from support.demonstration import MODULES
from support.small import small_checkpoint
from support.texts import small_tokenizer

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def engine(monkeypatch):
    """With a library of eight modules: parsing all of it takes seconds."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import engine
    import real_texts

    library = Path(sysconfig.get_path("stdlib"))
    documents = [Document(name=name, text=(library / name).read_text(encoding="utf-8")) for name in MODULES]
    monkeypatch.setattr(real_texts, "standard_library", lambda: documents)
    return engine


def _options(engine, monkeypatch, *words):
    """What `main` makes of these words."""
    seen = []
    monkeypatch.setattr(engine, "_model", lambda folder, size, longest: folder)
    monkeypatch.setattr(engine, "_speed_rows", lambda folder, options: seen.append(options) or [])
    engine.main(["--parts", "speed", "--no-write", *words])
    return seen[0]


def test_texts_are_the_same_in_every_run_and_of_their_kind(engine):
    mixed = engine.texts("mixed", 99)
    assert mixed == engine.texts("mixed", 99)
    assert len(set(mixed)) == 99
    assert sum(len(text) > 3000 for text in mixed) >= 2, "a module for every 32 others"
    assert all("def " in text for text in engine.texts("functions", 50))
    assert engine.texts("docstrings", 10**5)[-1], "from the front again where there are too few"


def test_a_comparison_times_all_and_puts_the_ratio_on_the_page(engine, monkeypatch, tmp_path):
    ours = engine._contender(engine.OURS, small_checkpoint(tmp_path), engine.torch.float32)
    calls = []
    contenders = {
        engine.OURS: ours,
        engine.ST_8: lambda found: calls.append(8) or ours(found),
        engine.ST_32: lambda found: calls.append(32) or ours(found) + 1e-6,
    }
    options = _options(engine, monkeypatch, "--texts", "4", "--rounds", "3", "--longest", "128")
    row = engine._compare("functions", "float32", contenders, None, small_tokenizer(), options)
    assert calls == [8, 32] * 4, "once to compare, three times to measure"
    assert (row.rounds, row.num_texts) == (3, 4)
    assert 0 < row.error < 1e-5
    (line,) = [line for line in engine._speed_lines("tiny", [row]) if line.startswith("| functions")]
    assert f"{row.texts_per_second[engine.OURS]:,.1f}" in line


def test_vectors_that_differ_are_not_timed(engine):
    same = np.zeros((2, 3))
    outputs = {engine.OURS: same, engine.ST_8: same, engine.ST_32: same + 1e-3}
    with pytest.raises(AssertionError, match=r"mixed: vectors differ by 0.001"):
        engine._check("mixed", outputs, None)
    assert engine._check("mixed", outputs | {engine.ST_8: same + 0.01}, same) == (0.0, pytest.approx(0.01))
    with pytest.raises(AssertionError, match=r"bfloat16 error 0.03 against stock's 0.01"):
        engine._check("mixed", outputs | {engine.OURS: same + 0.03, engine.ST_8: same + 0.01}, same)


def test_the_exponent_of_linear_cost_is_one(engine):
    timings = {count: engine.Timing(seconds=(0.5 * count,)) for count in (10, 20, 40)}
    assert engine._fit(timings) == pytest.approx((1.0, 0.5))
    assert engine._fit({10: engine.Timing(seconds=(5.0,))}) == pytest.approx((1.0, 0.5))


def test_the_peak_of_memory_counts_what_was_freed_again(engine):
    assert 60 < engine.growth(lambda: np.ones(10_000_000).sum()) < 200


def test_the_model_is_limited_on_both_sides(engine, tmp_path):
    folder = engine._model(tmp_path / "model", "tiny", 32)
    assert engine.Tokenizer.load(folder).longest == 32
    assert engine.Embedder.from_pretrained(folder).engine.room.longest == 32
    assert engine.Embedder.from_pretrained(folder).encoder.config.hidden_size == SIZES["tiny"].hidden_size
