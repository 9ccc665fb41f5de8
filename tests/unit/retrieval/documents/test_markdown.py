from modernbert.retrieval.documents.markdown import read_markdown


def headings(text):
    return [section.headings for section in read_markdown(text)[1]]


def test_sections_begin_at_their_headings():
    text = "Before.\n\n# One\n\nx\n\nTwo\n---\n\ny\n"
    title, sections = read_markdown(text)
    assert title == "One"
    assert [text[section.start :].split("\n")[0] for section in sections] == ["Before.", "# One", "Two"]
    assert sections[-1].headings == ("One", "Two")


def test_headings_in_quotes_lists_and_code_part_nothing():
    assert headings("# A\n\n> # quoted\n\n- # listed\n\n```\n# code\n```\n\n    # indented\n") == [("A",)]


def test_headings_are_plain_words():
    assert headings("# A `b` **c** [d](e) #\n") == [("A b c d",)]


def test_front_matter_gives_the_title_and_no_heading():
    text = "---\ntitle: Mine\n---\n\n# One\n"
    title, sections = read_markdown(text)
    assert title == "Mine"
    assert [section.start for section in sections] == [0, text.index("# One")]
    assert read_markdown("---\n: [\n---\n# One\n")[0] == "One"


def test_several_first_headings_are_no_title():
    assert read_markdown("# One\n\n# Two\n")[0] == ""
