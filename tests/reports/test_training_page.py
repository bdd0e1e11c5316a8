"""The page of a training: every number that was logged is on it, joined over resumes, and nothing is fetched or run."""

import re

import pytest
from browser import needs_browser, visit
from hypothesis import given
from hypothesis import strategies as st
from pages import HOSTILE, require_self_contained

from videobert_cli.core.reports.curves import HEIGHT, WIDTH, chart, number, thinned, ticks
from videobert_cli.core.reports.training import TrainingFacts, training_page

FACTS = TrainingFacts(title="Pretraining of corpus", facts={"seed": "0"}, recipe="pretrain: {}\n", notes=[])


def records(num=20, *, rate=1000.0):
    lines = []
    for step in range(10, 10 * num + 1, 10):
        losses = {
            "loss": 5 - step / 100,
            "text_loss": 3.0,
            "text_accuracy": 0.5,
            "alignment_accuracy_same_video": 0.6,
        }
        lines.append({"step": step, "learning_rate": 1e-4, **losses})
        lines.append({"step": step, "speed": {"seconds": 2.0, "tokens_per_second": rate, "mfu": 0.31}})
        if step % 50 == 0:
            probe = {
                "zero_shot.verb.top1": 0.4,
                "zero_shot.verb.top1.language_prior": 0.2,
                "zero_shot.verb.top1.chance": 0.1,
                "zero_shot.verb.top1.unseen_pairs": 0.3,
            }
            held_out = {
                "loss": 6 - step / 100,
                "text_loss": 3.5,
                "alignment_accuracy_same_video": 0.55,
                "task_f1": 0.7,
            }
            lines.append({"step": step, "validation": {**held_out, **probe}})
    return lines


def titles(page):
    return [attributes["aria-label"] for attributes in page.having("svg", role="img")]


def test_every_number_has_its_curve_and_the_summary_its_sum():
    page = require_self_contained(training_page(records(), facts=FACTS))
    assert titles(page) == [
        "loss by step, training ends at 3, held out ends at 4",
        "text loss by step, training ends at 3, held out ends at 3.5",
        "text accuracy by step, training ends at 0.5",
        "alignment accuracy, held out dashed by step, same video ends at 0.6, same video ends at 0.55",
        "verb top1 by step, model ends at 0.4, language prior ends at 0.2, chance ends at 0.1",
        "learning rate by step, learning rate ends at 1e-4",
        "tokens a second by step, tokens a second ends at 1,000",
        "share of the device's peak by step, share of the device's peak ends at 0.31",
        "task f1 by step, held out ends at 0.7",
    ]
    for text in (
        "steps 200",
        "last training loss 3",
        "best held-out loss 4 at step 200",
        "time of the steps 40.0 s",
        "tokens 40k, 1,000 a second",
        "share of the peak 31%",
    ):
        assert text in page.text


def test_a_training_without_validations_or_speed_has_a_page_too():
    page = require_self_contained(training_page([{"step": 1, "loss": 2.5}], facts=FACTS))
    assert titles(page) == ["loss by step, training ends at 2.5"]
    assert "Validations" not in page.text


def test_what_people_named_is_text(tmp_path):
    facts = TrainingFacts(title=HOSTILE, facts={HOSTILE: HOSTILE}, recipe=HOSTILE, notes=[HOSTILE])
    lines = [{"step": 5, HOSTILE + "_loss": 1.0, "validation": 3}, {"step": 5, "validation": {HOSTILE: 1.0}}]
    page = require_self_contained(training_page(lines, facts=facts))
    assert HOSTILE.split(" ")[0] in page.text


@given(
    st.lists(
        st.tuples(st.integers(1, 10**7), st.floats(-1e12, 1e12, allow_nan=False)), min_size=1, max_size=30
    )
)
def test_a_curve_never_leaves_its_picture(points):
    drawn = chart("x", solid={"a": sorted(points)}, dashed={})
    places = [float(text) for text in re.findall(r"-?[\d.]+", drawn.curves[0].path)]
    assert all(-0.1 <= x <= WIDTH for x in places[0::2])
    assert all(-0.1 <= y <= HEIGHT for y in places[1::2])
    assert len(drawn.y_ticks) >= 2
    assert all(0 <= tick.at <= HEIGHT for tick in drawn.y_ticks)


@given(st.floats(-1e9, 1e9), st.floats(0, 1e9))
def test_ticks_hold_the_range_and_are_few(low, span):
    found = ticks(low, low + span)
    slack = 1e-6 * max(abs(low), span, 1e-9)
    assert found[0] <= low + slack
    assert found[-1] >= low + span - slack
    assert 2 <= len(found) <= 8


def test_a_long_training_is_thinned_and_keeps_its_end():
    points = [(step, float(step)) for step in range(1, 100_001)]
    found = thinned(points)
    assert len(found) <= 400
    assert found[-1] == (100_000, 100_000.0)
    assert all(place == value for place, value in found)
    assert number(found[0][0]).count(".") <= 1


@pytest.mark.slow
@needs_browser
@pytest.mark.parametrize("size", [(1200, 900), (500, 900)], ids=["wide", "narrow"])
def test_the_page_in_a_browser(tmp_path, size):
    script = """
    const boxes = Array.from(document.querySelectorAll(".chart svg[role=img]")).map((svg) => svg.getBoundingClientRect());
    report("drawn", boxes.every((box) => box.width > 200 && box.height > 80) && boxes.length);
    const inside = Array.from(document.querySelectorAll("path.curve")).every((path) => path.getTotalLength() > 0);
    report("curves", inside);
    report("coloured", new Set(Array.from(document.querySelectorAll(".chart > svg path")).map((path) => getComputedStyle(path).stroke)).size > 1);
    report("wide", document.documentElement.scrollWidth <= window.innerWidth);
    """
    found, console = visit(training_page(records(), facts=FACTS), tmp_path, script=script, size=size)
    assert console == []
    assert found == {"drawn": "9", "curves": "true", "coloured": "true", "wide": "true"}
