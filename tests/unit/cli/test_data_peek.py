import re

import pytest

from modernbert.cli.data_peek import Peek
from modernbert.core.errors import ConfigError, UserError
from modernbert.data.shard_writer import write_shards
from support.texts import CORPUS, small_tokenizer


def shards(folder, texts, **settings):
    tokenizer = small_tokenizer()
    with write_shards(folder, tokenizer, **settings) as writer:
        for ids in tokenizer.encode(texts, special=False, literal=True).ids:
            writer.append(ids)
    return str(folder)


@pytest.fixture
def folder(tmp_path):
    return shards(tmp_path / "made", [line for line in CORPUS.splitlines() if line])


def unmarked(text):
    """The text that was there, from the text with its marks."""
    text = re.sub(r"⟦(MASK|=)?[^|⟦⟧]*?\|([^⟧]*)⟧|⟦=([^⟧]*)⟧", lambda found: found[2] or found[3] or "", text)
    return text.replace("⏎", "\n")


def test_a_row_of_a_folder_is_shown_with_what_was_there(folder, capsys):
    Peek(what=(folder,), room=300, length=100, seed=1).run()
    out = capsys.readouterr().out
    assert "\x1b" not in out
    legend, row, *pieces = (line for line in out.splitlines() if line)
    assert legend.startswith("⟦MASK|word⟧ hidden, and what was there; ")
    assert re.fullmatch(
        r"row 0: \d+ of 300 tokens in \d+ pieces; \d+ to predict \([123]\d\.\d%\): \d+ hidden, \d+ replaced, \d+ kept",
        row,
    )
    texts = [unmarked(line.partition(": [CLS]")[2]).removesuffix("[SEP]") for line in pieces if "[CLS]" in line]
    assert len(texts) > 2
    assert all(text in CORPUS for text in texts if "\ufffd" not in text)
    assert out.count("⟦MASK") > 20
    assert re.search(r"the first 4 blocks: 16,384 pieces in [\d,]+ rows of 300 tokens, 9\d\.\d\d% full", out)


def test_the_same_seed_shows_the_same(folder, capsys):
    shown = []
    for seed in (1, 1, 2):
        Peek(what=(folder,), room=300, length=100, seed=seed).run()
        shown.append(capsys.readouterr().out)
    assert shown[0] == shown[1] != shown[2]


def test_figures_alone(folder, capsys):
    Peek(what=(folder,), rows=0).run()
    out = capsys.readouterr().out
    assert "row 0" not in out
    assert "⟦" not in out
    assert "tokens, [CLS] and [SEP] not counted" in out


def test_long_rows_are_cut_and_it_says_so(folder, capsys):
    Peek(what=(folder,), most=1).run()
    out = capsys.readouterr().out
    assert out.count("[CLS]") == 1 + 2  # in the legend, and in the words below the figures
    found = re.search(r"row 0: ([\d,]+) of 8,192 tokens in (\d+) pieces", out)
    rest = re.search(r"\.\.\. and ([\d,]+) more tokens in (\d+) of its pieces \(--most\)", out)
    assert found
    assert rest
    assert int(rest[2]) == int(found[2]) - 1
    assert 0 < int(rest[1].replace(",", "")) < int(found[1].replace(",", ""))


def test_colours_where_they_are_wanted(folder, capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    Peek(what=(folder,), room=300, length=100).run()
    out = capsys.readouterr().out
    assert "\x1b[1;37;41m⟦MASK" in out  # bold white on red
    assert "\x1b[36m" in out  # every second document in cyan
    assert "\x1b[2m[CLS]" in out


def test_control_characters_do_not_reach_the_terminal(tmp_path, capsys):
    Peek(
        what=(shards(tmp_path / "evil", ["red \x1b[31m bell \x07 del \x7f \x85"] * 3),), rate=0.01, room=100, length=90
    ).run()
    out = capsys.readouterr().out
    assert not set("\x1b\x07\x7f\x85") & set(out)
    assert "␛[31m" in out


def test_folders_are_read_in_equal_shares(tmp_path, capsys):
    lines = [line for line in CORPUS.splitlines() if line]
    one, other = shards(tmp_path / "one", lines[:5]), shards(tmp_path / "other", lines[5:])
    Peek(what=(one, other), rows=0).run()
    assert re.search(rf"share of tokens: {one} (49\.\d|50\.\d)%, {other} (49\.\d|50\.\d)%", capsys.readouterr().out)


def recipe(tmp_path, folder):
    file = tmp_path / "mine.yaml"
    file.write_text(
        f"model: tiny\ndata: {{most_epochs: 99, sources: {{text: {{path: {folder}}}}}}}\n"
        "stages:\n  one: {tokens: 5_000, batch: {size: 400}, rows: {length: 60, room: 120}}\n"
        "  two: {tokens: 5_000, batch: {size: 400}, rows: {length: 100, room: 200}, masking: {rate: 0.9, final_rate: 0.1}}\n"
    )
    return str(file)


def test_a_recipes_stage_is_shown_as_it_is_trained_on(tmp_path, folder, capsys):
    from modernbert.data.peek import peek
    from modernbert.train.corpora import Corpora
    from modernbert.train.recipes import read_recipe

    mine = recipe(tmp_path, folder)
    Peek(what=(mine, "seed=4"), stage="two").run()
    out = capsys.readouterr().out
    corpora = Corpora.open(read_recipe([mine, "seed=4"]))
    row = peek(corpora.loader("two", corpora.recipe.stages["two"])).rows[0]
    assert f"row 0: {row.num_tokens} of 200 tokens in {len(row.pieces)} pieces" in out
    assert [f"text {piece.document}, {piece.whole} tokens" in out for piece in row.pieces] == [True] * len(row.pieces)
    Peek(what=(mine,), seed=4, stage="two").run()
    assert capsys.readouterr().out == out
    Peek(what=(mine,), room=70, rate=1.0).run()
    assert re.search(r"row 0: \d+ of 70 tokens .* to predict \(100\.0%\)", capsys.readouterr().out)


def test_what_cannot_be_meant_is_refused(tmp_path, folder):
    mine = recipe(tmp_path, folder)
    for settings, message in [
        ({"what": ()}, "found nothing to look into, expected a recipe or a folder of token shards"),
        ({"what": (folder,), "rows": -1}, "rows is 0 or more and most 1 or more: found -1 and 2048"),
        ({"what": (folder, "base")}, r"found folders and other words \(.*base\), expected a recipe or only folders"),
        ({"what": (folder,), "stage": "one"}, "found stage one and folders of shards: only a recipe has stages"),
        ({"what": (mine,), "stage": "three"}, "the recipe has no stage three, it has one, two"),
        ({"what": (str(tmp_path),)}, "holds no index.json: expected a folder that `modernbert data tokenize` wrote"),
    ]:
        with pytest.raises(UserError, match=message):
            Peek(**settings).run()
    with pytest.raises(ConfigError, match="room is 20 tokens, less than length"):
        Peek(what=(folder,), length=30, room=20).run()


def test_folders_of_different_tokenizers_are_refused(tmp_path, folder):
    from modernbert.text.train import train_tokenizer

    other = train_tokenizer(CORPUS.splitlines(), vocab_size=400, num_unused=8, longest=128)
    with write_shards(tmp_path / "other", other) as writer:
        writer.append([1, 2, 3])
    with pytest.raises(UserError, match=r"other and .*made were made with different tokenizers: make one of them anew"):
        Peek(what=(folder, str(tmp_path / "other"))).run()
