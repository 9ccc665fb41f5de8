from modernbert.retrieval.evaluation.sources import SHORT, open_collection
from support.beir import small_collection, write_small


def test_a_folder_is_its_own_word(tmp_path):
    assert open_collection(str(write_small(tmp_path / "stories"))) == small_collection()


def test_short_names_are_tasks_of_mteb():
    """`test_hub.py` follows them further."""
    assert SHORT.keys() == {"mldr", "codesearchnet", "stackoverflow-qa"}
    assert all(word.startswith("mteb:") for word in SHORT.values())
