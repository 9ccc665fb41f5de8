"""Pages under test, whose console and requests are looked at."""


class watched:  # noqa: N801 (a verb in a with statement)
    """A page that may ask one server only, and has nothing to complain of."""

    def __init__(self, browser, address, *, path="", width=1280, complains=(), **options):
        self.context = browser.new_context(viewport={"width": width, "height": 844}, **options)
        self.address, self.path, self.complains = address, path, complains
        self.said: list[str] = []
        self.asked: list[str] = []

    def __enter__(self):
        page = self.context.new_page()
        page.set_default_timeout(20_000)
        page.on("console", lambda message: self.said.append(message.text))
        page.on("pageerror", lambda error: self.said.append(str(error)))
        page.on("request", lambda request: self.asked.append(request.url))
        page.goto(self.address + self.path)
        return page

    def __exit__(self, kind, *_):
        self.context.close()
        if kind is None:
            assert [text for text in self.said if not any(known in text for known in self.complains)] == []
            assert [url for url in self.asked if not url.startswith(self.address)] == []


def text_field(page, name):
    """By its label."""
    return page.get_by_role("textbox", name=name, exact=True)
