"""What a test reads of an HTML page."""

from html.parser import HTMLParser


class Page(HTMLParser):
    """Tables by section, as rows of cells; other texts; attributes of all elements."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.section, self.cell = "", False
        self.tables: dict[str, list[list[str]]] = {}
        self.texts: dict[str, list[str]] = {}
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag == "section":
            self.section = dict(attrs)["id"] or ""
        if tag == "tr":
            self.tables.setdefault(self.section, []).append([])
        if tag in ("td", "th"):
            self.tables[self.section][-1].append("")
            self.cell = True

    def handle_endtag(self, tag: str) -> None:
        self.cell &= tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        if self.cell:
            self.tables[self.section][-1][-1] += data.strip("\n")
        elif data.strip():
            self.texts.setdefault(self.section, []).append(" ".join(data.split()))
