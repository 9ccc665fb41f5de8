"""`modernbert embed`: texts in, vectors out."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from modernbert.core.dtypes import DtypeName
from modernbert.core.packaged import DEFAULT


@dataclass(frozen=True, slots=True, kw_only=True)
class Embed:
    """One vector a text: JSON lines on stdout, or an array in a .npy file."""

    files: tyro.conf.Positional[tuple[Path, ...]] = ()
    """Texts, one a line, or .jsonl with a "text" each; stdin when there is none."""
    model: str = DEFAULT
    """A packaged model (see `modernbert models`), a folder or a Hub id of a ModernBERT checkpoint."""
    out: Path | None = None
    """A .npy or .jsonl file; absent: JSON lines on stdout."""
    pooling: Literal["cls", "mean"] | None = None
    """Absent: what the checkpoint says."""
    prompt_name: str | None = None
    """One of the model's prompts, put before every text, such as query or document."""
    prompt: str | None = None
    """The same in your own words."""
    truncate_dim: int | None = None
    """First dimensions that are kept, of models trained so (Matryoshka)."""
    precision: Literal["float32", "int8", "uint8", "binary", "ubinary"] = "float32"
    """Bits of the result: int8 divides the range of each dimension over all texts, binary keeps signs, eight to a byte."""
    normalize: bool = False
    """Scale every vector to length 1."""
    dtype: DtypeName = "auto"
    """Numbers to compute in; auto: bfloat16 where the CPU multiplies it, else float32, as for a few texts of a small model.
    int8: see model check-int8."""
    too_long: Literal["truncate", "refuse"] = "truncate"
    """What happens to a text longer than the model's limit: its end is left out and counted, or nothing is embedded."""

    def run(self) -> None:
        """Embed and write."""
        from modernbert.cli.texts import read_texts
        from modernbert.core.errors import UserError
        from modernbert.infer import few

        if self.prompt_name is not None and self.prompt is not None:
            raise UserError("found --prompt-name and --prompt, expected one of the two: drop one")
        if self.out is not None and self.out.suffix not in (".npy", ".jsonl"):
            raise UserError(f"--out {self.out}: found {self.out.suffix or 'no ending'!r}, expected .npy or .jsonl")
        texts = list(read_texts(self.files))
        whole = [(self.prompt or "") + text for text in texts]
        few.begin(whole)
        import numpy as np

        from modernbert.core.files import write_atomically
        from modernbert.retrieval.embedder import Embedder

        embedder = Embedder.for_texts(self.model, whole, pooling=self.pooling, too_long=self.too_long, dtype=self.dtype)
        vectors = embedder.encode(
            texts,
            prompt_name=self.prompt_name,
            prompt=self.prompt,
            truncate_dim=self.truncate_dim,
            precision=self.precision,
            normalize_embeddings=self.normalize,
            show_progress_bar=len(texts) > 200,
        )
        if self.out is not None and self.out.suffix == ".npy":
            with write_atomically(self.out) as file:
                np.save(file, vectors)
            return
        rows = (
            json.dumps({"text": text, "embedding": vector}, ensure_ascii=False)
            for text, vector in zip(texts, vectors.tolist(), strict=True)
        )
        if self.out is None:
            for row in rows:
                print(row)
            return
        with write_atomically(self.out, "w") as lines:
            lines.writelines(f"{row}\n" for row in rows)
