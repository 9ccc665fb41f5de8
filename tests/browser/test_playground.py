"""The page in a headless Chromium: every panel with real input, by keyboard, on narrow screens, without a word on the console."""

import re
from collections.abc import Iterator
from contextlib import suppress

import httpx
import pytest

from support.served import live
from support.shelf import shelf
from support.watched import text_field, watched

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install playwright")

MODELS = ("words", "sentiment", "entities", "late")
PANELS = ("fill", "sentiment", "entities", "alike", "match", "search", "inside")


@pytest.fixture(scope="module")
def address(tmp_path_factory) -> Iterator[str]:
    home = shelf(tmp_path_factory.mktemp("playground") / "home")
    with live(*MODELS, index=(f"notes={home / 'notes'}",)) as url:
        yield url


@pytest.fixture
def page(browser, address) -> Iterator["playwright.Page"]:
    """That may ask this server only, and has nothing to complain of."""
    with watched(browser, address, width=1280) as opened:
        yield opened


def open_panel(page, name):
    page.locator(f'nav a[href="#{name}"]').click()
    page.locator(".took:not(:empty)").wait_for()


def test_the_blank_is_filled_as_the_route_says_and_a_guess_can_be_put_into_the_text(page, address):
    open_panel(page, "fill")
    text_field(page, "Text").fill("the bell of [MASK] and [MASK]")
    playwright.expect(page.locator(".reading")).to_contain_text("the bell of")
    found = httpx.post(
        f"{address}/fill-mask", json={"inputs": "the bell of [MASK] and [MASK]", "parameters": {"top_k": 8}}
    ).json()
    for number, guesses in enumerate(found, start=1):
        shown = page.get_by_label(f"Guesses for blank {number}").locator(".bar-name").all_inner_texts()
        assert shown == [guess["token_str"].strip() or "␣" for guess in guesses]
    page.get_by_label("Guesses for blank 1").locator(".bar").first.click()
    page.get_by_label("Guesses for blank 1").wait_for()
    assert text_field(page, "Text").input_value() == found[0][0]["sequence"]
    page.get_by_role("button", name="Add a blank").click()
    assert text_field(page, "Text").input_value().count("[MASK]") == 2


def test_sentiment_shows_labels_and_weighs_every_word(page):
    open_panel(page, "sentiment")
    text_field(page, "Text").fill("𝔣𝔬𝔤 lay on the 🌫️ harbour")
    playwright.expect(page.locator(".reading")).to_have_text("𝔣𝔬𝔤 lay on the 🌫️ harbour", timeout=60_000)
    page.locator(".reading .word").nth(5).wait_for(timeout=60_000)
    assert page.locator(".reading .word").first.inner_text() == "𝔣𝔬𝔤"
    labels = page.get_by_label("Labels").locator(".bar")
    assert labels.count() == 3
    labels.nth(2).click()
    playwright.expect(labels.nth(2)).to_have_attribute("aria-pressed", "true")


def test_entities_stand_where_the_route_says(page, address):
    open_panel(page, "entities")
    text = "𝔣𝔬𝔤 and the captain counted seven lamps"
    text_field(page, "Text").fill(text)
    page.locator(".out", has_text="𝔣𝔬𝔤").wait_for()
    found = httpx.post(f"{address}/tag", json={"inputs": text}).json()
    marks = page.locator("mark.entity").evaluate_all("all => all.map(each => each.firstChild.textContent)")
    assert marks == [each["word"] for each in found]
    assert len(marks) > 0


def test_similarity_is_a_square_of_cosines(page, address):
    open_panel(page, "alike")
    lines = ["a bell", "the bells", "fog"]
    text_field(page, "Sentences, one a line").fill("\n".join(lines))
    page.locator("table.heat tr:nth-child(4)").wait_for()
    playwright.expect(page.locator("table.heat td")).to_have_count(9)
    vectors = httpx.post(f"{address}/embed", json={"inputs": lines}).json()
    cosine = sum(a * b for a, b in zip(vectors[0], vectors[2], strict=True))
    assert float(page.locator("table.heat td").nth(2).inner_text()) == pytest.approx(cosine, abs=0.0051)


def test_each_token_of_the_question_points_at_its_match(page, address):
    open_panel(page, "match")
    text_field(page, "Question").fill("who heard")
    text_field(page, "Passage").fill("Nobody heard the bell.")
    found = httpx.post(
        f"{address}/late/match", json={"query": "who heard", "documents": ["Nobody heard the bell."]}
    ).json()
    chips = page.locator(".chip")
    playwright.expect(chips).to_have_count(len(found["query"]))
    playwright.expect(page.locator(".out")).to_contain_text("Nobody")
    number = next(n for n, match in enumerate(found["documents"][0]["matches"]) if match["text"])
    chips.nth(number).focus()
    assert page.locator(".word.found").inner_text() == found["documents"][0]["matches"][number]["text"]


def test_search_asks_the_index_and_lines_that_were_pasted(page):
    open_panel(page, "search")
    text_field(page, "Question").fill("who heard the bell")
    playwright.expect(page.locator(".passage").first).to_contain_text("notes/bell.txt:1")
    playwright.expect(page.locator(".passage mark")).not_to_have_count(0)
    page.get_by_label("In", exact=True).select_option("")
    text_field(page, "Lines to search").fill("a bell\nfog on the harbour")
    playwright.expect(page.locator(".results li")).to_have_count(2)


def test_a_layer_and_a_head_can_be_looked_into_and_the_last_batch_is_shown(page):
    open_panel(page, "inside")
    tokens = page.locator(".token")
    tokens.nth(3).click()
    assert tokens.nth(3).get_attribute("aria-pressed") == "true"
    page.keyboard.press("ArrowRight")
    assert tokens.nth(4).get_attribute("aria-pressed") == "true"
    page.get_by_role("radio", name="Layer 1, global").press("ArrowRight")
    playwright.expect(page.locator(".layers-said")).to_have_text("layer 2 of 4 sees 64 tokens to either side")
    page.get_by_label("Head").select_option("1")
    playwright.expect(tokens.nth(4)).to_have_attribute("aria-pressed", "true")
    crowd = page.locator(".batch", has_text=re.compile(r"from ([2-9]|\d\d) requests"))
    for _ in range(10):  # the last batch of a crowd may be that of a straggler
        page.get_by_role("button", name="Send 24 requests at once").click()
        with suppress(playwright.TimeoutError):
            crowd.wait_for(timeout=3000)
            break
    assert page.locator(".stream span").count() > 1
    assert "tokens/s" in page.locator(".batch").inner_text()


def test_everything_can_be_done_by_keyboard(page):
    page.locator(".took:not(:empty)").wait_for()
    page.keyboard.press("Tab")
    assert page.evaluate_handle("document.activeElement").as_element().inner_text() == "Skip to the panel"
    page.keyboard.press("Enter")
    playwright.expect(page.locator("#panel")).to_be_focused()
    # a hash is the panel's; a change of it is heard of later, and would move the focus once more
    assert "#" not in page.url
    page.keyboard.press("Tab")
    field = text_field(page, "Text")
    playwright.expect(field).to_be_focused()
    page.keyboard.press("Control+a")
    page.keyboard.type("a [MASK]")
    page.keyboard.press("Enter")
    playwright.expect(page.locator(".reading")).to_have_text(re.compile(r"^a ?\S+$"))
    assert field.input_value() == "a [MASK]"
    for _ in range(3):
        page.keyboard.press("Tab")
    playwright.expect(page.locator(".bar:focus-visible")).to_have_css("outline-style", "solid")
    field.evaluate("each => { each.value = 'two [MASK]'; each.dispatchEvent(new Event('input')); }")
    playwright.expect(page.locator(".reading")).to_have_text(re.compile(r"^two ?\S+$"))
    playwright.expect(page.locator(".bar").nth(1)).to_be_focused()  # the bars are new


def test_a_refusal_is_shown_as_the_server_says_it(browser, address):
    with watched(browser, address, width=1280, complains=("status of 413",)) as page:
        open_panel(page, "inside")
        text_field(page, "Text").fill("bell " * 300)
        playwright.expect(page.get_by_role("alert").filter(has_text="expected 256 or fewer")).to_be_visible()


def test_nothing_is_wider_than_a_narrow_screen(browser, address, tmp_path):
    with watched(browser, address, width=390, color_scheme="dark") as page:
        for name in PANELS:
            open_panel(page, name)
            page.screenshot(path=tmp_path / f"{name}.png", full_page=True)
            assert page.evaluate_handle("document.scrollingElement").evaluate("each => each.scrollWidth") == 390, name


def test_a_panel_that_no_model_can_fill_says_what_to_start_and_a_key_is_asked_for_where_one_is_wanted(browser):
    with (
        live("sentiment", api_key=("s3cret",)) as alone,
        watched(browser, alone, width=1280, complains=("status of 401",)) as page,
    ):
        key, door = page.get_by_label("API key"), page.get_by_role("dialog")
        playwright.expect(key).to_be_focused()
        key.fill("guess")
        key.press("Enter")
        playwright.expect(door).to_contain_text("This key does not open it.")
        key.fill("s3cret")
        key.press("Enter")
        page.locator(".reading").wait_for()  # of the first panel that it can fill
        playwright.expect(door).to_be_hidden()
        page.locator('nav a[href="#entities"]').click()
        page.locator(".missing").wait_for()
        assert "Start the server with a token classifier" in page.locator(".missing").inner_text()
        page.reload()  # the tab knows the key
        open_panel(page, "sentiment")
        assert page.evaluate_handle("sessionStorage").evaluate("each => each.getItem('modernbert-key')") == "s3cret"
        assert page.evaluate_handle("localStorage").evaluate("each => each.length") == 0
