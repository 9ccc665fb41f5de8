from modernbert.bench.bandwidth import copy_rate


def test_memory_is_between_a_snail_and_a_miracle():
    assert 1e8 < copy_rate(num_bytes=1 << 22, seconds=0.01) < 1e13
