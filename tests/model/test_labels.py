"""Heads of labels in a configuration: read as written, and refused where a file is not what it must be."""

import pytest

from videobert_cli.core.model.labels import LabelHead, read_label_heads
from videobert_cli.errors import ArtifactError

GOOD = {"name": "verb", "kind": "single", "classes": ["cut", "fry"]}


def test_heads_come_back_as_they_were_written():
    heads = (
        LabelHead(name="verb", kind="single", classes=("cut", "fry")),
        LabelHead(name="tools", kind="multi", classes=("lid", "pan"), separator=", "),
    )
    assert read_label_heads([head.to_dict() for head in heads]) == heads
    assert [head.num_targets for head in heads] == [1, 2]


def test_values_are_parted_trimmed_and_counted_once():
    tools = LabelHead(name="tools", kind="multi", classes=("lid", "pan"), separator=",")
    assert tools.values({"tools": "pan, lid,pan, ,whisk"}) == ("pan", "lid", "whisk")
    assert tools.numbers({"tools": "pan, whisk"}) == [1]
    assert tools.values({}) == ()
    verb = LabelHead(name="verb", kind="single", classes=("cut, fry",), separator=",")
    assert verb.values({"verb": " cut, fry "}) == ("cut, fry",)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ("verb", "is not a list"),
        (7, "is not a list"),
        ([7], "without name, kind and classes"),
        ([{"name": "verb"}], "without name, kind and classes"),
        ([{**GOOD, "name": 3}], "no head"),
        ([{**GOOD, "kind": "double"}], "no head"),
        ([{**GOOD, "classes": "cut"}], "no head"),
        ([{**GOOD, "classes": ["cut", 3]}], "no head"),
        ([{**GOOD, "classes": []}], "has no classes"),
        ([{**GOOD, "classes": ["cut", "cut"]}], "one of them twice"),
        ([{**GOOD, "separator": ""}], "no text as separator"),
        ([GOOD, GOOD], "two heads of one name"),
    ],
)
def test_what_is_no_head_is_refused_in_words(values, message):
    with pytest.raises(ArtifactError, match=message):
        read_label_heads(values)
