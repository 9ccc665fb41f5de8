"""Write the tables of flags and of routes into docs/serving.md, from the settings' and the routes' own words.

python docs/make_serving_table.py
"""

import ast
import inspect
from dataclasses import fields
from itertools import pairwise
from pathlib import Path

from tables import fill, rewrite, table

from modernbert.cli.serve import FROM_TEI
from modernbert.serve import config
from modernbert.serve.app import application
from modernbert.serve.config import Settings
from modernbert.serve.models import Models

PAGE = Path(__file__).with_name("serving.md")


def filled(page: str) -> str:
    """The page with its table made anew."""
    words = _words()
    rows = [["flag", "environment", "default", "what it is"]]
    for field in fields(Settings):
        environment = f"`{field.name.upper()}`" if field.name in FROM_TEI else ""
        default = "" if field.default in (None, (), False) else f"`{field.default}`"
        rows.append([f"`--{field.name.replace('_', '-')}`", environment, default, words[field.name]])
    return fill(page, {"flags": table(rows), "routes": table([["route", "gives"], *_routes()])})


def _routes() -> list[list[str]]:
    """Every route that a body is sent to, and its first sentence."""
    settings = Settings()
    paths = application(settings, Models({}, settings)).openapi()["paths"]
    said = {path: methods["post"]["description"] for path, methods in paths.items() if "post" in methods}
    return [[f"`{path}`", " ".join(said[path].split())] for path in sorted(said)]


def _words() -> dict[str, str]:
    """What stands below each field in the source."""
    tree = ast.parse(inspect.getsource(config))
    body = next(node.body for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Settings")
    found = {}
    for field, below in pairwise(body):
        if isinstance(field, ast.AnnAssign) and isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
            assert isinstance(field.target, ast.Name)
            found[field.target.id] = " ".join(str(below.value.value).split())
    return found


if __name__ == "__main__":
    rewrite(PAGE, filled)
