"""`modernbert train-retrieval` and `modernbert mine-negatives`: rows in, a model that finds out."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import tyro

from modernbert.core.packaged import DEFAULT


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainRetrieval:
    """Train a model that finds: modernbert train-retrieval dpr data=pairs.jsonl model=nano held_out=FOLDER out=runs/mine"""

    recipes: tyro.conf.Positional[tuple[str, ...]]
    """dpr, colbert, reranker, matryoshka, mldr, code or files, laid over each other, then settings such as learning_rate=1e-4."""
    dry_run: bool = False
    """Print every setting and stop there."""
    json: bool = False
    """Print the outcome as one JSON object."""

    def run(self) -> None:
        """Read, train, print the scores."""
        from modernbert.retrieval.training.recipes import read_recipe

        settings = read_recipe(self.recipes)
        if self.dry_run:
            import yaml

            from modernbert.core.config import to_plain

            print(yaml.safe_dump(to_plain(settings), sort_keys=False), end="")
            return
        from modernbert.retrieval.training.run import train_retrieval

        outcome = train_retrieval(settings)
        if self.json:
            print(json.dumps({**asdict(outcome), "folder": str(outcome.folder), "model": str(outcome.model)}))
        elif not outcome.is_finished:
            print(f"stopped and saved in {outcome.folder}: the same command goes on")
        else:
            for name, value in outcome.after.items():
                print(f"{name}: {outcome.before[name]:.4f} before, {value:.4f} after")
            print(f"model: {outcome.model}")


@dataclass(frozen=True, slots=True, kw_only=True)
class MineNegatives:
    """Give rows of query and positive the documents that a model takes for right and that are not."""

    data: tyro.conf.Positional[str]
    """A file or folder of rows with query and positive."""
    out: Path
    """A .jsonl file: query, positive, negative_1, ... and scores."""
    model: str = DEFAULT
    """A packaged model, a folder or a Hub id; st:MODEL is opened by sentence-transformers."""
    corpus: tuple[str, ...] = ()
    """Files of further documents to choose from."""
    num_negatives: int = 3
    """Negatives a row; rows with fewer are left out."""
    range_min: int = 0
    """So many of the best that passed the filters are skipped."""
    range_max: int = 100
    """So many of the best are looked at."""
    max_score: float | None = None
    """The highest score of a negative."""
    min_score: float | None = None
    """The lowest score of a negative."""
    absolute_margin: float | None = None
    """A negative scores at least so much below the query's worst positive."""
    relative_margin: float | None = None
    """The same as a share of the positive's score, such as 0.05."""
    sampling: Literal["top", "random"] = "top"
    """The best of them, or drawn by the seed."""
    seed: int = 0
    """For random."""
    cache: Path | None = None
    """A folder that keeps encodings: a stopped run goes on from there."""

    def run(self) -> None:
        """Encode, choose, write."""
        from dataclasses import fields

        from modernbert.core.errors import UserError
        from modernbert.data.sources import read_documents
        from modernbert.retrieval.evaluation.contenders import open_model
        from modernbert.retrieval.training.config import TrainRetrieval as Settings
        from modernbert.retrieval.training.examples import read_examples
        from modernbert.retrieval.training.mining import Mining, mine, write_mined

        if self.out.suffix != ".jsonl":
            raise UserError(f"--out {self.out}: found {self.out.suffix or 'no ending'!r}, expected .jsonl")
        settings = Mining(**{each.name: getattr(self, each.name) for each in fields(Mining)})
        examples = read_examples(Settings(kind="dense", data=self.data))
        model, facts = open_model("dense", self.model)
        corpus = [document.text for document in read_documents(self.corpus)] if self.corpus else []
        mined = mine(examples, model, settings, corpus=corpus, facts=facts, cache=self.cache)
        write_mined(mined, self.out)
        print(f"{len(mined.rows):,} rows with {self.num_negatives} negatives each: {self.out}")
