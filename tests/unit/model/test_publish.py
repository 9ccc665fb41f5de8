import pytest
import torch
from huggingface_hub import HfApi

from modernbert.core.errors import UserError
from modernbert.model.publish import check_repo, publish, publish_folder
from modernbert.model.revisions import read_series
from modernbert.model.store import load
from support.hub import MemoryHub
from support.series import published


def test_each_step_is_a_branch_and_the_last_one_is_main_too(tmp_path):
    folders, hub = published(tmp_path, 0, 10, 200), MemoryHub()
    publish(read_series(folders), "team/model", hub, private=True)
    assert hub.branches.keys() == {"main", "step-0", "step-10", "step-200"}
    assert [branch for branch, _ in hub.commits] == ["step-0", "step-10", "step-200", "main"]
    assert hub.is_private
    for folder, branch in zip([*folders, folders[-1]], ["step-0", "step-10", "step-200", "main"], strict=True):
        there = hub.branches[branch]
        here = {path.name: path.read_bytes() for path in folder.iterdir()}
        assert {name: there[name] for name in here} == here
        assert there.keys() - here.keys() == {".gitattributes", "README.md"}
    assert b'revision="step-10"' in hub.branches["step-10"]["README.md"]
    assert b"`main` is step-200" in hub.branches["main"]["README.md"]


def test_what_is_on_the_hub_is_the_model(tmp_path):
    (folder,), hub = published(tmp_path, 10), MemoryHub()
    publish(read_series([folder]), "team/model", hub)
    (down := tmp_path / "down").mkdir()
    for name, content in hub.branches["main"].items():
        (down / name).write_bytes(content)
    again = load(down, dtype=torch.float32).state_dict()
    assert all(
        torch.equal(tensor, again[name]) for name, tensor in load(folder, dtype=torch.float32).state_dict().items()
    )


def test_again_after_a_failure_nothing_is_missing(tmp_path):
    series, hub = read_series(published(tmp_path, 1, 2)), MemoryHub(fails_at="step-2")
    with pytest.raises(UserError, match=r"the Hub did not take team/model \(connection reset by peer\): check the"):
        publish(series, "team/model", hub)
    hub.fails_at = ""
    publish(series, "team/model", hub)
    assert all("README.md" in files for files in hub.branches.values())
    assert hub.branches.keys() == {"main", "step-1", "step-2"}


def test_the_licence_is_in_every_card(tmp_path):
    hub = MemoryHub()
    publish(read_series(published(tmp_path, 1)), "team/model", hub, license_id="mit")
    assert all(b"\nlicense: mit\n" in files["README.md"] for files in hub.branches.values())


@pytest.mark.parametrize("repo", ["model", "a/b/c", "/b", "a/", "a b/c", ""])
def test_a_repository_has_an_owner_and_a_name(repo):
    with pytest.raises(UserError, match="expected the Hub's owner/name"):
        check_repo(repo)


def test_the_real_hub_takes_these_calls():
    """The stand-in's methods, with their keywords, are those of the Hub's own client."""
    from inspect import signature

    for name in ("create_repo", "create_branch", "create_commit"):
        ours = signature(getattr(MemoryHub, name)).parameters.keys()
        assert ours <= signature(getattr(HfApi, name)).parameters.keys()


def test_a_folder_is_one_commit_on_main(tmp_path):
    hub = MemoryHub()
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    (tmp_path / "model" / "README.md").write_text("card")
    publish_folder(tmp_path / "model", "team/model", hub, private=True)
    assert hub.is_private
    assert hub.branches["main"]["README.md"] == b"card"
    assert hub.commits == [("main", "Upload model")]
    with pytest.raises(UserError, match="found no file to upload"):
        publish_folder(tmp_path / "nothing", "team/model", hub)
    with pytest.raises(UserError, match=r"the Hub did not take team/model \(connection reset by peer\)"):
        publish_folder(tmp_path / "model", "team/model", MemoryHub(fails_at="main"))
