"""The model card: a table of facts that no fact can break."""

import yaml

from videobert_cli.core.reports.model_card import model_card


def card(**facts):
    return model_card(
        title="VideoBERT pretrained on kitchen",
        task="video-classification",
        command="finetune",
        version="1.2.3",
        facts=facts,
    )


def rows(text):
    return [line for line in text.splitlines() if line.startswith("|")]


def test_it_says_what_it_is_and_from_what():
    text = card(num_steps=800, num_words=1728)
    assert "# VideoBERT pretrained on kitchen" in text
    assert "`videobert finetune` (videobert-cli 1.2.3)" in text
    assert rows(text) == ["| made from | value |", "|---|---|", "| num_steps | 800 |", "| num_words | 1728 |"]
    assert text.endswith("\n")


def test_its_head_is_yaml_that_the_hub_reads():
    head = card().split("---\n")[1]
    assert yaml.safe_load(head) == {
        "library_name": "videobert-cli",
        "tags": ["videobert", "video", "video-classification"],
    }


def test_a_fact_cannot_break_out_of_its_cell():
    found = rows(card(name="a | b\nc", markup="<script>alert(1)</script>", **{"a|b": 1}))[2:]
    assert found == [
        "| name | a \\| b c |",
        "| markup | &lt;script&gt;alert(1)&lt;/script&gt; |",
        "| a\\|b | 1 |",
    ]


def test_without_facts_there_is_an_empty_table():
    assert rows(card()) == ["| made from | value |", "|---|---|"]
