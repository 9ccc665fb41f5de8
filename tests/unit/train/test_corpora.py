"""Text is looked at before anything is computed, and what cannot be trained on is refused in one sentence."""

import json

import pytest

from modernbert.core.errors import ConfigError, UserError
from modernbert.data.shard_writer import write_shards
from modernbert.text.train import train_tokenizer
from modernbert.train.corpora import Corpora
from support.runs import recipe, shards
from support.texts import CORPUS, small_tokenizer


def test_all_sources_are_opened_once_and_described(tmp_path):
    corpora = Corpora.open(recipe(tmp_path))
    assert sorted(path.name for path in corpora.shards) == ["held", "text"]
    assert corpora.vocabulary.size == 448
    assert corpora.tokenizer.mask_id == corpora.vocabulary.mask_id
    assert sorted(corpora.fingerprints) == [str(tmp_path / "held"), str(tmp_path / "text")]
    first, second = corpora.lines()
    tokens = corpora.shards[tmp_path / "text"].num_tokens
    assert first.startswith(f"short reads text, 60 documents of {tokens:,} tokens, 0.")
    assert second.startswith("long reads text, ")


def test_held_out_rows_are_the_same_at_every_call_and_for_every_recipe(tmp_path):
    def labels(*changes):
        given = recipe(tmp_path, *changes)
        corpora = Corpora.open(given)
        return [row.labels.tolist() for _, rows in corpora.held_out(given.stages["short"]) for row in rows]

    assert labels() == labels()
    assert labels() == labels("seed=18")
    assert labels() == labels("optim.lr=1")
    assert labels() != labels("evaluation.rate=0.2")


def test_stages_read_other_rows(tmp_path):
    given = recipe(tmp_path, "stages.long.rows.length=64", "stages.long.rows.room=128")
    corpora = Corpora.open(given)
    read = []
    for name, stage in given.stages.items():
        with corpora.loader(name, stage) as loader:
            read.append(loader.take(2).rows[0].labels.tolist())
    assert read[0] != read[1]


def test_a_stage_may_bring_its_own_sources(tmp_path):
    shards(tmp_path / "more", 20, seed=7)
    own = recipe(tmp_path, f"stages.long.sources={{more: {{path: {tmp_path / 'more'}}}}}")
    corpora = Corpora.open(own)
    assert len(corpora.shards) == 3
    assert corpora.lines()[1].startswith("long reads more, 20 documents")


def test_a_stage_without_text_is_refused(tmp_path):
    with pytest.raises(
        ConfigError, match=r"stages\.long: there is no text to read: give token shards with --data\.sources"
    ):
        Corpora.open(recipe(tmp_path, "stages.long.sources={}"))


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(
        UserError, match=r"nowhere holds no index\.json: expected a folder that `modernbert data tokenize`"
    ):
        Corpora.open(recipe(tmp_path, f"data.sources.text.path={tmp_path / 'nowhere'}"))


@pytest.mark.parametrize("kind", ["sources", "held_out"])
def test_text_of_another_tokenizer_is_refused(tmp_path, kind):
    other = train_tokenizer(CORPUS.splitlines(keepends=True)[:12], vocab_size=448, num_unused=8)
    with write_shards(tmp_path / "other", other) as writer:
        writer.append([5, 6, 7])
    changed = "data.held_out.held=" if kind == "held_out" else "data.sources.other.path="
    with pytest.raises(
        ConfigError, match=r"other and .*text were made with different tokenizers: make one of them anew"
    ):
        Corpora.open(recipe(tmp_path, f"{changed}{tmp_path / 'other'}"))


def test_reading_a_source_too_often_is_refused(tmp_path):
    with pytest.raises(ConfigError) as refused:
        Corpora.open(recipe(tmp_path, "data.most_epochs=0.1"))
    assert "stages.short: source text would be read 0." in str(refused.value)
    assert "more than data.most_epochs (0.1): lower its weight, shorten the stage, add text, or raise" in str(
        refused.value
    )


def test_a_truncated_shard_is_named(tmp_path):
    given = recipe(tmp_path)
    path = tmp_path / "text" / "00000.tokens"
    path.write_bytes(path.read_bytes()[:-2])
    with pytest.raises(UserError, match=r"00000\.tokens has [\d,]+ bytes, expected [\d,]+: the shards are incomplete"):
        Corpora.open(given)


def test_the_same_tokens_elsewhere_have_the_same_fingerprint(tmp_path):
    given = Corpora.open(recipe(tmp_path)).fingerprints[str(tmp_path / "text")]
    shards(tmp_path / "copy", 60)
    index = tmp_path / "copy" / "index.json"
    index.write_text(json.dumps(json.loads(index.read_text()) | {"made_from": {"anything": 1}}))
    there = recipe(tmp_path, f"data.sources.text.path={tmp_path / 'copy'}")
    assert Corpora.open(there).fingerprints[str(tmp_path / "copy")] == given
    assert small_tokenizer().vocab_size == 448
