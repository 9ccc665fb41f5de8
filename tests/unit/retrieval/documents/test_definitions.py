import pytest

from modernbert.core.errors import MissingExtraError
from modernbert.retrieval.documents.definitions import _grammar, definitions
from modernbert.retrieval.documents.languages import QUERIES

SAMPLES = {
    "python": (
        "@cache\nasync def f(a: int = 1) -> str:\n    r'''Doc \\d.'''\n    def g(): ...\nclass A[T](B):\n    def m(self): pass\n",
        {"f": "function", "f.g": "function", "A": "class", "A.m": "method"},
    ),
    "javascript": (
        "export default class A extends B { #p() {} get y() { return 1 } h = () => 1 }\nconst f = async (a) => 1;\n"
        "function* g() {}\nmodule.exports.q = function () {};\nlet o = { m() {}, 'n': () => 1 };\n",
        {"A": "class", "A.#p": "method", "A.y": "method", "f": "function", "g": "function", "module.exports.q": "function",
         "m": "method", "n": "function"},
    ),
    "typescript": (
        "export interface I { a(): void }\ntype T = string;\nabstract class A<T> implements I {\n  @dec() private m(x: number): void {}\n"
        "  abstract k(): void;\n}\nenum E { A }\nnamespace N { export function f() {} }\ndeclare function z(): void;\n",
        {"I": "interface", "T": "type", "A": "class", "A.m": "method", "A.k": "method", "E": "enum", "N": "namespace",
         "N.f": "function", "z": "function"},
    ),
    "tsx": ("export const App = () => <div/>;\n", {"App": "function"}),
    "go": (
        "package p\n// F does.\nfunc F(a int) error { return nil }\nfunc (s *S[T]) M() {}\ntype S[T any] struct { a int }\n"
        "type (\n I interface { X() }\n J int\n)\n",
        {"F": "function", "S.M": "method", "S": "struct", "I": "interface", "J": "type"},
    ),
    "rust": (
        "/// Doc.\n#[derive(Debug)]\npub struct S { a: u8 }\nimpl S { /// m\n pub fn m(&self) {} }\nimpl<T> Tr for S<T> { fn k() {} }\n"
        "trait Tr { fn d() {} }\nmod x { fn f() {} }\nmacro_rules! mm { () => {} }\nenum E { A }\n",
        {"S": "impl", "S.m": "method", "S.k": "method", "Tr": "trait", "Tr.d": "method", "x": "namespace",
         "x.f": "function", "mm": "macro", "E": "enum"},
    ),
    "java": (
        "package a;\n/** Doc. */\n@Ann public class A<T> extends B { int x; A() {} public void m(int a) {} static class In { void q() {} } }\n"
        "enum E { X; void e() {} }\ninterface I { void k(); }\nrecord R(int a) {}\n",
        {"A": "class", "A.A": "method", "A.m": "method", "A.In": "class", "A.In.q": "method", "E": "enum", "E.e": "method",
         "I": "interface", "I.k": "method", "R": "class"},
    ),
    "c": (
        "#define M(x) x\n/* Doc. */\nstatic int *f(int a) { return 0; }\nstruct S { int a; };\ntypedef struct { int b; } T;\n"
        "enum E { A };\nint (*fp(int a))(void) { return 0; }\nint g(void);\n",
        {"M": "macro", "f": "function", "S": "struct", "T": "type", "E": "enum", "fp": "function"},
    ),
    "cpp": (
        "namespace n { template<class T> class A : B { ~A() {} int m() const { return 1; } T operator+(const T& x) { return x; } }; }\n"
        "int n::A::q(int) { return 1; }\ntemplate<typename T> T f(T a) { return a; }\nnamespace a::b { struct S { void k() {} }; }\n"
        "enum class E { A };\nusing X = int;\nint& r() { static int i; return i; }\n",
        {"n": "namespace", "n.A": "class", "n.A.~A": "method", "n.A.m": "method", "n.A.operator+": "method", "n.A.q": "function",
         "f": "function", "a.b": "namespace", "a.b.S": "struct", "a.b.S.k": "method", "E": "enum", "X": "type", "r": "function"},
    ),
    "csharp": (
        "namespace N { public class A { public void M() {} int P { get; set; } } }\n",
        {"N": "namespace", "N.A": "class", "N.A.M": "method", "N.A.P": "method"},
    ),
    "ruby": (
        "module M\n  # Doc.\n  class A < B\n    def m(a)\n    end\n    def self.k; end\n  end\nend\n",
        {"M": "namespace", "M.A": "class", "M.A.m": "method", "M.A.k": "method"},
    ),
    "php": ("<?php\nclass A { function m() {} }\nfunction f() {}\n", {"A": "class", "A.m": "method", "f": "function"}),
    "kotlin": ("class A { fun m() {} }\nfun f() = 1\nobject O {}\n", {"A": "class", "A.m": "method", "f": "function", "O": "class"}),
    "swift": (
        "class A { init() {}\n func m() {} }\nfunc f() {}\nprotocol P {}\n",
        {"A": "class", "A.init": "method", "A.m": "method", "f": "function", "P": "interface"},
    ),
    "scala": ("class A { def m = 1 }\ntrait T { def k(): Int }\n", {"A": "class", "A.m": "method", "T": "trait", "T.k": "method"}),
    "lua": ("local function g() end\nfunction a.b:c() end\n", {"g": "function", "a.b.c": "function"}),
    "bash": ("f() { echo; }\nfunction g { echo; }\n", {"f": "function", "g": "function"}),
}  # fmt: skip


@pytest.mark.parametrize("language", sorted(QUERIES))
def test_each_language_gives_its_definitions(language):
    text, expected = SAMPLES[language]
    assert {one.symbol: one.kind for one in definitions(text, language)} == expected


DOCS = {
    "python": ("@cache\ndef f(a: int = 1) -> str:\n    'Says.'\n", "def f(a: int = 1) -> str", 1),
    "go": ("package p\n\n// Says.\nfunc F(a int) error { return nil }\n", "func F(a int) error", 3),
    "rust": ("/// Says.\n#[inline]\npub fn f<T>(a: T) -> T { a }\n", "pub fn f<T>(a: T) -> T", 1),
    "java": (
        "class A {\n  /**\n   * Says.\n   */\n  int f(int a,\n        int b) { return 1; }\n}\n",
        "int f(int a, int b)",
        2,
    ),
    "javascript": ("/* Says. */\nexport function f(a, b = 1) {\n}\n", "function f(a, b = 1)", 1),
    "typescript": ("// Says.\nexport const f = (x: number): string => 'a';\n", "f = (x: number): string => 'a'", 1),
    "c": ("int x; // no\n\n// Says.\nstatic int\nf(int a)\n{\n}\n", "static int f(int a)", 3),
    "cpp": ("/// Says.\ntemplate<class T>\nT f(T a) { return a; }\n", "T f(T a)", 1),
    "kotlin": ("// Says.\nfun f(a: Int): Int { return 1 }\n", "fun f(a: Int): Int", 1),
}


@pytest.mark.parametrize("language", sorted(DOCS))
def test_a_definition_has_signature_comment_and_first_line(language):
    text, signature, first_line = DOCS[language]
    found = definitions(text, language)[-1]
    assert (found.signature, found.doc, found.first_line) == (signature, "Says.", first_line)


def test_a_remark_beside_code_belongs_to_the_code():
    (found,) = definitions("x = 1  # of x\ndef f():\n    pass\n", "python")
    assert found.first_line == 2


def test_a_definition_knows_what_it_is_in():
    found = definitions(SAMPLES["java"][0], "java")
    by_symbol = {one.symbol: one for one in found}
    assert found[by_symbol["A.In.q"].parent].symbol == "A.In"
    assert by_symbol["A"].parent is None
    assert by_symbol["A.In.q"].name == "q"


def test_a_signature_is_not_endless():
    (found,) = definitions(f"def f({', '.join(f'a{n}' for n in range(200))}): pass\n", "python")
    assert len(found.signature) == 300
    assert found.signature.endswith("…")


def test_deep_nesting_is_no_trouble():
    assert definitions("def f():\n    x = " + "(" * 5000 + "\n", "python") is not None
    text = "".join("  " * depth + f"class A{depth}:\n" for depth in range(300))
    assert len(definitions(text, "python")) == 300


def test_without_the_grammars_the_extra_is_named(monkeypatch):
    _grammar.cache_clear()
    monkeypatch.setitem(__import__("sys").modules, "semble_grammars", None)
    with pytest.raises(MissingExtraError, match=r"run  pip install 'modernbert\[documents\]'"):
        definitions("def f(): pass", "python")
    _grammar.cache_clear()


def test_where_grammars_cannot_be_loaded_code_is_cut_by_lines_and_that_is_said(monkeypatch, capsys):
    import semble_grammars

    from modernbert.core import log

    def refuse(_):
        raise semble_grammars.UnsupportedPlatformError("plan9")

    _grammar.cache_clear()
    monkeypatch.setattr(log, "_warned", set())
    monkeypatch.setattr(semble_grammars, "get_parser", refuse)
    assert definitions("def f(): pass", "python") == []
    assert "code is cut by lines, not by definitions: the grammars cannot be loaded (plan9)" in capsys.readouterr().err
    _grammar.cache_clear()
