from modernbert.retrieval.documents.html import read_html

WORDS = "Many words stand here. " * 20


def test_the_main_part_is_read_without_what_stands_around_it():
    page = read_html(
        f"<html lang=de><title> A  title </title><header>Top</header><main><p>{WORDS}</main><footer>End</footer>"
    )
    assert page.title == "A title"
    assert page.text == WORDS.strip() + "\n"
    assert page.metadata == {"lang": "de"}


def test_a_main_part_with_hardly_a_word_is_not_believed():
    assert "Many words" in read_html(f"<main>Loading</main><div>{WORDS}</div>").text


def test_what_is_not_shown_is_not_read():
    page = read_html(
        "<p>Yes<script>no()</script><style>no</style><span hidden>no</span><nav>no</nav><form>no</form></p>"
    )
    assert page.text == "Yes\n"


def test_headings_give_sections_with_their_place():
    page = read_html("<h1>A</h1><p>one</p><h2>B <i>c</i></h2><p>two</p><h1>D</h1>")
    assert [(one.headings, page.text[one.start :].split("\n")[0]) for one in page.sections] == [
        (("A",), "A"), (("A", "B c"), "B c"), (("D",), "D"),
    ]  # fmt: skip


def test_blocks_lists_tables_and_code_keep_their_shape():
    page = read_html(
        "<p>a\n b<br>c</p><ul><li>x<li>y</ul><table><tr><td>1<td>2<tr><td>3</table><pre>if x:\n    y</pre>"
    )
    assert page.text == "a b\nc\n\n- x\n- y\n\n1 | 2\n3\n\nif x:\n    y\n"


def test_deep_and_broken_pages_are_read():
    assert read_html("<div>" * 3000 + "deep").text == "deep\n"
    assert read_html("<p>one<p>two</div></b><table><p>three").text.split() == ["one", "two", "three"]
    assert read_html("").text == ""
