"""What gets one answer: segments as they are, videos with all their labelled segments and all their classes."""

import numpy as np
import pytest

from videobert_cli.core.model.labels import LabelHead
from videobert_cli.core.sequences.labelled import LabelledWords
from videobert_cli.core.training.finetune import classified, labelled_parts
from videobert_cli.core.training.finetune_options import FinetuneOptions
from videobert_cli.core.training.units import labelled_units
from videobert_cli.errors import InputError


def segment(video, words, *, start=0.0, split="train", **labels):
    return LabelledWords(
        video_id=video,
        split=split,
        start_seconds=start,
        end_seconds=start + 5,
        words_T=np.array(words),
        labels=labels,
    )


SEGMENTS = [
    segment("a", [1, 2, 3], dish="soup", tools="pan|lid"),
    segment("b", [7], dish="cake", tools="whisk"),
    segment("a", [4, 5], start=5.0, dish="soup", tools="lid|knife"),
    segment("a", [6], start=10.0, dish="", tools=""),
    segment("c", [8, 9], split="validation", dish="bread", tools="pan"),
]


def test_a_video_has_the_words_of_its_labelled_segments_and_each_class_once() -> None:
    units = labelled_units(SEGMENTS, head=LabelHead(name="tools", kind="multi"), unit="video")
    assert [(unit.video_id, unit.values) for unit in units] == [
        ("a", ("pan", "lid", "knife")),
        ("b", ("whisk",)),
        ("c", ("pan",)),
    ]
    assert units[0].words().tolist() == [1, 2, 3, 4, 5]


def test_a_segment_is_read_as_it_is_and_a_long_video_in_equal_parts() -> None:
    head = LabelHead(name="dish", kind="single")
    alone = labelled_units(SEGMENTS, head=head, unit="segment")
    assert [part.words_T.tolist() for unit in alone for part in unit.parts(max_num_words=2)] == [
        [1, 2, 3],
        [7],
        [4, 5],
        [8, 9],
    ]
    parts = labelled_units(SEGMENTS, head=head, unit="video")[0].parts(max_num_words=2)
    assert [part.words_T.tolist() for part in parts] == [[1, 2], [3, 4], [5]]
    assert {(part.start_seconds, part.end_seconds) for part in parts} == {(0.0, 10.0)}


def test_what_is_learned_has_the_labels_of_the_whole_video_and_the_training_splits_classes() -> None:
    options = FinetuneOptions(label="tools", labels="multi", unit="video")
    head, units = classified(SEGMENTS, options=options)
    read = labelled_parts(units, head=head, max_num_words=3)
    assert head.classes == ("knife", "lid", "pan", "whisk")
    assert [(each.video_id, len(each.words_T), head.numbers(each.labels)) for each in read] == [
        ("a", 3, [2, 1, 0]),
        ("a", 2, [2, 1, 0]),
        ("b", 1, [3]),
        ("c", 2, [2]),
    ]


def test_a_video_of_several_classes_is_refused_where_one_is_wanted() -> None:
    mixed = [*SEGMENTS, segment("b", [3], dish="pie")]
    with pytest.raises(
        InputError, match="several classes in one video, in 1 of them: b has cake, pie"
    ) as found:
        labelled_units(mixed, head=LabelHead(name="dish", kind="single"), unit="video")
    assert found.value.fix == "--set finetune.labels=multi, or --set finetune.unit=segment"
    with pytest.raises(InputError, match="column 'nothing' has 0 classes in the training split"):
        classified(SEGMENTS, options=FinetuneOptions(label="nothing"))


def test_recipes_from_before_remember_what_they_did() -> None:
    usual = FinetuneOptions()
    assert not {"labels", "separator", "unit"} & usual.remembered().keys()
    assert usual.asked() == {"label": "label"}
    asked = FinetuneOptions(labels="multi", unit="video").asked()
    assert asked == {"label": "label", "labels": "multi", "separator": "|", "unit": "video"}
