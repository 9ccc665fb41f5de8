"""The server that people write: sentence-transformers behind FastAPI, one `encode` a request, or batches of what waits.

python benchmarks/rival_server.py FOLDER --port 8000 [--dtype bfloat16] [--batched]
"""

import argparse
import queue
import threading
import warnings
from collections.abc import Callable
from concurrent.futures import Future

import numpy as np
import torch
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

MOST = 32
"""Texts of a batch: sentence-transformers' own default."""

Encode = Callable[[list[str]], np.ndarray]


class Body(BaseModel):
    """As OpenAI's."""

    input: str | list[str]
    model: str = "model"


def application(encode: Encode) -> FastAPI:
    """One route, which FastAPI runs in a thread a request."""
    app = FastAPI()

    @app.post("/v1/embeddings")
    def embeddings(body: Body) -> dict:
        texts = [body.input] if isinstance(body.input, str) else body.input
        rows = [{"object": "embedding", "index": i, "embedding": row.tolist()} for i, row in enumerate(encode(texts))]
        return {"object": "list", "data": rows, "model": body.model}

    @app.get("/health")
    def health() -> None: ...

    return app


def batched(encode: Encode) -> Encode:
    """One thread encodes what waits, up to a batch at a time, and never waits for more."""
    waiting: queue.SimpleQueue[tuple[str, Future]] = queue.SimpleQueue()

    def work() -> None:
        while True:
            taken = [waiting.get()]
            while len(taken) < MOST and not waiting.empty():
                taken.append(waiting.get())
            for (_, future), row in zip(taken, encode([text for text, _ in taken]), strict=True):
                future.set_result(row)

    def ask(texts: list[str]) -> np.ndarray:
        futures = [Future() for _ in texts]
        for text, future in zip(texts, futures, strict=True):
            waiting.put((text, future))
        return np.stack([future.result() for future in futures])

    threading.Thread(target=work, daemon=True).start()
    return ask


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--batched", action="store_true")
    options = parser.parse_args()
    with warnings.catch_warnings(action="ignore"):
        from sentence_transformers import SentenceTransformer
    kwargs = {"attn_implementation": "sdpa", "dtype": getattr(torch, options.dtype)}
    model = SentenceTransformer(options.folder, device="cpu", model_kwargs=kwargs)

    def encode(texts: list[str]) -> np.ndarray:
        found = model.encode(texts, batch_size=MOST, normalize_embeddings=True, show_progress_bar=False)
        return np.asarray(found, dtype=np.float32)

    encode(["warm up"])
    uvicorn.run(application(batched(encode) if options.batched else encode), port=options.port)


if __name__ == "__main__":
    main()
