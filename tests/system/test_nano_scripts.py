"""The scripts that make and judge the packaged model, piece by piece on small things."""

import argparse
import json
import lzma
import math
import re
import sysconfig
from dataclasses import replace
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from modernbert.core.quantities import Tokens
from modernbert.core.seeds import Seeds
from modernbert.data.config import Rows
from modernbert.data.loader import held_out_rows
from modernbert.data.pieces import InMemory
from modernbert.data.shard_writer import write_shards
from modernbert.data.shards import Shards
from modernbert.data.vocabulary import Vocabulary
from modernbert.ops.loss import IGNORE
from support.beir import small_collection, write_small
from support.packages import adapter, package
from support.runs import shards
from support.small import small_checkpoint, small_model

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def scripts(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "models" / "nano"))


PYTHON = '''
class Stack:
    def push(self, one):
        """Put something on top.

        More about it.
        """
        self.all.append(one)
        self.size += 1
        return self

    def quiet(self):
        return 1
'''


def test_pairs_are_titles_with_what_follows_and_docstrings_with_their_code(tmp_path, monkeypatch):
    import pairs

    for name, text in (
        ("arxiv-00000", "On  the\n size of things\n\nThey are large."),
        ("wiki-00000", "Too short\n\nNo."),
        ("python-00000", PYTHON),
        ("python-licences", PYTHON.replace("Put", "Lay")),
        ("heldout-arxiv", "Not to be seen\n\nBy anybody."),
    ):
        with lzma.open(tmp_path / f"{name}.jsonl.xz", "wt") as file:
            file.write(json.dumps({"text": text}) + "\n")
    monkeypatch.setattr("sys.argv", ["pairs.py", str(tmp_path), "--out", str(tmp_path / "pairs.jsonl")])
    pairs.main()
    rows = {row["anchor"]: row for row in map(json.loads, (tmp_path / "pairs.jsonl").read_text().splitlines())}
    assert rows.keys() == {"On the size of things", "Put something on top."}
    assert rows["On the size of things"]["positive"] == "They are large."
    code = rows["Put something on top."]["positive"]
    assert code == "def push(self, one):\n    self.all.append(one)\n    self.size += 1\n    return self"


def test_what_judges_a_head_is_no_pair_of_it(tmp_path, monkeypatch):
    import pairs

    copied = (Path(sysconfig.get_path("stdlib")) / "textwrap.py").read_text()
    assert "Wrap a single paragraph of text, returning a list of wrapped lines." in pairs.library()
    with lzma.open(tmp_path / "python-packages.jsonl.xz", "wt") as file:
        file.writelines(json.dumps({"text": text}) + "\n" for text in (copied, PYTHON))
    monkeypatch.setattr("sys.argv", ["pairs.py", str(tmp_path), "--out", str(tmp_path / "pairs.jsonl")])
    pairs.main()
    rows = [json.loads(line) for line in (tmp_path / "pairs.jsonl").read_text().splitlines()]
    assert [row["anchor"] for row in rows] == ["Put something on top."]


def wheel(folder, name, licence, files):
    """One as an index has it, of these files."""
    path = folder / f"{name}-1.0-py3-none-any.whl"
    with ZipFile(path, "w") as made:
        for inside, text in files.items():
            made.writestr(inside, text)
        made.writestr(
            f"{name}-1.0.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{licence}\n"
        )
        made.writestr(f"{name}-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        made.writestr(f"{name}-1.0.dist-info/RECORD", "")
    return path


def test_sources_of_packages_are_read_where_their_licence_permits_it(tmp_path, monkeypatch, capsys):
    import packages

    latin = "# \xe9".encode("latin-1")
    free = {"free/core.py": PYTHON, "free/tests/test_core.py": "1", "free/latin.py": latin, "free/data.txt": "no"}
    made = [
        wheel(tmp_path, "free", "License-Expression: MIT", free),
        wheel(
            tmp_path, "named", "Classifier: License :: OSI Approved :: Apache Software License", {"named.py": "a = 1\n"}
        ),
        wheel(tmp_path, "bound", "License: LGPL-2.1", {"bound.py": PYTHON}),
        wheel(
            tmp_path,
            "both",
            "License: MIT\nClassifier: License :: OSI Approved :: Mozilla Public License 2.0",
            {"a.py": "1"},
        ),
        wheel(tmp_path, "silent", "Summary: of nothing", {"silent.py": PYTHON}),
    ]
    (tmp_path / "packages.txt").write_text("\n".join(map(str, made)))
    words = ["packages.py", "--packages", str(tmp_path / "packages.txt"), "--out", str(tmp_path / "out")]
    monkeypatch.setattr("sys.argv", words)
    packages.main()
    with lzma.open(tmp_path / "out" / "python-packages.jsonl.xz", "rt") as lines:
        rows = {row["path"]: row for row in map(json.loads, lines)}
    assert rows.keys() == {"free/core.py", "named.py"}
    assert rows["free/core.py"] == {"text": PYTHON, "package": "free 1.0", "path": "free/core.py", "license": "MIT"}
    told = capsys.readouterr().err
    assert "bound 1.0: left out, its licence is LGPL-2.1" in told
    assert "silent 1.0: left out, its licence is not named" in told
    assert "both 1.0: left out" in told


def test_every_package_that_pairs_are_taken_from_has_a_version():
    import packages

    lines = packages.PACKAGES.read_text().split()
    assert len(lines) > 100
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in lines)


@pytest.fixture(scope="module")
def text():
    """A model, documents, and rows of them with hidden tokens."""
    model, tokenizer = small_model(seed=5)
    rng = np.random.default_rng(2)
    documents = [rng.integers(0, 300, length).tolist() for length in (5, 40, 200, 90)]
    vocabulary = Vocabulary.of(tokenizer)
    shards = InMemory(documents, vocabulary)
    rows = Rows(length=Tokens(128), room=Tokens(256))
    batches = list(held_out_rows(shards, rows, rate=0.15, seeds=Seeds(1), tokens=Tokens(10_000)))
    return model, tokenizer, shards, batches


def test_bits_a_byte_are_the_models_own_loss_over_the_bytes_of_what_was_hidden(text):
    import held_out

    model, tokenizer, _, batches = text
    sizes = np.array([len(tokenizer.token(i)) for i in range(tokenizer.vocab_size)])
    found = held_out.ask(held_out.Trained(model), batches, sizes)
    with torch.inference_mode():
        told = [model.loss(row.packed, row.labels) for row in batches]
    hidden = sum(one.num_predicted for one in told)
    nats = sum(float(one.loss_sum) for one in told)
    spelt = sum(len(tokenizer.token(int(i))) for row in batches for i in row.labels[row.labels != IGNORE])
    assert found.hidden == hidden
    assert found.loss == pytest.approx(nats / hidden, rel=1e-5)
    assert found.accuracy == sum(one.num_correct for one in told) / hidden
    assert found.bits_per_byte == pytest.approx(nats / math.log(2) / spelt, rel=1e-5)


def test_counting_gives_shares_that_add_up_and_the_likeliest_follower(text):
    import held_out

    _, tokenizer, shards, batches = text
    shards.num_tokens = int(shards.lengths.sum())
    counted = held_out.Counted.over([shards])
    at = (batches[0].labels != IGNORE).nonzero().squeeze(1)
    for predictor in (held_out.Unigram(counted), held_out.Bigram(counted)):
        logs = predictor.log_probabilities(batches[0], at)
        torch.testing.assert_close(logs.exp().sum(1), torch.ones(len(at), dtype=torch.float64), atol=1e-4, rtol=0)
    pairs = np.zeros((tokenizer.vocab_size, tokenizer.vocab_size))
    for i in range(len(shards)):
        ids = shards.tokens(i)
        np.add.at(pairs, (ids[:-1], ids[1:]), 1)
    np.testing.assert_array_equal(counted.pairs.toarray(), pairs)


def test_far_clues_are_words_named_before_but_not_near(monkeypatch):
    import far_clues

    monkeypatch.setattr(far_clues, "FAR", 20)
    monkeypatch.setattr(far_clues, "APART", 3)
    rng = np.random.default_rng(3)
    rare = np.zeros(60, dtype=bool)
    rare[30:] = True
    for _ in range(20):
        ids = rng.integers(0, 60, 100)
        found = {clue.at: clue.back for clue in far_clues.clues(ids, rare)}
        wanted = {}
        for at in range(100):
            others = [i for i in range(100) if i != at and ids[i] == ids[at]]
            if rare[ids[at]] and any(i < at for i in others) and all(abs(i - at) > 20 for i in others):
                wanted[at] = at - max(i for i in others if i < at)
        assert found.items() <= wanted.items()
        assert all(any(abs(at - kept) < 3 for kept in found) for at in wanted.keys() - found.keys())
        assert bool(found) == bool(wanted)


ROWS = {
    "class": [
        {"text": f"{word} film {i}", "label": int(word == "good")} for i in range(20) for word in ("good", "bad")
    ],
    "pair": [
        {"a": f"a cat sat {i}", "b": f"a cat {'sat' if i % 2 else 'was not there'} {i}", "score": 5.0 * (i % 2)}
        for i in range(20)
    ],
    "tags": [{"tokens": ["in", "Rome", "today"], "tags": ["O", "B-LOC", "O"]}] * 12,
}
FIELDS = {"class": (("text",), "label"), "pair": (("a", "b"), "score"), "tags": (("tokens",), "tags")}


@pytest.mark.parametrize("kind", ROWS)
def test_a_task_is_learnt_by_counting_and_by_the_model(kind, tmp_path, monkeypatch):
    import downstream

    fields, target = FIELDS[kind]
    task = downstream.Task(kind=kind, score="", text=fields, target=target, rows=99, test_rows=99, epochs=6, longest=32)
    monkeypatch.setitem(downstream.TASKS, "mine", task)
    (tmp_path / "mine").mkdir()
    for split in ("train", "test"):
        with lzma.open(tmp_path / "mine" / f"{split}.jsonl.xz", "wt") as file:
            file.writelines(json.dumps(row) + "\n" for row in ROWS[kind])
    package(tmp_path, monkeypatch)
    assert downstream.judge("mine", "tf-idf", tmp_path, "wee", seed=1)["score"] > 0.5
    monkeypatch.setattr(downstream, "RATES", (2e-3,))
    found = downstream.judge("mine", "scratch", tmp_path, "wee", seed=1)
    assert found["score"] > 0.5
    assert found["rate"] == 2e-3


def test_rows_kept_back_choose_the_rate_and_never_the_test(tmp_path, monkeypatch):
    import downstream

    (tmp_path / "sst2").mkdir()
    for split in ("train", "test"):
        with lzma.open(tmp_path / "sst2" / f"{split}.jsonl.xz", "wt") as file:
            file.writelines(json.dumps({"sentence": f"{split} {i}", "label": 0}) + "\n" for i in range(40))
    scores = {3e-4: (0.4, 0.9), 1e-3: (0.6, 0.5)}

    def trained(task, train, held, test, model, *, fresh, rate, seed):
        names = [{row["sentence"] for row in rows} for rows in (train, held, test)]
        assert [len(some) for some in names] == [36, 4, 40]
        assert not names[0] & names[1]
        return scores[rate]

    monkeypatch.setattr(downstream, "_trained", trained)
    found = downstream.judge("sst2", "pretrained", tmp_path, "wee", seed=1)
    assert found == {"score": 0.5, "rate": 1e-3, "chosen_by": {3e-4: 0.4, 1e-3: 0.6}}


def test_where_no_spaces_part_words_characters_are_counted(tmp_path, monkeypatch):
    import downstream

    places = "山川河海湖岛城村街桥"
    for split, some in (("train", places[:8]), ("test", places[8:])):
        (tmp_path / "mine").mkdir(exist_ok=True)
        with lzma.open(tmp_path / "mine" / f"{split}.jsonl.xz", "wt", encoding="utf-8") as file:
            rows = [{"text": f"这{at}{how}看", "label": label} for at in some for label, how in enumerate(("难", "好"))]
            file.writelines(json.dumps(row) + "\n" for row in rows)
    for counted, right in (("words", 0.5), ("characters", 1.0)):
        task = replace(downstream.TASKS["sst2"], text=("text",), counted=counted)
        monkeypatch.setitem(downstream.TASKS, "mine", task)
        assert downstream.judge("mine", "tf-idf", tmp_path, "wee", seed=1) == {"score": right}


def test_words_learn_pairs_and_the_model_computes_what_was_trained():
    import words
    from torch.nn import functional

    from modernbert.model.encoder import Encoder
    from modernbert.model.pool import pool
    from modernbert.model.store import fresh
    from modernbert.ops.packed import Packed
    from support.tiny import tiny_config

    model = fresh(tiny_config(), Encoder, seed=3)
    with torch.no_grad():
        for layer in model.layers:
            layer.attn.Wo.weight.zero_()
            layer.mlp.Wo.weight.zero_()
    draw = np.random.default_rng(1)
    sides = draw.permutation(120).reshape(2, 60)
    pairs = [words.Pair(np.full(3, sides[0, i]), np.array([sides[1, i], 0])) for i in range(60)]
    losses = words.learn(model, pairs, epochs=120, batch=30, lr=0.02, seed=1)
    assert losses[-1] < 0.5 * losses[0]
    texts = [pairs[0][0], pairs[7][1]]
    packed = Packed.from_lists([ids.tolist() for ids in texts])
    with torch.no_grad():
        found = functional.normalize(pool(model(packed), packed, "mean"), dim=1)
        table = model.embeddings.tok_embeddings.weight
        expected = words.vectors(table / table.std(), model.final_norm.weight, texts)
    torch.testing.assert_close(found, expected, atol=2e-3, rtol=0)


def test_a_batch_is_of_one_source_and_an_epoch_has_every_pair_that_fills_one():
    import words

    counts = {"prose": 35, "code": 20, "few": 3}
    nothing = np.zeros(1)
    pairs = [words.Pair(np.array([i]), nothing, source) for source, count in counts.items() for i in range(count)]
    made = words.batches(pairs, 8, seed=1)
    epochs = [[next(made) for _ in range(4 + 2 + 1)] for _ in range(2)]
    for epoch in epochs:
        assert all(len({pair.source for pair in batch}) == 1 for batch in epoch)
        assert sorted(len(batch) for batch in epoch) == [3, *[8] * 6]
        seen = [(pair.source, int(pair.anchor[0])) for batch in epoch for pair in batch]
        assert len(seen) == len(set(seen)) == 8 * 6 + 3
        assert sum(source == "prose" for source, _ in seen) == 32
    orders = [[(batch[0].source, int(batch[0].anchor[0])) for batch in epoch] for epoch in epochs]
    assert orders[0] != orders[1]


def test_the_strongest_numbers_come_first_and_vectors_are_the_same():
    import words

    from modernbert.model.encoder import Encoder
    from modernbert.model.store import fresh
    from modernbert.ops.packed import Packed
    from support.tiny import tiny_config

    model = fresh(tiny_config(), Encoder, seed=3).double()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "norm" in name:
                weight.uniform_(0.1, 2)
    draw = np.random.default_rng(1)
    texts = [draw.integers(0, 100, size=size) for size in (1, 2, 30, 70)]
    packed = Packed.from_lists([ids.tolist() for ids in texts])
    with torch.no_grad():
        before = model(packed)
        words.put_strong_numbers_first(model, texts)
        after = model(packed)
        strength = (
            words.vectors(model.embeddings.tok_embeddings.weight, model.final_norm.weight, texts).square().mean(0)
        )
    assert (strength.diff() <= 0).all()
    assert not torch.equal(before, after)
    torch.testing.assert_close(after @ after.T, before @ before.T)


def test_a_head_is_packaged_only_on_the_weights_that_it_was_trained_on(tmp_path, monkeypatch):
    import package as script

    from modernbert.core import packaged
    from modernbert.core.errors import UserError
    from modernbert.model.store import load

    trunk = package(tmp_path, monkeypatch)
    adapter(trunk, tmp_path / "head")
    (tmp_path / "head" / "training.json").write_text("{}\n")
    script.adapter_head(tmp_path / "head", trunk, "embedding")
    for folder in (trunk, trunk / "heads" / "embedding"):
        packaged.sign(folder)
    packaged._checked.cache_clear()
    assert packaged.names() == ("wee", "wee:embedding")
    half = load("wee:embedding", dtype=torch.float32).layers[0].attn.Wqkv.weight
    whole = load(tmp_path / "head", dtype=torch.float32).layers[0].attn.Wqkv.weight
    torch.testing.assert_close(half, whole, atol=2e-3, rtol=2e-2)
    (trunk / "model.safetensors").write_bytes((trunk / "model.safetensors").read_bytes() + b"x")
    with pytest.raises(UserError, match=r"was trained on weights [0-9a-f]{12}, found"):
        script.adapter_head(tmp_path / "head", trunk, "embedding")


def test_a_head_may_be_a_whole_model_with_the_trunks_tokenizer(tmp_path, monkeypatch):
    import package as script

    from modernbert.core import packaged
    from modernbert.core.errors import UserError
    from modernbert.retrieval.embedder import Embedder

    trunk = package(tmp_path, monkeypatch)
    source = small_checkpoint(tmp_path / "whole")
    script.whole_head(source, trunk, "embedding")
    packaged.sign(trunk / "heads" / "embedding")
    assert not (trunk / "heads" / "embedding" / "tokenizer.json").exists()
    found = Embedder.from_pretrained("wee", dtype="float32").encode(["import os"], normalize_embeddings=True)
    expected = Embedder.from_pretrained(source, dtype="float32").encode(["import os"], normalize_embeddings=True)
    np.testing.assert_allclose(found, expected, atol=2e-2)
    (source / "tokenizer.json").write_text((source / "tokenizer.json").read_text() + "\n")
    with pytest.raises(UserError, match="has another tokenizer than"):
        script.whole_head(source, trunk, "embedding")


def test_a_head_of_late_interaction_is_packaged_with_what_stands_behind_its_encoder(tmp_path, monkeypatch):
    import package as script
    from sentence_transformers import MultiVectorEncoder

    from modernbert.core import packaged
    from modernbert.core.errors import CheckpointError
    from modernbert.model.catalogue import take
    from modernbert.retrieval.late import LateInteraction
    from modernbert.retrieval.late_folder import LateSettings

    trunk = package(tmp_path, monkeypatch)
    model, tokenizer = small_model()
    LateInteraction(model.model, tokenizer, behind=[], settings=LateSettings(skiplist=("(",))).save_pretrained(
        tmp_path / "l"
    )
    script.whole_head(tmp_path / "l", trunk, "late")
    head = trunk / "heads" / "late"
    packaged.sign(head)
    texts = ["def add(a, b):", "((("]
    found = LateInteraction.from_pretrained("wee", dtype="float32").encode_document(texts)
    take("wee:late", tmp_path / "mine")
    stock = MultiVectorEncoder(str(tmp_path / "mine"), device="cpu", model_kwargs={"dtype": "float32"})
    assert [len(each) for each in found] == [len(each) for each in stock.encode_document(texts)]
    for ours, theirs in zip(found, stock.encode_document(texts), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-5)

    (settings,) = head.glob("*_MultiVectorMask/config.json")
    settings.write_text(settings.read_text().replace("(", ")"))
    packaged._checked.cache_clear()
    with pytest.raises(CheckpointError, match="is not what it was when the package was made"):
        LateInteraction.from_pretrained("wee")


def _pairs_file(folder, count=64):
    """What is asked names two things, what is told has them among others."""
    draw = np.random.default_rng(0)
    things = [f"{a}{b}" for a in ("red", "blue", "old", "new") for b in ("box", "sun", "map", "car", "sea")]
    path = folder / "pairs.jsonl"
    with path.open("w") as file:
        for _ in range(count):
            one, two, three = draw.choice(things, 3, replace=False)
            file.write(json.dumps({"anchor": f"{one} {two}", "positive": f"the {three} of {two} in the {one}"}) + "\n")
    return path


def test_tokens_learn_which_texts_belong_together_and_what_is_written_computes_what_was_trained(tmp_path, monkeypatch):
    import late

    from modernbert.retrieval.late import LateInteraction
    from modernbert.retrieval.maxsim import maxsim

    pairs = _pairs_file(tmp_path)
    embedding = small_checkpoint(tmp_path / "embedding")
    words = [
        str(pairs),
        "--embedding",
        str(embedding),
        "--batch",
        "16",
        "--epochs",
        "12",
        "--out",
        str(tmp_path / "late"),
    ]
    monkeypatch.setattr("sys.argv", ["late.py", *words])
    monkeypatch.setattr(late, "QUIET", 0)
    trained = {}
    learn = late.learn
    monkeypatch.setattr(late, "learn", lambda *given: trained.setdefault("it", (given[0], *learn(*given)))[1:])
    late.main()
    rows_VP, gains_P, losses = trained["it"]
    assert losses[-1] < losses[0] or len(losses) == 1

    model = LateInteraction.from_pretrained(tmp_path / "late", dtype="float32")
    assert model.width == late.WIDTH
    rows = [json.loads(line) for line in pairs.read_text().splitlines()][:8]
    asked, told = ([row[name] for row in rows] for name in ("anchor", "positive"))
    ids = [[np.array(each) for each in model.tokenizer.encode(texts).ids] for texts in (asked, told)]
    in_training = late.maxsim(late.normed(rows_VP, gains_P), *ids).numpy()
    found = maxsim(model.encode_query(asked), model.encode_document(told))
    np.testing.assert_allclose(found, in_training, rtol=1e-4, atol=1e-4)


def test_tokens_that_matter_little_are_left_out_of_documents():
    import late

    _, tokenizer = small_model()
    vectors_VP = torch.ones(tokenizer.vocab_size, 4)
    vectors_VP[[5, 9]] *= 0.3
    vectors_VP[7] *= 0.4
    assert late.quiet_tokens(vectors_VP, tokenizer) == (tokenizer.token(5), tokenizer.token(9))


def test_the_scores_of_a_batch_are_those_of_maxsim_with_gradients():
    import late

    from modernbert.retrieval.maxsim import maxsim_slowly

    draw = np.random.default_rng(1)
    vectors_VP = torch.tensor(draw.normal(size=(30, 8)), requires_grad=True)
    asked, told = ([draw.integers(30, size=length) for length in lengths] for lengths in ((3, 1, 7), (5, 9, 2)))
    scores = late.maxsim(vectors_VP, asked, told)
    expected = maxsim_slowly(*([vectors_VP.detach().numpy()[ids] for ids in texts] for texts in (asked, told)))
    np.testing.assert_allclose(scores.detach().numpy(), expected, atol=1e-12)
    assert torch.autograd.gradcheck(lambda vectors: late.maxsim(vectors, asked, told), vectors_VP)


def test_the_plain_run_reads_the_mixture_by_its_weights(tmp_path):
    import plain

    assert set(plain.read_recipe(plain.RECIPE).data.sources) == {"wiki", "arxiv", "novels", "wikinews", "python"}
    _, tokenizer = small_model()
    for name, length in (("long", 60), ("short", 15)):
        with write_shards(tmp_path / name, tokenizer) as writer:
            for _ in range(50):
                writer.append([7] * length)
    documents = plain.Documents(tmp_path, {"long": 0.5, "short": 0.5}, 1, 4000)
    tokens = {"long": 0, "short": 0}
    for number, (name, _) in enumerate(documents.drawn):
        tokens[name] += documents.length(number)
        assert len(documents[number]["input_ids"]) == documents.length(number)
    assert tokens["long"] / sum(tokens.values()) == pytest.approx(0.5, abs=0.05)


RECIPE_OF_TWO = """
model: {num_hidden_layers: 2, hidden_size: 64, intermediate_size: 64, num_attention_heads: 1}
stages: {only: {tokens: 1K, batch: {size: 256}, rows: {length: 64, room: 256}}}
data: {sources: {one: {path: one, weight: 0.5}, two: {path: two, weight: 0.5}}}
"""


def test_a_plain_run_that_is_interrupted_reads_on_where_it_was_saved(tmp_path, monkeypatch):
    import plain

    monkeypatch.setattr(plain, "TRIED", 1)
    monkeypatch.setattr(plain, "LOGGED", 2)
    monkeypatch.setattr(plain, "SAVED", 4)
    _, tokenizer = small_model()
    draw = np.random.default_rng(3)
    for name in ("one", "two"):
        with write_shards(tmp_path / name, tokenizer) as writer:
            for _ in range(50):
                writer.append(draw.integers(5, 300, draw.integers(5, 30)).tolist())
    (tmp_path / "recipe.yaml").write_text(RECIPE_OF_TWO)
    steps: dict[int, list[int]] = {}
    padded: dict[int, int] = {}
    breaks: list[int] = []

    class Broken(plain._Trainer):
        def training_step(self, model, inputs, *words, **named):
            steps[self.state.global_step] = inputs["attention_mask"].sum(1).tolist()
            padded[self.state.global_step] = inputs["input_ids"].numel()
            if self.state.global_step in breaks:
                raise KeyboardInterrupt
            return super().training_step(model, inputs, *words, **named)

    monkeypatch.setattr(plain, "_Trainer", Broken)

    def run(out: str) -> dict[int, list[int]]:
        words = [
            str(tmp_path),
            "--recipe",
            str(tmp_path / "recipe.yaml"),
            "--minutes",
            "1e-9",
            "--out",
            str(tmp_path / out),
        ]
        monkeypatch.setattr("sys.argv", ["plain.py", *words])
        steps.clear()
        plain.main()
        return dict(steps)

    lengths = run("whole")
    assert list(lengths) == list(range(10))
    given = argparse.Namespace(shards=tmp_path, seed=17)
    recipe = plain.read_recipe([tmp_path / "recipe.yaml"])
    assert plain._padded(recipe, given, 10) == pytest.approx(np.mean(list(padded.values())))
    breaks.append(6)
    with pytest.raises(KeyboardInterrupt):
        run("parted")
    breaks.clear()
    assert not (tmp_path / "parted").exists()
    assert run("parted") == {step: lengths[step] for step in range(4, 10)}
    whole, parted = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "parted"))
    assert whole.keys() == parted.keys()
    for name, weight in whole.items():  # what is hidden differs: transformers draws a batch ahead of its checkpoint
        torch.testing.assert_close(parted[name], weight, rtol=0, atol=0.02)
    facts = [json.loads((tmp_path / name / "training.json").read_text()) for name in ("whole", "parted")]
    assert facts[0]["losses"][:2] == pytest.approx(facts[1]["losses"][:2], abs=1e-3)
    assert [len(each["losses"]) for each in facts] == [5, 5]
    assert facts[1]["seconds"] > 0
    assert not (tmp_path / "parted.part").exists()


def test_a_card_without_its_run_gets_other_judgements_and_keeps_the_rest():
    import card

    page = "# nano\n\n## Text\n\nold\n\n## After fine-tuning\n\n| worse |\n\n## Blanks\n\nkept\n\n## Recipes\n\n## Blanks in a recipe\n"
    scores = {"pretrained": {"score": 0.9}, "scratch": {"score": 0.8}, "tf-idf": {"score": 0.7}}
    found = card.judged_anew(page, {"downstream": {"sst2": scores}, "retrieval": {"BM25": {"scifact": 0.6}}})
    assert found.startswith("# nano\n\n## Text\n\nold\n\n## After fine-tuning\n\n| task |")
    assert "| sst2 | accuracy | 0.900 | 0.800 | 0.700 |" in found
    assert "worse" not in found
    assert "\n\n## Blanks\n\nkept\n\n## Retrieval\n\n| nDCG@10 | scifact |" in found
    assert found.endswith("\n\n## Recipes\n\n## Blanks in a recipe\n")
    assert card.judged_anew(found, {"downstream": {"sst2": scores}, "retrieval": {"BM25": {"scifact": 0.6}}}) == found


def test_the_card_explains_the_rows_that_it_has():
    import card_parts

    row = {"wiki": {"accuracy": 0.5, "bits_per_byte": 1.0}}
    assert "plain is the same shape" not in card_parts.hidden_tokens({"unigram": row, "bigram": row, "nano": row})
    assert "plain is the same shape" in card_parts.hidden_tokens(
        {"unigram": row, "bigram": row, "nano": row, "plain": row}
    )


def test_the_card_says_how_long_the_plain_model_read():
    import card

    judged = {
        "held_out": {"plain": {"wiki": {"accuracy": 0.5, "bits_per_byte": 1.0}}},
        "plain": {"seconds": 3000.0, "steps": 1200, "minutes_planned": 60.0},
    }
    ((_, told),) = card._judgements(judged)
    assert told.endswith(
        "plain read for 50 minutes, 1,200 batches; the stages of nano take 60 minutes on the same cores."
    )
    judged["held_out"][card.BEFORE] = judged["held_out"]["plain"]
    ((_, told),) = card._judgements(judged)
    assert f"the stages of {card.BEFORE} take 60 minutes" in told
    ((_, told),) = card._judgements({"held_out": judged["held_out"]})
    assert "minutes" not in told


def test_retrieval_is_judged_on_both_sets_for_everybody(tmp_path, monkeypatch):
    import retrieval

    monkeypatch.setattr(retrieval, "library", small_collection)
    words = [
        "retrieval.py",
        str(write_small(tmp_path / "scifact")),
        "--models",
        f"own={small_checkpoint(tmp_path / 'm')}",
    ]
    monkeypatch.setattr("sys.argv", [*words, "--out", str(tmp_path / "retrieval.json")])
    retrieval.main()
    found = json.loads((tmp_path / "retrieval.json").read_text())
    assert found.keys() == {"BM25", "own", "BM25 and own"}
    assert all(scores.keys() == {"scifact", "standard library"} for scores in found.values())
    assert found["BM25"]["scifact"] > found["own"]["scifact"] > 0


def test_few_documents_hold_each_sources_share_of_the_tokens(tmp_path, monkeypatch):
    import ablation_data

    monkeypatch.setattr(ablation_data, "FEW", 2_000)
    for seed, name in enumerate(ablation_data.SOURCES):
        shards(tmp_path / "shards" / name, 60, seed=seed)
    ablation_data.few(tmp_path / "shards", tmp_path / "few")
    whole, part = (Shards.open(tmp_path / folder / "wiki") for folder in ("shards", "few"))
    assert sum(int(Shards.open(tmp_path / "few" / name).lengths.sum()) for name in ablation_data.SOURCES) == 2_000
    assert int(part.lengths.sum()) == 900
    known = {whole.tokens(i).tobytes() for i in range(len(whole))}
    *before, last = (part.tokens(i).tobytes() for i in range(len(part)))
    assert known.issuperset(before)
    assert len(set(before)) == len(before)
    assert any(document.startswith(last) for document in known)
    assert before != [whole.tokens(i).tobytes() for i in range(len(before))]
    ablation_data.few(tmp_path / "nowhere", tmp_path / "few")  # what is there is kept


def test_vocabularies_are_learnt_and_read_as_nanos_is(tmp_path):
    import ablation_data
    import make

    planned = list(ablation_data.vocabularies(tmp_path, tmp_path / "nano"))
    of_nano = [step for step in make.pretraining(tmp_path, tmp_path / "nano") if step.words[0] in ("tokenizer", "data")]
    assert len(planned) == len(ablation_data.VOCABULARIES) * len(of_nano)
    for step, like in zip(planned, of_nano, strict=False):  # the first vocabulary's
        words, expected = (" ".join(map(str, one.words)) for one in (step, like))
        own = words.replace("nano/vocabulary-8k/", "nano/").replace("--vocab-size 8192", "--vocab-size 16384")
        assert own == expected
        assert "vocabulary-8k" in str(step.made)


def test_a_card_adds_up_what_was_read_before_and_after(monkeypatch):
    import card

    page = "It read 24.5M tokens in 2.2 hours on 2 cores.\n\n| stage | layers |\n|---|---|\n| nano, decay | 7 |\n\nTold.\n\n## Hidden tokens\n\nx\n"
    steps = [{"tokens": 1_500_000, "seconds": 3600.0}]
    monkeypatch.setattr(card, "read", lambda *paths: None)
    monkeypatch.setattr(card, "read_metrics", lambda *asked: steps)
    monkeypatch.setattr(card, "stage_rows", lambda *asked: [["further, decay", "7"]])
    monkeypatch.setattr(card, "made_with", lambda *asked: "Python 3.")
    monkeypatch.setattr(card, "_recipe_block", lambda *asked: "a recipe")
    monkeypatch.setattr(card.Path, "read_text", lambda path: '{"world_size": 2}')
    found = card.read_on(page, "further", Path("runs"))
    assert found.startswith("It read 26.0M tokens in 3.2 hours on 2 cores.\n")
    assert (
        "| nano, decay | 7 |\n| further, decay | 7 |\n\nTold. further reads on from there, on 2 processes: Python 3. The weights here are the mean of those that nano and further ended with, as the hidden tokens and the blanks below speak for.\n\n## Hidden"
        in found
    )
    assert found.endswith("x\n\na recipe\n")
    assert card.read_on(found, "further", Path("runs")) == found
