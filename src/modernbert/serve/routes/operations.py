"""For who runs the server: is it alive, is it ready, what does it have, how is it doing."""

from importlib.metadata import version

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel

from modernbert.serve.errors import ApiError
from modernbert.serve.metrics import CONTENT_TYPE
from modernbert.serve.models import Models

OPEN = ("/health",)
"""Without a key: whoever keeps servers alive needs no secret."""


class Info(BaseModel):
    """The first model, and the limits, in TEI's words."""

    model_id: str
    model_dtype: str
    model_type: dict[str, dict[str, object]]
    max_concurrent_requests: int
    max_input_length: int
    max_batch_tokens: int
    max_client_batch_size: int
    auto_truncate: bool
    version: str
    models: list[dict[str, object]]
    """Every model, with what it can do."""


class Batch(BaseModel):
    """The batch that ran last."""

    lengths: list[int]
    owners: list[int]
    """Which call each document came from, counted from 0."""
    num_tokens: int
    budget: int
    seconds: float


class Running(BaseModel):
    """What the device does."""

    batch: Batch | None
    waiting: dict[str, int]


def router(models: Models) -> APIRouter:
    """`/health`, `/ready`, `/info`, `/metrics`, `/inside/batch`."""
    routes = APIRouter(tags=["operations"])

    @routes.get("/health", response_class=Response)
    async def health() -> Response:
        """200 while the device's owner answers."""
        if models.desk.busy_for() > models.settings.timeout:
            raise ApiError(
                503, f"the device has not answered for {models.settings.timeout:g} seconds: restart the server"
            )
        return Response()

    @routes.get("/ready", response_class=Response)
    async def ready() -> Response:
        """200 from warm-up until the server stops."""
        if not models.is_ready:
            raise ApiError(503, "warming up, or stopping: try again in a moment", retry_after=1)
        return Response()

    @routes.get("/info")
    async def info() -> Info:
        """What is served, and the limits."""
        abouts = [models.about(name) for name in models.names()]
        first, settings = abouts[0], models.settings
        return Info(
            model_id=first.name,
            model_dtype=first.dtype,
            model_type={_TYPES.get(first.abilities[0], first.abilities[0]): {}},
            max_concurrent_requests=settings.max_concurrent_requests,
            max_input_length=first.longest,
            max_batch_tokens=settings.max_batch_tokens,
            max_client_batch_size=settings.max_client_batch_size,
            auto_truncate=settings.auto_truncate,
            version=version("modernbert"),
            models=[
                {"name": each.name, "abilities": each.abilities, "longest": each.longest, "width": each.width}
                for each in abouts
            ],
        )

    @routes.get("/metrics", response_class=PlainTextResponse)
    async def metrics(request: Request) -> Response:
        """For Prometheus."""
        return Response(request.app.state.metrics.text(), media_type=CONTENT_TYPE)

    @routes.get("/inside/batch")
    async def batch() -> Running:
        """The documents that ran together last, and how much waits."""
        ran = models.desk.last
        requests, tokens = models.desk.num_waiting
        found = ran and Batch(
            lengths=list(ran.lengths),
            owners=list(ran.owners),
            num_tokens=ran.num_tokens,
            budget=ran.budget,
            seconds=ran.seconds,
        )
        return Running(batch=found, waiting={"requests": requests, "tokens": tokens})

    return routes


_TYPES = {"embed": "embedding", "fill-mask": "embedding", "classify": "classifier", "rerank": "reranker"}
"""What TEI calls a model by what it does first."""
