"""`modernbert train-retrieval` and `modernbert mine-negatives`: rows in, a model that finds out."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import tyro

from modernbert.core.packaged import DEFAULT
from modernbert.retrieval.training.config import Mining


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
class MineNegatives(Mining):
    """Give rows of query and positive the documents that a model takes for right and that are not."""

    data: tyro.conf.Positional[str]
    """A file or folder of rows with query and positive."""
    out: Path
    """A .jsonl file: query, positive, negative_1, ... and scores."""
    model: str = DEFAULT
    """A packaged model, a folder or a Hub id; st:MODEL is opened by sentence-transformers."""
    corpus: tuple[str, ...] = ()
    """Files of further documents to choose from."""
    cache: Path | None = None
    """A folder that keeps encodings: a stopped run goes on from there."""

    def run(self) -> None:
        """Encode, choose, write."""
        from modernbert.core.errors import UserError
        from modernbert.data.sources import read_documents
        from modernbert.retrieval.evaluation.contenders import open_model
        from modernbert.retrieval.training.config import TrainRetrieval as Settings
        from modernbert.retrieval.training.examples import read_examples
        from modernbert.retrieval.training.mining import mine, write_mined

        if self.out.suffix != ".jsonl":
            raise UserError(f"--out {self.out}: found {self.out.suffix or 'no ending'!r}, expected .jsonl")
        examples = read_examples(Settings(kind="dense", data=self.data))
        model, facts = open_model("dense", self.model)
        corpus = [document.text for document in read_documents(self.corpus)] if self.corpus else []
        mined = mine(examples, model, self, corpus=corpus, facts=facts, cache=self.cache)
        write_mined(mined, self.out)
        print(f"{len(mined.rows):,} rows with {self.num_negatives} negatives each: {self.out}")
