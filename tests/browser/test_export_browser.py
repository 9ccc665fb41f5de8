"""The page of `modernbert export browser` in a headless Chromium that finds no other machine: the model computes there as in Python."""

import json
import random
import re
import shutil
import subprocess
import threading
import unicodedata
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain
from pathlib import Path

import numpy as np
import pytest

from modernbert.retrieval.embedder import Embedder
from modernbert.tasks.fill_mask import MaskFiller
from modernbert.text.tokenizer import Tokenizer
from support.texts import NASTY
from support.warm import warm_python
from support.watched import text_field, watched

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install playwright")
pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

CLOSE = 1e-3
LARGEST = 40e6

EXAMPLES = (
    "The president of the United [MASK] lives in the White [MASK].",
    "[MASK] naïve café\u0085 [MASK], 東京 🌫️",
    "def f(x):\n    return [MASK] * x\n\n\n",
    "bell " * 509 + "[MASK]",
)


class Folder(SimpleHTTPRequestHandler):
    """What a static server sends: files of a folder, some of them changed by a test."""

    protocol_version = "HTTP/1.1"
    extensions_map = SimpleHTTPRequestHandler.extensions_map | {".js": "text/javascript"}

    def __init__(self, *args, changed, is_alone, **settings):
        self.changed, self.is_alone = changed, is_alone
        super().__init__(*args, **settings)

    def do_GET(self):
        if self.path.strip("/") not in self.changed:
            return super().do_GET()
        if (content := self.changed[self.path.strip("/")]) is None:
            return self.send_error(404)
        self.send_response(200)
        self.send_header("Content-Type", self.guess_type(self.path))
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        return self.wfile.write(content)

    def end_headers(self):
        if self.is_alone:  # then threads may share memory; and such a server may also unpack what is packed
            self.send_header("Cross-Origin-Opener-Policy", "same-origin")
            self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
            if self.path.endswith(".gz"):
                self.send_header("Content-Encoding", "gzip")
        super().end_headers()

    def log_message(self, *_):
        pass


class serving:  # noqa: N801 (a verb in a with statement)
    """The folder behind an address."""

    def __init__(self, folder, *, changed=None, is_alone=False):
        handler = partial(Folder, directory=str(folder), changed=changed or {}, is_alone=is_alone)
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{self.server.server_port}/"

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> Path:
    if shutil.which("npm") is None:
        pytest.skip("needs npm, which fetches the page's runtime: install Node.js")
    folder = tmp_path_factory.mktemp("export") / "page"
    words = [warm_python(), "-m", "modernbert.cli.main", "export", "browser", "nano", str(folder)]
    done = subprocess.run(words, capture_output=True, text=True)
    if "npm cannot fetch" in done.stderr:
        pytest.skip(f"needs npm's registry, or its cache: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    readme = (folder / "README.md").read_text(encoding="utf-8")
    (folder / "example.html").write_text("<!doctype html><link rel=icon href=data:,>", encoding="utf-8")
    (folder / "example.js").write_text(re.search(r"```js\n(.*?)```", readme, re.DOTALL)[1], encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def page(browser, bundle) -> Iterator["playwright.Page"]:
    """Loaded once; then the network is gone."""
    with serving(bundle) as address, watched(browser, address) as opened:
        opened.locator(".took:not(:empty)").wait_for()
        opened.evaluate("import('/modernbert.js').then((module) => { window.bert = module; })")
        opened.evaluate("import('/worker/tokenizer.js').then((module) => { window.Tokenizer = module.Tokenizer; })")
        opened.evaluate("fetch('/model/tokenizer.json').then(async (file) => { window.content = await file.json(); })")
        opened.evaluate("import('/worker/model.js').then(() => {})")
        opened.context.set_offline(True)
        asked = []
        opened.on("request", lambda request: asked.append(request.url))
        yield opened
        assert asked == []


def test_vectors_are_pythons(page):
    texts = [*NASTY.values(), "bell " * 510, "[MASK] in [SEP] a text", "한국어 हिन्दी 𝔣𝔬𝔤"]
    texts = [text for text in texts if text.isascii() or not any(map(_is_new, text))]
    wanted = Embedder.from_pretrained("nano", dtype="float32").encode(texts, normalize_embeddings=True)
    found = page.evaluate("(texts) => bert.embed(texts).then((all) => all.map((each) => [...each]))", texts)
    np.testing.assert_allclose(np.array(found), wanted, atol=CLOSE / 10)
    cosine = page.evaluate("() => bert.similarity('a bell', 'the bells')")
    one, other = Embedder.from_pretrained("nano", dtype="float32").encode(
        ["a bell", "the bells"], normalize_embeddings=True
    )
    assert cosine == pytest.approx(float(one @ other), abs=CLOSE / 10)


def test_blanks_are_filled_as_by_python(page):
    filler = MaskFiller.from_pretrained("nano", dtype="float32")
    assert len(filler.tokenizer.encode(EXAMPLES[-1:]).ids[0]) == 512
    for text, wanted in zip(EXAMPLES, filler.fill(EXAMPLES), strict=True):
        found = page.evaluate("(text) => bert.fillMask(text)", text)
        assert [[each["tokenId"] for each in blank] for blank in found] == [
            [each.token_id for each in blank] for blank in wanted
        ]
        for one, other in zip(chain(*found), chain(*wanted), strict=True):
            assert one["token"] == other.token
            assert one["score"] == pytest.approx(other.score, abs=CLOSE)


def test_tokens_are_pythons_on_every_plane(page):
    draw = random.Random(0)
    planes = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    known = [each for each in planes if not _is_new(each)]
    assigned = [each for each in known if unicodedata.category(each) != "Cn"]
    pieces = [
        *" \t\n\u00a0\u2003\u200b\u0085\ufeff.,'sStvd1a2Béß中½\u0301\u0327😀",
        "[MASK]",
        " [MASK]",
        "[SEP]",
        "[unused7]",
        "'ll",
    ]
    texts = [
        *(text for text in NASTY.values() if not any(map(_is_new, text))),
        *("".join(draw.choices(pieces, k=draw.randint(1, 30))) for _ in range(400)),
        *("".join(draw.choices(assigned, k=draw.randint(1, 20))) for _ in range(400)),
        *("".join(known[start::4000]) for start in range(0, 4000, 40)),
        "__proto__ constructor toString",
    ]
    tokenizer = Tokenizer.load("nano")
    found = page.evaluate(
        """(texts) => {
          const said = { before: [], after: [] };
          const own = new Tokenizer(content, said);
          const size = Math.max(...content.added_tokens.map((each) => each.id)) + 1;
          return [texts.map((text) => own.encode(text, Infinity, false)), Array.from({ length: size }, (_, id) => own.token(id))];
        }""",
        texts,
    )
    wanted = tokenizer.encode(texts, special=False).ids
    assert [text for text, one, other in zip(texts, found[0], wanted, strict=True) if one != other] == []
    assert found[1] == [tokenizer.decode([each], special=True) for each in range(tokenizer.vocab_size)]


def _is_new(character):
    """Of scripts of Unicode 16, whose composed forms Python's tokenizers do not know, and of which no model has read."""
    code = ord(character)
    return 0x11380 <= code < 0x11400 or 0x16100 <= code < 0x16140 or 0x16D40 <= code < 0x16D80


def test_what_cannot_be_answered_is_said_in_a_sentence(page):
    told = """async (which) => {
      const runs = {
        none: () => bert.fillMask("no blank here"),
        long: () => bert.embed("bell ".repeat(9000)),
        role: () => bert.embed("a bell", { role: "poem" }),
        kind: () => bert.embed([7]),
      };
      try { await runs[which](); return null; } catch (problem) { return `${problem.name}: ${problem.message}`; }
    }"""
    assert page.evaluate(told, "none") == (
        "ModernBertError: the text has no [MASK]: write [MASK] where a word is wanted"
    )
    assert (
        page.evaluate(told, "long") == "ModernBertError: the text has 9003 tokens, expected 8192 or fewer: shorten it"
    )
    assert page.evaluate(told, "role") == "ModernBertError: role: found poem, expected text, query, document"
    assert page.evaluate(told, "kind") == "ModernBertError: found number, expected a text"


@pytest.mark.parametrize(
    ("webgpu", "wasm", "device", "note"),
    [
        (5, 9, "webgpu", None),
        (9, 5, "wasm", "WebGPU is there, and without it this model is quicker"),
        ("wrong", 9, "wasm", "WebGPU is there, and not used: wrong"),
        (5, "wrong", "webgpu", None),
        ("bad", "wrong", "wrong", None),
    ],
)
def test_of_two_ways_the_right_and_quick_one_is_kept_and_the_other_let_go(page, webgpu, wasm, device, note):
    found = page.evaluate(
        """async (ways) => {
          const { quickest } = await import("/worker/model.js");
          const released = [];
          const open = async (device) => ({
            device,
            check: async () => { if (typeof ways[device] === "string") throw new Error(ways[device]); },
            async time() { this.milliseconds = ways[device]; },
            graph: { release: async () => released.push(device) },
          });
          try {
            const best = await quickest(["webgpu", "wasm"], open, 1e-3);
            return [best.device, best.note ?? null, released];
          } catch (error) {
            return [error.message, null, released];
          }
        }""",
        {"webgpu": webgpu, "wasm": wasm},
    )
    both = isinstance(webgpu, int) and isinstance(wasm, int)
    assert found == [device, note, [{"webgpu": "wasm", "wasm": "webgpu"}[device]] if both else []]


def test_the_page_by_keyboard(page):
    page.locator('nav a[href="#fill"]').focus()
    page.keyboard.press("Enter")
    field = text_field(page, "Text")
    field.focus()
    page.keyboard.press("Control+a")
    page.keyboard.type("The Second World [MASK] ended in 1945.")
    page.keyboard.press("Enter")
    playwright.expect(page.locator(".guess").first).to_have_text("War")
    page.locator(".bar").first.focus()
    page.keyboard.press("Enter")
    assert field.input_value() == "The Second World War ended in 1945."
    page.locator('nav a[href="#alike"]').focus()
    page.keyboard.press("Enter")
    text_field(page, "Sentences, one a line").fill("a bell\nthe bells\nfog")
    playwright.expect(page.locator("table.heat td")).to_have_count(9)
    page.locator('nav a[href="#search"]').focus()
    page.keyboard.press("Enter")
    text_field(page, "Lines to search").fill("He baked bread.\nA thick fog kept all ships in the harbour.")
    text_field(page, "Question").fill("ships")
    playwright.expect(page.locator(".results li").first).to_contain_text("harbour")
    assert "Nothing you type leaves it." in page.locator("#serving").inner_text()


def test_nothing_is_wider_than_a_narrow_screen(page):
    page.set_viewport_size({"width": 390, "height": 844})
    page.emulate_media(color_scheme="dark")
    for name in ("fill", "alike", "search"):
        page.locator(f'nav a[href="#{name}"]').click()
        page.locator(".took:not(:empty)").wait_for()
        assert page.evaluate_handle("document.scrollingElement").evaluate("each => each.scrollWidth") == 390, name
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.emulate_media(color_scheme="light")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != dark


def test_the_readmes_example_runs_with_threads_and_behind_a_server_that_unpacks(browser, bundle):
    lines = []
    manifest = json.loads((bundle / "model" / "manifest.json").read_text(encoding="utf-8"))
    manifest["models"][1]["prompts"]["query"] = "to find: "
    with (
        serving(bundle, is_alone=True, changed={"model/manifest.json": json.dumps(manifest).encode()}) as address,
        watched(browser, address, path="example.html", complains=("%", "0.")) as opened,
    ):
        opened.on("console", lambda message: lines.append(message.text))
        opened.evaluate("import('/example.js')")
        loaded = opened.evaluate("import('/modernbert.js').then((module) => module.load())")
        asked, spelled = opened.evaluate(
            """async () => {
              const { embed } = await import("/modernbert.js");
              return [await embed("a bell", { role: "query" }), await embed("to find: a bell")].map((each) => [...each]);
            }"""
        )
    assert asked == spelled
    assert lines[0].endswith("%")
    assert re.fullmatch(r"256 0\.\d+", lines[-1])
    assert loaded["threads"] > 1
    assert {each["device"] for each in loaded["models"]} == {"wasm"}
    assert all(0 < each["difference"] < CLOSE for each in loaded["models"])


def _changed(bundle, path, before):
    return {path: before.encode() + (bundle / path).read_bytes()}


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("vector", "the self-check of nano failed: it differs from Python by 0.5, expected 0.001 at most"),
        ("tokens", "the self-check of nano failed: this browser cuts a text into other tokens than Python"),
        ("short", "model/fill-mask.onnx.gz is damaged: reload the page, or copy the folder again"),
        ("missing", "model/fill-mask.onnx.gz: the server answered 404: copy the whole folder to it"),
        ("wasm", "this browser has no WebAssembly, which the model is computed with"),
        ("memory", "this tab has too little memory for that (the model alone takes"),
    ],
    ids=lambda said: said if " " not in said else "",
)
def test_a_page_that_cannot_work_says_why(browser, bundle, fault, sentence):
    manifest = json.loads((bundle / "model" / "manifest.json").read_text(encoding="utf-8"))
    if fault == "vector":
        manifest["models"][0]["probe"]["values"][0] += 0.5
    if fault == "tokens":
        manifest["models"][0]["probe"]["ids"][3] += 1
    changed: dict[str, bytes | None] = {"model/manifest.json": json.dumps(manifest).encode()}
    if fault == "missing":
        changed["model/fill-mask.onnx.gz"] = None
    if fault == "short":
        changed["model/fill-mask.onnx.gz"] = (bundle / "model" / "fill-mask.onnx.gz").read_bytes()[:-5000]
    if fault == "wasm":
        changed |= _changed(bundle, "runtime/tokenizers.js", "delete globalThis.WebAssembly;")
    if fault == "memory":
        none = 'throw new RangeError("WebAssembly.Memory(): could not allocate memory");'
        changed |= _changed(
            bundle, "runtime/tokenizers.js", f"WebAssembly.Memory = class {{ constructor() {{ {none} }} }};"
        )
    with serving(bundle, changed=changed) as address, watched(browser, address, complains=("404",)) as opened:
        refused = opened.get_by_role("alert")
        refused.wait_for()
        said = refused.text_content()
    assert said.startswith(sentence)


def test_it_is_a_package_for_npm(bundle):
    done = subprocess.run(["npm", "pack", "--dry-run", "--json"], cwd=bundle, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (packed,) = json.loads(done.stdout)
    wanted = {path.relative_to(bundle).as_posix() for path in bundle.rglob("*") if path.is_file()}
    wanted -= {"example.js", "example.html"}
    assert {each["path"] for each in packed["files"]} == wanted
    assert packed["name"] == "modernbert-nano"
    assert packed["unpackedSize"] < LARGEST
