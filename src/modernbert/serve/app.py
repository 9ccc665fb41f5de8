"""The application: every route, and what stands before and behind all of them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from pkgutil import iter_modules

from fastapi import FastAPI

from modernbert.core.log import say
from modernbert.serve import routes
from modernbert.serve.config import Settings
from modernbert.serve.doors import Bodies, Keys
from modernbert.serve.errors import DESCRIBED, handle
from modernbert.serve.metrics import Metrics
from modernbert.serve.models import Models
from modernbert.serve.watch import Watch


def application(settings: Settings, models: Models) -> FastAPI:
    """All of `routes/`, each module of which has `router(models)`, and `OPEN`, its paths that need no key, if any."""

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        warming = asyncio.create_task(_warm_up(models))
        yield
        await warming
        await asyncio.to_thread(models.close)

    app = FastAPI(title="modernbert", docs_url=None, redoc_url=None, lifespan=life)
    app.state.metrics, app.state.models = Metrics(models.desk), models
    handle(app)
    modules = [import_module(f"{routes.__name__}.{found.name}") for found in iter_modules(routes.__path__)]
    for module in modules:
        app.include_router(module.router(models), responses=DESCRIBED)
    is_open = [path for module in modules for path in getattr(module, "OPEN", ())]
    # the last is outermost
    app.add_middleware(Bodies, limit=settings.payload_limit, seconds=settings.timeout, why_not=models.why_not)
    app.add_middleware(Keys, keys=settings.api_key, open_paths=is_open)
    app.add_middleware(Watch, metrics=app.state.metrics, seconds=settings.timeout)
    app.openapi()  # FastAPI makes routes when they are first asked for: now, and not under a client's eyes
    return app


async def _warm_up(models: Models) -> None:
    try:
        await asyncio.to_thread(models.warm_up)
    except Exception as failure:  # noqa: BLE001 (the server lives, and is not ready: whoever runs it is told why)
        say(f"warming up failed, hence this server will not be ready: {type(failure).__name__}: {failure}")
