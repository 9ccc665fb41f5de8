"""Where predictions go: lines for a person, JSON lines for a program, or a file that is whole or not there."""

import json
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path

from modernbert.core.errors import UserError

Row = dict[str, object]
_ROWS = 4096
"""Of one Parquet group."""


def check_out(out: Path | None) -> None:
    """Stop before the work.

    Raises:
        UserError: the ending is none that can be written.
    """
    if out is not None and out.suffix not in (".jsonl", ".parquet"):
        raise UserError(f"--out {out}: found {out.suffix or 'no ending'!r}, expected .jsonl or .parquet")


def put(
    rows: Iterable[Row], *, out: Path | None, as_json: bool, show: Callable[[Row], str], like: Row | None = None
) -> None:
    """Write rows as they come.

    Args:
        like: what lists hold that may be empty in the first rows; Parquet wants to know.
    """
    if out is None:
        for row in rows:
            print(json.dumps(row, ensure_ascii=False) if as_json else show(row), flush=True)
        return
    from modernbert.core.files import write_atomically
    from modernbert.core.log import say

    num_rows = 0
    if out.suffix == ".jsonl":
        with write_atomically(out, "w") as file:
            for num_rows, row in enumerate(rows, start=1):  # noqa: B007
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
    else:
        num_rows = _to_parquet(iter(rows), out, like or {})
    say(f"{num_rows:,} rows in {out}")


def _to_parquet(rows: Iterator[Row], out: Path, like: Row) -> int:
    from modernbert.core.errors import require
    from modernbert.core.files import write_atomically

    pa, pq = require("pyarrow", extra="data"), require("pyarrow.parquet", extra="data")
    num_rows, writer = 0, None
    with write_atomically(out) as file:
        while some := list(islice(rows, _ROWS)):
            if writer is None:
                sample = some[0] | {name: value for name, value in like.items() if name in some[0]}
                writer = pq.ParquetWriter(file, pa.Table.from_pylist([sample]).schema)
            writer.write_table(pa.Table.from_pylist(some, schema=writer.schema))
            num_rows += len(some)
        if writer is not None:
            writer.close()
    return num_rows
