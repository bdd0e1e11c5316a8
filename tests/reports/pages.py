"""What tests ask of a page: what it would fetch or run, and the text that a reader sees."""

import re
from html.parser import HTMLParser

VOID = {"meta", "link", "img", "input", "br", "hr"}
HOSTILE = '<script>alert("x")</script> \'"><img src=x onerror=alert(1)> & {{ 7 * 7 }}'


class Page(HTMLParser):
    """A page taken apart: elements with their attributes, text, and tags that do not match."""

    def __init__(self, html):
        super().__init__()
        self.elements = []
        self.texts = []
        self.mismatched = []
        self._open = []
        self.feed(html)
        self.close()
        self.mismatched += self._open

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        if self._open and self._open[-1] == tag:
            self._open.pop()
        else:
            self.mismatched.append(tag)

    def handle_data(self, data):
        if not self._open or self._open[-1] not in {"script", "style"}:
            self.texts.append(data)

    @property
    def text(self):
        return re.sub(r"\s+", " ", " ".join(self.texts))

    def having(self, tag, **wanted):
        """The attributes of all elements of a tag that have these values."""
        return [
            attributes
            for name, attributes in self.elements
            if name == tag and all(attributes.get(key) == value for key, value in wanted.items())
        ]

    def classed(self, name):
        """The attributes of all elements of a class."""
        return [attrs for _, attrs in self.elements if name in (attrs.get("class") or "").split()]


def require_self_contained(html):
    """Whole, and nothing is fetched from anywhere, run from a text, or left unescaped."""
    page = Page(html)
    assert page.mismatched == []
    for tag, attributes in page.elements:
        for name, value in attributes.items():
            assert not name.startswith("on"), (tag, name, value)
            if name in {"src", "href", "srcset", "action", "data", "poster"}:
                assert (value or "").startswith(("data:", "#")), (tag, name, value)
    assert page.having("meta", **{"http-equiv": "Content-Security-Policy"})
    assert not re.search(r"@import|url\(", html)
    assert len(page.having("script")) <= 1
    return page
