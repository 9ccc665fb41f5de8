"""How fast the workers of a finished job were."""

from modernbert.bulk.output import Output
from modernbert.core.errors import UserError


def speed_of(folder: str) -> float:
    """Tokens a second of one worker, reading and writing included, over all finished shards.

    Raises:
        UserError: nothing is finished there.
    """
    done = Output(folder).sidecars()
    tokens, seconds = sum(each.tokens for each in done), sum(each.seconds for each in done)
    if not tokens or not seconds:
        raise UserError(f"{folder}: found no finished shard, expected a folder that modernbert annotate wrote")
    return tokens / seconds
