"""Whatever happens to files, an index that is refreshed holds what a new one would."""

import os
import shutil

from hypothesis import given, settings
from hypothesis import strategies as st

from modernbert.retrieval.documents.chunk import Chunking, chunk
from modernbert.retrieval.documents.find import find_files
from modernbert.retrieval.documents.read import read
from modernbert.retrieval.documents.refresh import Refresh
from modernbert.retrieval.documents.snapshot import Snapshot

law = settings(deadline=None, max_examples=25)
names = st.sampled_from(["a.md", "b.py", "sub/c.md", "sub/d.txt"])
contents = st.lists(
    st.sampled_from(["def f():\n    pass\n", "# Head\n", "Words here.\n\n", "class A:\n    x = 1\n"]), max_size=6
)
edits = st.lists(
    st.one_of(
        st.tuples(st.just("write"), names, contents.map("".join)),
        st.tuples(st.just("same time"), names, contents.map("".join)),
        st.tuples(st.just("delete"), names, st.just("")),
        st.tuples(st.just("move"), names, names),
        st.tuples(st.just("touch"), names, st.just("")),
        st.tuples(st.just("refresh"), st.just(""), st.just("")),
        st.tuples(st.just("crash"), st.just(""), st.just("")),
    ),
    max_size=12,
)


def edit(root, kind, name, extra):
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "write":
        path.write_text(extra)
    elif kind == "same time" and path.exists():
        when = os.stat(path).st_mtime_ns
        path.write_text(extra)
        os.utime(path, ns=(when, when))
    elif kind == "delete":
        path.unlink(missing_ok=True)
    elif kind == "move" and path.exists():
        (root / extra).parent.mkdir(exist_ok=True)
        os.replace(path, root / extra)
    elif kind == "touch" and path.exists():
        os.utime(path)


@law
@given(edits, st.integers(0, 2))
def test_refreshing_gives_what_a_new_index_would_hold(tmp_path_factory, done, when):
    """Also after crashes in the middle of a step, with the snapshot as it was saved last."""
    folder = tmp_path_factory.mktemp("laws")
    root, saved = folder / "root", folder / "snapshot.json"
    root.mkdir()
    chunking, snapshot, index = Chunking(size=40), Snapshot(), {}
    for kind, name, extra in [*done, ("refresh", "", "")]:
        if kind not in ("refresh", "crash"):
            edit(root, kind, name, extra)
            continue
        refresh = Refresh(snapshot, find_files([root], code=True), chunking)
        for place, step in enumerate(refresh):
            refresh.begin(step)
            snapshot.save(saved)
            is_crash = kind == "crash" and place == when
            for id_ in step.gone[: len(step.gone) // 2 if is_crash else None]:
                index.pop(id_, None)
            if is_crash:
                index |= {one.id: one for one in step.chunks[::2]}
                break
            assert all(index[one.id].with_header == one.with_header for one in step.chunks if one.id not in step.new)
            index |= {one.id: one for one in step.chunks}
            refresh.done(step)
        if kind == "refresh":
            snapshot.save(saved)
        snapshot = Snapshot.load(saved)
    fresh = {
        one.id: one
        for file in find_files([root], code=True).files
        for document in read(file).documents
        for one in chunk(document, chunking)
    }
    assert index == fresh
    shutil.rmtree(folder)
