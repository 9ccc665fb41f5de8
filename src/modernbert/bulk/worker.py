"""A worker's life under any engine: its models once, then shard after shard, and an event for all that happens.

torch is imported when it begins to serve: by then its process knows how many threads it has.
"""

from collections.abc import Callable

from modernbert.bulk.config import Recipe
from modernbert.bulk.output import Output, OutputError
from modernbert.bulk.pool import Advanced, Done, Event, Failed, Ready
from modernbert.bulk.sidecar import Progress
from modernbert.core.errors import UserError, first_line
from modernbert.data.corpus_files import CorpusFile


class Worker:
    """Models that are loaded, and where their results go."""

    def __init__(self, number: int, recipe: Recipe, root: str) -> None:
        """Load.

        Raises:
            UserError: a model cannot be opened, or is another than the job began with.
        """
        import torch

        from modernbert.bulk.annotator import Annotator

        torch.set_num_threads(recipe.threads)
        self._threads = recipe.threads
        self.number = number
        self._annotator = Annotator(recipe)
        self._output = Output(root)

    def run(self, shard: CorpusFile, send: Callable[[Event], None]) -> None:
        """Do a shard, telling how it goes and how it ended."""
        import torch

        from modernbert.bulk.work import annotate_shard

        torch.set_num_threads(self._threads)  # an engine may run each shard in another thread, which has its own number

        def tell(progress: Progress) -> None:
            send(Advanced(self.number, progress))

        try:
            done = annotate_shard(self._annotator, shard, self._output, tell)
        except UserError as error:
            send(Failed(self.number, str(error), is_fatal=isinstance(error, OutputError)))
        except Exception as error:  # noqa: BLE001 (ours, or a library's: the other shards go on)
            send(Failed(self.number, f"{shard.path}: {type(error).__name__}: {first_line(error)}"))
        else:
            send(Done(self.number, done))


def serve(
    number: int, recipe: Recipe, root: str, take: Callable[[], CorpusFile], send: Callable[[Event], None]
) -> None:
    """Until the process ends."""
    try:
        worker = Worker(number, recipe, root)
    except UserError as error:
        send(Failed(number, str(error), is_fatal=True))
        return
    send(Ready(number))
    while True:
        worker.run(take(), send)
