"""The pages opened in headless Chromium: no error in the console, nothing asked of the network, the controls work."""

import pytest
from browser import needs_browser, visit

from videobert_cli.core.reports.html import render_page

pytestmark = [pytest.mark.slow, needs_browser]

GALLERY = """
const words = () => Array.from(document.querySelectorAll(".word, tbody tr"));
const shown = () => words().filter((word) => word.offsetParent !== null);
const search = document.getElementById("search"), sort = document.getElementById("sort");
const type = (text) => { search.value = text; search.dispatchEvent(new Event("input")); };
report("controls", !document.getElementById("controls").hidden);
report("all", words().length);
report("at-first", shown().length);
const first = words()[0];
type(first.id);
report("by-id", shown().map((word) => word.id).join());
const branch = first.dataset.path.split("/")[0];
type(branch + "/");
report("by-path", shown().every((word) => word.dataset.path.startsWith(branch + "/")) && shown().length > 0);
report("path-count", document.getElementById("count").textContent);
type("no such word anywhere");
report("none", shown().length);
type("");
sort.value = "word"; sort.dispatchEvent(new Event("change"));
const numbers = words().map((word) => Number(word.dataset.word));
report("sorted", numbers.every((value, place) => place === 0 || numbers[place - 1] < value));
document.querySelector("rect[data-path]").dispatchEvent(new Event("click"));
report("by-click", search.value);
report("pictures", Array.from(document.images).every((image) => image.complete && image.naturalWidth > 0));
report("wide", document.documentElement.scrollWidth <= window.innerWidth);
"""
SEQUENCES = """
report("sections", document.querySelectorAll("section").length);
report("pictures", Array.from(document.images).every((image) => image.complete && image.naturalWidth > 0));
report("num-pictures", document.images.length);
report("wide", document.documentElement.scrollWidth <= window.innerWidth);
"""


@pytest.mark.parametrize("size", [(1200, 900), (500, 900)], ids=["wide", "narrow"])
def test_the_gallery_is_searched_sorted_and_has_all_its_pictures(finished_run, tmp_path, size):
    html = (finished_run.root / "quantize" / "gallery" / "index.html").read_text()
    found, console = visit(html, tmp_path, script=GALLERY, size=size)
    assert console == []
    num_words = int(found["all"])
    assert num_words > 8
    assert found == {
        "controls": "true",
        "all": str(num_words),
        "at-first": str(num_words),
        "by-id": found["by-id"],
        "by-path": "true",
        "path-count": found["path-count"],
        "none": "0",
        "sorted": "true",
        "by-click": "0/",
        "pictures": "true",
        "wide": "true",
    }
    assert found["by-id"].startswith("v")
    assert "," not in found["by-id"]
    assert found["path-count"].endswith(f" of {num_words} words")


@pytest.mark.parametrize("size", [(1200, 900), (500, 900)], ids=["wide", "narrow"])
def test_the_sequence_page_has_all_its_pictures(finished_run, tmp_path, invoke, monkeypatch, size):
    folder = finished_run.copy(tmp_path / "copy")
    monkeypatch.chdir(folder)
    assert invoke("pretrain", "tiny.yaml", "--show", "4").exit_code == 0
    html = (folder / "runs" / "tiny" / "sequences.html").read_text()
    found, console = visit(html, tmp_path, script=SEQUENCES, size=size)
    assert console == []
    assert (found["sections"], found["pictures"], found["wide"]) == ("4", "true", "true")
    assert int(found["num-pictures"]) > 0


def test_an_error_in_a_page_would_be_seen(tmp_path):
    html = render_page("sequences.html", title="t", sequences=[], pictures={}, examples={}, notes=[])
    found, console = visit(html, tmp_path, script="report('ran', true); nobody.knows();")
    assert found == {"ran": "true"}
    assert "nobody is not defined" in console[0]
    _, console = visit(html, tmp_path, script='new Image().src = "https://example.org/x.png";')
    assert "Content Security Policy" in console[0]
