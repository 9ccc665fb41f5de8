import pytest

from modernbert.bench.results import read_cell, read_scaling
from support.studies import cell, scaling


def test_a_cell_survives_its_file(tmp_path):
    made = cell("modernbert", "variable-512", 16, {"ours-bf16": 3300, "stock-bf16": 1600})
    made.save(tmp_path / "cell.json")
    assert read_cell(tmp_path / "cell.json") == made


def test_growth_survives_its_file(tmp_path):
    made = scaling("scaling-length")
    made.save(tmp_path / "one.json")
    assert read_scaling(tmp_path / "one.json") == made


@pytest.mark.parametrize("text", [None, "", "{", "[]", "{}", '{"measured": [], "series": {}, "other": 1}'])
def test_a_file_of_something_else_is_no_result(tmp_path, text):
    if text is not None:
        (tmp_path / "x.json").write_text(text)
    assert read_cell(tmp_path / "x.json") is None
    assert read_scaling(tmp_path / "x.json") is None


def test_figures_follow_from_seconds():
    made = cell("bert", "variable-512", 16, {"stock-fp32": 1000})
    best = made.best()["stock-fp32"]
    assert best.batching == "sorted"  # given is slower
    assert made.tokens_per_second(best) == pytest.approx(1000)
    assert made.seconds_of_paper(best) == pytest.approx(best.timing.median * 512)
    assert made.share_of_matmul(best) == pytest.approx(made.flops / best.timing.median / 250e9)
    assert [one.name for one in made.measured if one.failed] == ["openvino-fp32, sorted"]
    assert "openvino-fp32" not in made.best()
