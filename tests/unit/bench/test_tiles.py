import pytest

from modernbert.bench.tiles import cut, last_wave, num_tiles, num_waves


def test_the_paper_s_counts_of_tiles():
    """Appendix B's table, by area: what a weight of the published sizes holds."""
    base = {"Wqkv": (2304, 768), "Wo": (768, 768), "Wi": (2304, 768), "mlp.Wo": (768, 1152)}
    assert [num_tiles(*shape, (128, 256)) for shape in base.values()] == [54, 18, 54, 30]
    assert (
        num_tiles(1152, 768, (128, 256)) == 27
    )  # the paper's 27 is the other order; in this one mlp.Wo does not divide
    large = {"Wqkv": (3072, 1024), "Wo": (1024, 1024), "Wi": (5248, 1024)}
    assert [num_tiles(*shape, (128, 256)) for shape in large.values()] == [96, 32, 164]


def test_a_begun_tile_is_a_tile():
    assert [num_tiles(rows, 256, (128, 256)) for rows in (1, 128, 129, 256, 257)] == [1, 1, 2, 2, 3]


def test_nvidia_s_example_of_a_wave_on_an_a100():
    """1,792 x 1,792 in tiles of 256 x 128 is 98 tiles, one wave; one row and column more make 120, two waves."""
    assert num_tiles(1792, 1792, (256, 128)) == 98
    assert num_waves(98, 108) == 1
    assert num_tiles(1793, 1793, (256, 128)) == 120
    assert num_waves(120, 108) == 2
    assert last_wave(120, 108) == pytest.approx(12 / 108)


def test_a_full_last_wave_is_all_units():
    assert last_wave(216, 108) == 1
    assert last_wave(217, 108) == pytest.approx(1 / 108)


def test_a_cut_says_what_is_lost_to_tiles_and_to_waves():
    found = cut(1793, 1793, 108, ((256, 128),))
    assert (found.num_tiles, found.num_waves) == (120, 2)
    assert found.padding == pytest.approx(120 * 256 * 128 / 1793**2)
    assert found.idling == pytest.approx(216 / 120)
    assert found.slowdown == pytest.approx(216 * 256 * 128 / 1793**2)


def test_the_order_of_the_tile_is_chosen_by_what_it_loses():
    assert cut(128, 512, 2, ((256, 128), (128, 256))).tile == (128, 256)
    assert cut(512, 128, 2, ((128, 256), (256, 128))).tile == (256, 128)
    assert cut(256, 256, 2, ((256, 128), (128, 256))).tile == (256, 128)  # of equals the first
