"""The models of a server, by name, with what each can do; and how a request's work gets done off the event loop."""

import asyncio
import contextvars
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar, cast, overload

from starlette.requests import Request

from modernbert.core.errors import UserError
from modernbert.infer.desk import Desk
from modernbert.infer.engine import TooLong
from modernbert.infer.exported import Exported
from modernbert.infer.light import Light
from modernbert.infer.ticket import BusyError, GoneError, LateError, Ticket
from modernbert.retrieval.embedder import Embedder
from modernbert.retrieval.late import LateInteraction
from modernbert.retrieval.reranker import Reranker
from modernbert.retrieval.sparse import SparseEncoder
from modernbert.serve.config import Settings
from modernbert.serve.errors import ApiError
from modernbert.serve.opening import Ability, Predictor, Predictors, engines_of, open_predictors, warm_up
from modernbert.tasks.answer import Answerer
from modernbert.tasks.choose import Chooser
from modernbert.tasks.classify import TextClassifier
from modernbert.tasks.fill_mask import MaskFiller
from modernbert.tasks.tag import Tagger
from modernbert.tasks.zero_shot import ZeroShot

if TYPE_CHECKING:
    from torch import nn

T = TypeVar("T")

_MODEL = "model"
"""What every run calls the folder of what it trained."""


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """One model, for people and clients."""

    name: str
    abilities: tuple[Ability, ...]
    longest: int
    """Tokens of a text."""
    width: int | None
    """Numbers in a vector, of those that embed."""
    num_parameters: int | None
    """Absent of an exported graph."""
    dtype: str


class Models:
    """Models that were opened once, and their work."""

    def __init__(self, opened: Mapping[str, Predictors], settings: Settings) -> None:
        """Take predictors by model and ability."""
        self.settings = settings
        self._opened = dict(opened)
        self._threads = ThreadPoolExecutor(settings.max_concurrent_requests, thread_name_prefix="request")
        self._num_running = 0
        self.desk = Desk(
            max_batch_tokens=settings.max_batch_tokens,
            most_tokens=settings.max_queue_tokens,
            most_orders=settings.max_concurrent_requests,
        )
        """Where everything is computed."""
        self.is_ready = False
        """Whether requests are answered at full speed: from warm-up until the end."""
        for predictors in self._opened.values():
            for predictor in predictors.values():
                for engine in engines_of(predictor):
                    engine.share(self.desk)

    @classmethod
    def open(cls, sources: Sequence[str], settings: Settings) -> "Models":
        """Open each once.

        Args:
            sources: packaged names, folders or Hub ids; `name=source` gives another name than a folder's.

        Raises:
            UserError: two have one name, or one is no model.
        """
        opened: dict[str, Predictors] = {}
        for each in sources:
            alias, equals, source = each.partition("=")
            name = alias if equals else _name_of(Path(each)) if Path(each).is_dir() else each
            if name in opened:
                raise UserError(f"{name!r} names two models: give one of them another name, as other={source or each}")
            opened[name] = open_predictors(source if equals else each, dtype=settings.dtype, device=settings.device)
        for predictors in opened.values():
            if isinstance(embedder := predictors.get("embed"), Embedder):
                embedder.prompts.choose(settings.default_prompt_name, settings.default_prompt)
        return cls(opened, settings)

    def names(self) -> list[str]:
        """In the order they were given."""
        return list(self._opened)

    def can(self, ability: Ability) -> list[str]:
        """Names of the models that can."""
        return [name for name, predictors in self._opened.items() if ability in predictors]

    def about(self, name: str) -> About:
        """One model.

        Raises:
            ApiError: 404, no such model.
        """
        if name not in self._opened:
            raise ApiError(
                404, f"model: found {name[:100]!r}, expected one of {', '.join(self.names())}", param="model"
            )
        predictors = self._opened[name]
        engines = [engine for each in predictors.values() for engine in engines_of(each)]
        widths = [each.width for each in predictors.values() if isinstance(each, Embedder | LateInteraction)]
        models = [engine.model for engine in engines if not isinstance(engine.model, Light)]
        return About(
            name=name,
            abilities=tuple(predictors),
            longest=max(engine.room.longest for engine in engines),
            width=widths[0] if widths else None,
            num_parameters=max((sum(each.numel() for each in model.parameters()) for model in models), default=None),
            dtype=_dtype(engines[0].model),
        )

    @overload
    def find(self, name: str | None, ability: Literal["embed"]) -> Embedder: ...
    @overload
    def find(self, name: str | None, ability: Literal["late"]) -> LateInteraction: ...
    @overload
    def find(self, name: str | None, ability: Literal["rerank"]) -> Reranker: ...
    @overload
    def find(self, name: str | None, ability: Literal["sparse"]) -> SparseEncoder: ...
    @overload
    def find(self, name: str | None, ability: Literal["classify"]) -> TextClassifier: ...
    @overload
    def find(self, name: str | None, ability: Literal["tag"]) -> Tagger: ...
    @overload
    def find(self, name: str | None, ability: Literal["answer"]) -> Answerer: ...
    @overload
    def find(self, name: str | None, ability: Literal["fill-mask"]) -> MaskFiller: ...
    @overload
    def find(self, name: str | None, ability: Literal["choose"]) -> Chooser: ...
    @overload
    def find(self, name: str | None, ability: Literal["zero-shot"]) -> ZeroShot: ...
    def find(self, name: str | None, ability: Ability) -> Predictor:
        """The predictor for this; absent name: of the first model that can.

        Raises:
            ApiError: 404, no such model, or it cannot, or none can; the sentence lists those that can.
        """
        able = self.can(ability)
        if name is None and able:
            name = able[0]
        if name is None or name not in able:
            found = "no model" if name is None else repr(name[:100])
            raise ApiError(
                404,
                f"model: found {found} for {ability}, expected one of {', '.join(able)}"
                if able
                else f"no model here can {ability}: start the server with one that can; it has {', '.join(self.names())}",
                param="model",
            )
        return self._opened[name][ability]

    def why_not(self) -> ApiError | None:
        """What is said while no more requests may be worked on or wait; else none."""
        limit = self.settings.max_concurrent_requests
        if self._num_running < limit:
            return None
        return ApiError(429, f"{limit} requests are worked on, and no more may wait: try again later", retry_after=1)

    async def call(self, request: Request, work: Callable[[], T], *, too_long: TooLong | None = None) -> T:
        """Do a request's work in a thread: with its deadline, and given up when the client is gone.

        Afterwards `request.state.ticket` tells how many tokens were run.

        Args:
            too_long: what happens to texts that the model cannot take whole; absent: what `--auto-truncate` says.

        Raises:
            ApiError: 429, too much is waiting; 504, too late; 499, nobody waits any more.
        """
        if (full := self.why_not()) is not None:
            raise full
        default: TooLong = "truncate" if self.settings.auto_truncate else "refuse"
        ticket = Ticket(deadline=time.monotonic() + self.settings.timeout, too_long=too_long or default)
        request.state.ticket = ticket
        with ticket.held():
            context = contextvars.copy_context()
        self._num_running += 1
        working = asyncio.get_running_loop().run_in_executor(self._threads, context.run, work)
        working.add_done_callback(self._ended)
        leaving = asyncio.ensure_future(_departure(request))
        try:
            done, _ = await asyncio.wait(
                (working, leaving), timeout=self.settings.timeout, return_when=asyncio.FIRST_COMPLETED
            )
            if working in done:
                return working.result()
            if leaving in done:
                raise GoneError
            raise LateError
        except BusyError as busy:
            raise ApiError(429, f"{busy}: try again later", retry_after=max(1, math.ceil(busy.retry_after))) from None
        except LateError:
            raise ApiError(
                504, f"not answered within {self.settings.timeout:g} seconds: send less at a time, or try again later"
            ) from None
        except GoneError:
            raise ApiError(499, "the client left") from None
        finally:
            leaving.cancel()
            ticket.leave()

    def warm_up(self) -> None:
        """Run every predictor once: what is made at first use is made now, and the desk learns how fast each is."""
        for predictors in self._opened.values():
            for predictor in predictors.values():
                warm_up(predictor)
        self.is_ready = True

    def close(self) -> None:
        """Take nothing new, and let what runs end; no longer than a request may take."""
        self.is_ready = False
        self.desk.close(self.settings.timeout)
        self._threads.shutdown(cancel_futures=True)

    def _ended(self, working: "asyncio.Future[T]") -> None:
        self._num_running -= 1
        if not working.cancelled():
            working.exception()  # seen: nobody may be waiting for it


def _name_of(folder: Path) -> str:
    """Its last word, for where it lies is nobody's business; of the folder `model` of a run, the run's."""
    named = Path(os.path.abspath(folder))
    return named.parent.name if named.name == _MODEL and named.parent.name else named.name


def _dtype(model: "nn.Module | Light") -> str:
    """What it computes in; of a graph what its weights are stored in."""
    if isinstance(model, Exported):
        return model.manifest.precision
    return str(next(cast("nn.Module", model).parameters()).dtype).removeprefix("torch.")


async def _departure(request: Request) -> None:
    """Returns when the client is gone."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
