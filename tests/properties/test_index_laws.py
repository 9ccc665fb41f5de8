"""Any life of an index gives the same answers in every store, and a filter means the same in all of them."""

import json
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from modernbert.retrieval.index.bm25 import document_weights
from modernbert.retrieval.index.edge import EdgeStore
from modernbert.retrieval.index.exact import ExactStore
from modernbert.retrieval.index.filters import And, AnyOf, Equal, Glob, Not, Or, Prefix, Range, matches
from modernbert.retrieval.index.index import Index
from modernbert.retrieval.index.manifest import Settings
from modernbert.retrieval.index.server import Server, ServerStore
from modernbert.retrieval.index.store import Point
from support.records import SETTINGS, STORES, answers, assert_same, query, record, store

_FEW = st.lists(st.integers(0, 6), min_size=1, max_size=4, unique=True)
_STEPS = st.one_of(
    st.tuples(st.just("add"), _FEW, st.integers(0, 2)),
    st.tuples(st.just("update"), _FEW, st.integers(0, 2)),
    st.tuples(st.just("delete"), _FEW),
    st.tuples(st.just("delete_where"), st.sampled_from(["path=src/1*", "tags=even", "number>4"])),
    st.tuples(st.sampled_from(["flush", "reopen", "kill", "merge"])),
)


@pytest.mark.parametrize("tried", [name for name in STORES if name != "exact"])
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=st.lists(_STEPS, max_size=8), asked=st.integers(0, 5))
@example(steps=[("add", [0, 1, 2, 3], 0), ("flush",), ("add", [1, 2, 5], 1), ("delete", [3]), ("kill",)], asked=0)
def test_any_life_gives_the_same_answers_as_the_exact_store(tried, steps, asked):
    with TemporaryDirectory() as folder:
        homes = {name: Path(folder) / name for name in ("exact", tried)}
        open_ = {name: Index.open(home / "i", SETTINGS, store=store(name, home)) for name, home in homes.items()}
        for step in steps:
            results = [_take(step, name, homes[name], open_) for name in open_]
            assert results[0] == results[1]
            assert list(open_["exact"].ids()) == list(open_[tried].ids())
        exact, other = (answers(index, query(asked), top_k=3) for index in open_.values())
        for index in open_.values():
            index.close()
        assert_same(other, exact)


def _take(step, name, home, open_):
    """One step in one index; to be killed is to come back with the disk as it was, and the store wherever it got to."""
    index = open_[name]
    what, *rest = step
    if what == "add":
        return index.add([record(number, rest[1]) for number in rest[0]])
    if what == "update":
        return index.update([record(number, rest[1]) for number in rest[0] if f"r{number}" in index])
    if what == "delete":
        return index.delete([f"r{number}" for number in rest[0]])
    if what == "delete_where":
        return index.delete_where(rest[0])
    if what == "flush":
        return index.flush()
    if what == "merge":
        return index.rebuild()
    if what == "reopen":
        index.close()
    else:
        kept = home.with_name(f"{name}-killed")
        shutil.copytree(home, kept)
        index.close()
        shutil.rmtree(home)
        kept.rename(home)
    open_[name] = Index.open(home / "i", store=store(name, home))
    return None


_TEXTS = st.one_of(
    st.sampled_from(["", "a", "src/a.py", "src/b", "1", "true", "a,b", "x" * 300, "x" * 301]),
    st.text("ab/*", max_size=4),
)
_SCALARS = st.one_of(
    _TEXTS, st.booleans(), st.integers(-2, 2), st.sampled_from([10**400, 2**53, 2**53 + 1, 0.5, 1.0, -0.0, 1e300])
)
_FIELDS = st.sampled_from(["a", "b", "a.b", "ä =\x1f"])
_VALUES = st.recursive(
    st.one_of(_SCALARS, st.none()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(["b", "c"]), inner, max_size=2)
    ),
    max_leaves=4,
)
_BOUND = st.one_of(st.none(), st.integers(-2, 2), st.floats(-1e300, 1e300))
_LEAVES = st.one_of(
    st.builds(Equal, _FIELDS, _SCALARS),
    st.builds(AnyOf, _FIELDS, st.lists(_SCALARS, min_size=1, max_size=3).map(tuple)),
    st.builds(Range, _FIELDS, st.integers(-2, 2), _BOUND, _BOUND, _BOUND),
    st.builds(Prefix, _FIELDS, _TEXTS),
    st.builds(Glob, _FIELDS, st.one_of(_TEXTS, st.sampled_from(["*", "src/*", "*.py", "?", "[ab]", "x*"]))),
)
_FILTERS = st.recursive(
    _LEAVES,
    lambda inner: st.one_of(
        st.builds(And, st.lists(inner, min_size=1, max_size=2).map(tuple)),
        st.builds(Or, st.lists(inner, min_size=1, max_size=2).map(tuple)),
        st.builds(Not, inner),
    ),
    max_leaves=4,
)


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    small = Settings(model="m", model_hash="0", vector_size=2)
    made = [
        ExactStore(),
        EdgeStore(tmp_path_factory.mktemp("edge"), small),
        ServerStore(Server(url=":memory:", collection="laws"), small),
    ]
    yield made
    for one in made:
        one.close()


@settings(max_examples=50, deadline=None)
@given(
    rows=st.lists(st.dictionaries(_FIELDS, _VALUES, max_size=2), min_size=1, max_size=5),
    where=_FILTERS,
    limit=st.integers(1, 3),
)
def test_a_filter_means_the_same_in_every_store(stores, rows, where, limit):
    points = [
        Point(f"p{i}", "", json.dumps(row), np.ones(2, np.float32), None, document_weights({7: 1}, 1.0))
        for i, row in enumerate(rows)
    ]
    expected = [f"p{i}" for i, row in enumerate(rows) if matches(where, json.loads(json.dumps(row)))]
    for one in stores:
        one.remove([f"p{i}" for i in range(5)])
        one.put(points)
        assert one.matching(where) == expected, type(one).__name__
        found = one.dense(np.ones(2, np.float32), limit, where, exact=False)
        assert found == [(id_, 2.0) for id_ in expected[:limit]], type(one).__name__
        assert [id_ for id_, _ in one.lexical({7: 1.0}, limit, where)] == expected[:limit]
