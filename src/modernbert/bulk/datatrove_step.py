"""A third door: annotations inside a datatrove pipeline, which reads, writes and marks what is finished by itself.

LocalPipelineExecutor([JsonlReader("news/"), Annotate(("quality=runs/edu/model",)), JsonlWriter("scored/")])
"""

from collections.abc import Generator, Iterable, Iterator

from datatrove.data import Document
from datatrove.pipeline.base import PipelineStep

from modernbert.bulk.config import WINDOW_CHARACTERS, WINDOW_ROWS, Long, Recipe, models_named
from modernbert.core.dtypes import DtypeName


class Annotate(PipelineStep):
    """Puts what models say of each document into its metadata, columns as `modernbert annotate` names them."""

    type = "ANNOTATE"
    name = "modernbert"
    _requires_dependencies = ["modernbert"]  # noqa: RUF012 (datatrove's own way to say it)

    def __init__(
        self,
        models: tuple[str, ...],
        *,
        long: Long = "chunk-mean",
        dtype: DtypeName = "auto",
        device: str = "cpu",
        threads: int = 1,
    ) -> None:
        """Nothing is loaded here: a step is sent to where it runs."""
        super().__init__()
        self.recipe = Recipe(models=models_named(models), long=long, dtype=dtype, device=device, threads=threads)

    def run(
        self, data: Iterable[Document] | None, rank: int = 0, world_size: int = 1
    ) -> Generator[Document, None, None]:
        """Documents in their order, windows at a time."""
        import torch

        from modernbert.bulk.annotator import Annotator

        torch.set_num_threads(self.recipe.threads)
        annotator = Annotator(self.recipe)
        for window in _windows(data):
            with self.track_time(unit="window"):
                prepared = annotator.prepare([document.text for document in window])
                columns = {name: array.to_pylist() for name, array in annotator.annotate(prepared).items()}
            self.stat_update("tokens", value=prepared.num_tokens)
            self.stat_update("long_documents", value=prepared.num_long)
            for number, document in enumerate(window):
                document.metadata |= {name: values[number] for name, values in columns.items()}
                yield document


def _windows(data: Iterable[Document] | None) -> Iterator[list[Document]]:
    window: list[Document] = []
    characters = 0
    for document in data or ():
        window.append(document)
        characters += len(document.text)
        if len(window) == WINDOW_ROWS or characters >= WINDOW_CHARACTERS:
            yield window
            window, characters = [], 0
    if window:
        yield window
