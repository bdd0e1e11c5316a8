"""Every dataset's files, written as they are published: recognised, read, matched with the videos on disk."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import dataset_files as files
import pytest
from dataset_files import touch, write
from hypothesis import given, settings
from hypothesis import strategies as st

from videobert_cli.core.video.datasets.gathering import Gathering
from videobert_cli.core.video.datasets.recognising import split_of_name
from videobert_cli.core.video.datasets.registry import DATASETS
from videobert_cli.core.video.entries import CaptionSource
from videobert_cli.core.video.manifest import read_listing
from videobert_cli.core.video.options import DataOptions
from videobert_cli.errors import ManifestError, MissingInputError

SPLITS = {"validation_fraction": 0.0, "test_fraction": 0.0, "seed": 0}


def listing_of(source, **changes):
    return read_listing(source, **(SPLITS | changes))


def rows_of(listing):
    """Each segment as (video, split, start, end, labels)."""
    return [
        (video.id, video.split, segment.start_seconds, segment.end_seconds, dict(segment.labels))
        for video in listing.videos
        for segment in video.segments
    ]


def test_the_recipe_names_every_dataset_and_no_other():
    words = DataOptions.model_fields["dataset"].annotation.__args__
    assert set(words) == {"auto", "folder", "table", *DATASETS}


def test_youcook2(tmp_path):
    write(tmp_path, {"a.json": files.youcook2(), "label_foodtype.csv": "113,grilled cheese\n226,fattoush\n"})
    touch(tmp_path, "videos/113/GLd3aX16zBg.mkv", "asr/GLd3aX16zBg.en.vtt")
    listing = listing_of(tmp_path)
    [video] = listing.videos
    assert (video.id, video.split) == ("GLd3aX16zBg", "train")
    assert video.captions == CaptionSource(path=tmp_path / "asr/GLd3aX16zBg.en.vtt")
    assert rows_of(listing)[0][2:] == (
        90.0,
        102.0,
        {
            "sentence": "spread margarine on two slices of white bread",
            "recipe_type": "113",
            "recipe": "grilled cheese",
        },
    )
    found = listing.annotated
    assert (found.title, found.num_videos, found.num_segments, found.num_sentences) == ("YouCook2", 2, 3, 3)
    assert found.missing == ("xHr8X2Wpmno",)
    assert found.num_videos_by_split == {"train": 1, "validation": 1}
    assert found.num_values_by_column == {"recipe": 2, "recipe_type": 2, "sentence": 2}


def test_coin_is_not_taken_for_youcook2(tmp_path):
    write(tmp_path, {"COIN.json": files.COIN})
    touch(tmp_path, "LtRSn-ntcLY.mp4", "aBcDeFgHi_1.mp4")
    listing = listing_of(tmp_path / "COIN.json")
    assert listing.annotated.title == "COIN"
    assert {v.id: v.split for v in listing.videos} == {"LtRSn-ntcLY": "train", "aBcDeFgHi_1": "test"}
    step = "take out the laptop CD drive"
    assert rows_of(listing)[0][2:] == (
        60.0,
        69.0,
        {"sentence": step, "step": step, "task": "ReplaceCDDriveWithSSD"},
    )


def test_activitynet_captions_with_and_without_the_prefix(tmp_path):
    other = {"v_uqiMw7tQ1Cc": {"duration": 55.15, "timestamps": [[1, 9]], "sentences": ["Men."]}}
    write(
        tmp_path,
        {"train.json": files.ACTIVITYNET_TRAIN, "val_1.json": files.ACTIVITYNET_VAL, "val_2.json": other},
    )
    touch(tmp_path, "v_QOlSCBRmfWY.mp4", "uqiMw7tQ1Cc.webm")
    listing = listing_of(tmp_path)
    rows = rows_of(listing)
    assert [row[:2] for row in rows] == [("v_QOlSCBRmfWY", "train")] * 3 + [
        ("v_uqiMw7tQ1Cc", "validation")
    ] * 3
    # 55.16 of 55.15 seconds is a rounding.
    assert rows[5] == ("v_uqiMw7tQ1Cc", "validation", 4.14, 55.15, {"sentence": "One."})
    assert listing.annotated.num_left_out == {}


def test_msrvtt_as_published(tmp_path):
    write(tmp_path, {"videodatainfo_2016.json": files.MSRVTT, "category.txt": "news\t9\ncooking\t16\n"})
    touch(tmp_path, "TrainValVideo/video0.mp4", "TrainValVideo/video1.mp4")
    rows = rows_of(listing_of(tmp_path))
    assert rows == [
        ("video0", "train", 0.0, None, {"category": "9", "category_name": "news"}),
        ("video0", "train", 0.0, None, {"sentence": "a cartoon animals runs"}),
        ("video0", "train", 0.0, None, {"sentence": "a cartoon character runs"}),
        ("video1", "validation", 0.0, None, {"category": "16", "category_name": "cooking"}),
        ("video1", "validation", 0.0, None, {"sentence": "a woman is cooking"}),
    ]


def test_msrvtt_with_the_lists_for_retrieval(tmp_path):
    write(
        tmp_path,
        {
            "MSRVTT_data.json": files.MSRVTT,
            "MSRVTT_train.9k.csv": "video_id\nvideo0\n",
            "MSRVTT_JSFUSION_test.csv": files.MSRVTT_TEST,
        },
    )
    touch(tmp_path, "all/video0.mp4", "all/video1.mp4", "all/video9770.mp4")
    listing = listing_of(tmp_path)
    assert {v.id: v.split for v in listing.videos} == {"video0": "train", "video9770": "test"}
    assert rows_of(listing)[-1][-1] == {"sentence": "a person is connecting something to system"}
    assert listing.annotated.num_left_out == {"video-in-no-retrieval-list": 1}
    alone = listing_of(tmp_path / "MSRVTT_JSFUSION_test.csv").annotated
    assert (alone.num_videos, alone.num_sentences) == (1, 1)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (
            "MSR_VTT.json",
            {"images": [{"id": "video0"}], "annotations": [{"caption": "a", "image_id": "video0", "id": 0}]},
        ),
        ("msrvtt_train_9k.json", [{"video": "video0.mp4", "video_id": "video0", "caption": ["a"]}]),
    ],
)
def test_msrvtt_in_other_layouts(tmp_path, name, content):
    write(tmp_path, {name: content})
    touch(tmp_path, "video0.mp4")
    assert rows_of(listing_of(tmp_path))[0][-1] == {"sentence": "a"}


def test_msvd_text_with_its_mapping_and_splits(tmp_path):
    write(
        tmp_path,
        {
            "AllVideoDescriptions.txt": files.MSVD_TEXT,
            "youtube_mapping.txt": "-4wsuPCjDBc_5_15 vid1\nmv89psg6zh4_33_46 vid1967\n",
            "train_list.txt": "-4wsuPCjDBc_5_15\n",
            "test_list.txt": "mv89psg6zh4_33_46\n",
        },
    )
    touch(tmp_path, "YouTubeClips/vid1.avi", "YouTubeClips/mv89psg6zh4_33_46.avi")
    listing = listing_of(tmp_path)
    assert [(row[0], row[1], row[-1]["sentence"]) for row in rows_of(listing)] == [
        ("-4wsuPCjDBc_5_15", "train", "a squirrel is eating a peanut"),
        ("mv89psg6zh4_33_46", "test", "a bird is bathing in a sink"),
        ("mv89psg6zh4_33_46", "test", "a faucet is running while a bird stands"),
    ]


def test_msvd_csv_in_english(tmp_path):
    write(tmp_path, {"corpus.csv": files.MSVD_CSV})
    touch(tmp_path, "mv89psg6zh4_33_46.avi")
    listing = listing_of(tmp_path / "corpus.csv")
    assert [row[-1] for row in rows_of(listing)] == [{"sentence": "A bird, bathing in a sink."}]
    assert listing.annotated.num_left_out == {"another-language": 1, "no-text": 1}


def test_crosstask(tmp_path):
    write(tmp_path, files.CROSSTASK)
    touch(tmp_path, "videos/0JMdTEx8Otk.mp4", "videos/zzMdTEx8Otk.mp4", "videos/yyMdTEx8Otk.mp4")
    listing = listing_of(tmp_path)
    rows = rows_of(listing)
    assert rows[0] == (
        "0JMdTEx8Otk",
        "train",
        14.07,
        20.33,
        {
            "step": "pour water",
            "sentence": "pour water",
            "step_number": "1",
            "task_id": "23521",
            "task": "Make Jello Shots",
        },
    )
    assert [(row[0], row[1], row[-1].get("step")) for row in rows[1:]] == [
        ("0JMdTEx8Otk", "train", "add jello"),
        ("yyMdTEx8Otk", "train", None),
        ("zzMdTEx8Otk", "validation", "sand shelve"),
    ]
    assert rows[2][-1] == {"task_id": "1373", "task": "Make a Jello Cake"}
    assert listing.annotated.num_left_out == {"end-not-after-start": 1}


def test_kinetics_clips_are_found_by_their_seconds(tmp_path):
    write(
        tmp_path, {"annotations/train.csv": files.KINETICS_TRAIN, "annotations/test.csv": files.KINETICS_TEST}
    )
    touch(tmp_path, "train/abseiling/_4YTwq0-73Y_000001_000011.mp4", "test/--6bJUbfpnQ_000017_000027.mp4")
    listing = listing_of(tmp_path)
    assert [(v.id, v.split) for v in listing.videos] == [
        ("--6bJUbfpnQ_000017_000027", "test"),
        ("_4YTwq0-73Y_000001_000011", "train"),
    ]
    assert rows_of(listing) == [("_4YTwq0-73Y_000001_000011", "train", 0.0, None, {"label": "abseiling"})]
    assert listing.annotated.missing == ("---QUuC4vJs_000084_000094",)


def test_something_something_v2(tmp_path):
    write(
        tmp_path,
        {
            "labels/something-something-v2-train.json": files.SSV2_TRAIN,
            "labels/something-something-v2-test.json": [{"id": "1420"}],
            "labels/something-something-v2-labels.json": files.SSV2_LABELS,
        },
    )
    touch(tmp_path, "20bn-something-something-v2/78687.webm", "20bn-something-something-v2/1420.webm")
    listing = listing_of(tmp_path)
    assert {v.id: v.split for v in listing.videos} == {"1420": "test", "78687": "train"}
    assert rows_of(listing)[0][-1] == {
        "sentence": "holding potato next to vicks vaporub bottle",
        "label": "Holding something next to something",
    }


def test_epic_kitchens_100(tmp_path):
    write(tmp_path, {"EPIC_100_train.csv": files.EPIC_TRAIN, "EPIC_100_test_timestamps.csv": files.EPIC_TEST})
    touch(tmp_path, "P01/videos/P01_01.MP4", "P01/videos/P01_101.MP4")
    listing = listing_of(tmp_path)
    assert rows_of(listing)[1] == (
        "P01_01",
        "train",
        64.37,
        66.17,
        {
            "sentence": "turn on light",
            "verb": "turn-on",
            "noun": "light",
            "verb_class": "6",
            "noun_class": "114",
            "participant_id": "P01",
        },
    )
    assert [(v.id, v.split) for v in listing.videos] == [("P01_01", "train"), ("P01_101", "test")]
    assert listing.annotated.num_left_out == {"end-not-after-start": 1}


def test_howto100m_takes_captions_from_the_file_of_many(tmp_path):
    write(
        tmp_path,
        {
            "HowTo100M_v1.csv": files.HOWTO100M,
            "caption.json": files.HOWTO100M_CAPTIONS,
            "raw_caption.json": files.HOWTO100M_CAPTIONS,
            "task_ids.csv": "105253\tFry Onions\n52907\tFill a Tank\n",
        },
    )
    touch(tmp_path, "videos/CTPAZ2euJ2Q.mp4", "videos/nVbIUDjzWY4.webm")
    listing = listing_of(tmp_path)
    assert [(v.id, v.captions) for v in listing.videos] == [
        (name, CaptionSource(path=tmp_path / "raw_caption.json", key=name))
        for name in ("CTPAZ2euJ2Q", "nVbIUDjzWY4")
    ]
    assert rows_of(listing)[0][-1] == {
        "task_id": "105253",
        "task": "Fry Onions",
        "category_1": "Food and Entertaining",
        "category_2": "Recipes",
    }
    assert listing.annotated.missing == ("_97f1Db99pI",)


def test_mining_youtube_labels_are_no_subtitles(tmp_path):
    names = ("-1abcdefghi", "-2abcdefghi", "-3abcdefghi", "X7NlnFZXsy8")
    write(tmp_path, {f"annotations/{name}.srt": files.MINING for name in names})
    touch(tmp_path, "videos/X7NlnFZXsy8.mp4", "videos/X7NlnFZXsy8.vtt")
    listing = listing_of(tmp_path / "annotations", root=tmp_path)
    [video] = listing.videos
    assert video.captions == CaptionSource(path=tmp_path / "videos/X7NlnFZXsy8.vtt")
    assert rows_of(listing)[1][2:] == (
        85.618,
        91.424,
        {"sentence": "pour egg whites", "label": "pour_egg_whites"},
    )
    assert (listing.annotated.num_videos, listing.annotated.num_segments) == (4, 8)


def test_frame_folders_stand_for_a_datasets_videos(tmp_path):
    write(tmp_path, {"a.json": files.youcook2()})
    touch(
        tmp_path, "frames/GLd3aX16zBg/0.5.jpg", "frames/GLd3aX16zBg/1.0.jpg", "frames/xHr8X2Wpmno/notes.txt"
    )
    assert [v.path for v in listing_of(tmp_path).videos] == [tmp_path / "frames/GLd3aX16zBg"]


def test_what_is_no_dataset_stays_what_it_was(tmp_path):
    touch(tmp_path, "cut/a.mp4", "stir/b.mp4")
    write(
        tmp_path,
        {"notes.txt": "some words\n", "stats.json": {"a": 1}, "t.csv": "video,label\ncut/a.mp4,cut\n"},
    )
    assert [v.id for v in listing_of(tmp_path).videos] == ["cut/a", "stir/b"]
    assert [v.id for v in listing_of(tmp_path / "t.csv").videos] == ["cut/a"]
    assert listing_of(tmp_path).annotated is None


def test_a_folder_with_subtitles_beside_videos_is_a_folder(tmp_path):
    touch(tmp_path, "a.mp4")
    write(tmp_path, {"a.srt": files.MINING})
    assert listing_of(tmp_path).annotated is None


def test_two_datasets_in_one_folder_are_told_apart_by_name(tmp_path):
    write(tmp_path, {"yc.json": files.youcook2(), "COIN.json": files.COIN})
    touch(tmp_path, "LtRSn-ntcLY.mp4")
    with pytest.raises(ManifestError, match="the files of YouCook2 and COIN") as caught:
        listing_of(tmp_path)
    assert "data.dataset: youcook2" in caught.value.fix
    assert [v.id for v in listing_of(tmp_path, dataset="coin").videos] == ["LtRSn-ntcLY"]
    assert [v.id for v in listing_of(tmp_path, dataset="folder").videos] == ["LtRSn-ntcLY"]


def test_another_dataset_than_the_one_named_is_an_error(tmp_path):
    write(tmp_path, {"yc.json": files.youcook2(), "odd.json": {"x": 1}})
    with pytest.raises(ManifestError, match=r"no annotation file of COIN here, which would be COIN\.json"):
        listing_of(tmp_path / "yc.json", dataset="coin")
    with pytest.raises(ManifestError, match="no annotation file of a dataset we know"):
        listing_of(tmp_path / "odd.json")
    with pytest.raises(ManifestError, match="this is no folder"):
        listing_of(tmp_path / "odd.json", dataset="folder")
    with pytest.raises(ManifestError, match="only those of a known dataset are looked for"):
        listing_of(tmp_path, dataset="folder", root=tmp_path)
    with pytest.raises(MissingInputError) as caught:
        listing_of(tmp_path / "yc.json", root=tmp_path / "gone")
    assert caught.value.at == "data.root"


def test_none_on_disk_is_an_error_that_names_one(tmp_path):
    write(tmp_path, {"yc.json": files.youcook2()})
    listing = listing_of(tmp_path)
    with pytest.raises(
        ManifestError, match=r"none of the 2 videos of YouCook2 .* GLd3aX16zBg\.mp4"
    ) as caught:
        listing.require_videos()
    assert "data.root" in caught.value.fix
    assert [v.id for v in listing_of(tmp_path, files="not-needed").videos] == ["GLd3aX16zBg", "xHr8X2Wpmno"]


def test_a_video_that_was_extracted_stays_when_its_file_is_gone(tmp_path):
    write(tmp_path, {"yc.json": files.youcook2()})
    kept = listing_of(tmp_path, extracted=lambda: {"xHr8X2Wpmno", "another"})
    assert [v.id for v in kept.videos] == ["xHr8X2Wpmno"]


@pytest.mark.parametrize(
    ("changes", "place", "message"),
    [
        ({"segment": [3]}, "database.GLd3aX16zBg.annotations[0].segment", "two numbers of seconds"),
        ({"segment": ["a", 4]}, "database.GLd3aX16zBg.annotations[0].segment", "two numbers of seconds"),
        ({"subset": "learn"}, "database.GLd3aX16zBg.subset", "'learn' is none of"),
    ],
)
def test_wrong_json_is_told_by_its_keys(tmp_path, changes, place, message):
    write(tmp_path, {"yc.json": files.youcook2(**changes)})
    with pytest.raises(ManifestError, match=message) as caught:
        listing_of(tmp_path)
    assert caught.value.at == f"{tmp_path / 'yc.json'}:{place}"


def test_times_that_cannot_be_are_left_out_and_counted(tmp_path):
    left_out = {
        "end-not-after-start": [5, 5],
        "begins-after-the-video": [250, 260],
        "negative-start": [-1, 5],
        "end-drawn-back": [240, 300],
    }
    for reason, segment in left_out.items():
        write(tmp_path, {"yc.json": files.youcook2(segment=segment)})
        found = listing_of(tmp_path).annotated
        assert found.num_left_out == {reason: 1}
        assert found.num_segments == (3 if reason == "end-drawn-back" else 2)


def test_all_wrong_lines_of_a_csv_are_told_at_once(tmp_path):
    text = (
        files.EPIC_TRAIN
        + "P01_01_9,P01\n"
        + files.EPIC_TRAIN.splitlines()[1].replace("00:00:00.14", "0.14")
        + "\n"
    )
    write(tmp_path, {"EPIC_100_train.csv": text})
    with pytest.raises(ManifestError) as caught:
        listing_of(tmp_path)
    lines = caught.value.what.splitlines()
    assert [line.split(":")[1] for line in lines] == ["5", "6"]
    assert "cells under 15 columns" in lines[0]
    assert "as 00:01:23.45" in lines[1]


def test_only_the_first_twenty_places_are_listed(tmp_path):
    write(tmp_path, {"a.json": [{**files.SSV2_TRAIN[0], "id": None}] * 30})
    with pytest.raises(ManifestError, match="and 10 more"):
        listing_of(tmp_path)


def test_json_that_breaks_off_names_its_line(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps(files.COIN, indent=1)[:-20])
    with pytest.raises(ManifestError, match="this is not JSON") as caught:
        listing_of(tmp_path)
    assert caught.value.at.startswith(f"{tmp_path / 'a.json'}:")


def test_a_clip_in_two_lists_is_noted(tmp_path):
    write(
        tmp_path,
        {"train.csv": files.KINETICS_TRAIN, "val.csv": files.KINETICS_TRAIN.replace(",train\n", ",val\n")},
    )
    assert listing_of(tmp_path).annotated.in_two_splits == {
        "---QUuC4vJs_000084_000094": {"train", "validation"},
        "_4YTwq0-73Y_000001_000011": {"train", "validation"},
    }


def test_a_video_that_lies_there_twice_is_taken_once(tmp_path):
    write(tmp_path, {"yc.json": files.youcook2()})
    touch(tmp_path, "a/GLd3aX16zBg.mp4", "b/GLd3aX16zBg.webm", "a/.hidden/xHr8X2Wpmno.mp4")
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    listing = listing_of(tmp_path)
    assert [v.path for v in listing.videos] == [tmp_path / "a/GLd3aX16zBg.mp4"]
    assert listing.annotated.found_again == (tmp_path / "b/GLd3aX16zBg.webm",)


@pytest.mark.parametrize(
    ("name", "split"),
    [("train.csv", "train"), ("something-something-v2-validation.json", "validation"), ("kinetics_700_val.csv", "validation"),
     ("restrain.csv", None), ("MSRVTT_JSFUSION_test.csv", "test")],
)  # fmt: skip
def test_the_split_in_a_files_name(name, split):
    assert split_of_name(name) == split


# --- the files as they were published ---

ANNOTATIONS = Path(__file__).parents[2] / "../shared/data/annotations"


def real(name):
    path = ANNOTATIONS.resolve() / name
    if not path.exists():
        pytest.skip("shared data not here")
    return path


def test_the_real_youcook2_file():
    source = real("youcook2/yc2_annotations_trainval.json")
    database = json.loads(source.read_text())["database"]
    found = listing_of(source).annotated
    assert found.num_videos == len(database) == 1790
    assert (
        found.num_segments
        == found.num_sentences
        == sum(len(v["annotations"]) for v in database.values())
        == 13829
    )
    assert found.num_videos_by_split == {"train": 1333, "validation": 457}
    assert (
        found.num_values_by_column["recipe_type"] == len({v["recipe_type"] for v in database.values()}) == 89
    )
    assert found.num_left_out == {}


def test_the_real_activitynet_captions_file():
    source = real("activitynet_captions/val_2.json")
    videos = json.loads(source.read_text())
    found = listing_of(source).annotated
    assert found.title == "ActivityNet Captions"
    assert found.num_videos == len(videos) == 4885
    assert (
        found.num_segments
        == found.num_sentences
        == sum(len(v["sentences"]) for v in videos.values())
        == 17031
    )
    assert found.num_left_out == {}


def test_the_real_mining_youtube_files(tmp_path):
    import tarfile

    with tarfile.open(real("mining_youtube/annotations.tar.gz")) as archive:
        archive.extractall(tmp_path, filter="data")
    texts = [path.read_text(encoding="utf-8-sig") for path in (tmp_path / "annotations").glob("*.srt")]
    found = listing_of(tmp_path / "annotations").annotated
    assert found.title == "MiningYouTube"
    assert found.num_videos == len(texts) == 250
    # Three blocks of the published files end where they begin, or before.
    assert found.num_left_out == {"end-not-after-start": 3}
    assert (
        found.num_segments + 3 == found.num_sentences + 3 == sum(text.count("-->") for text in texts) == 5132
    )


# --- anything else ---

PUBLISHED = {
    "youcook2": ("a.json", files.youcook2()),
    "coin": ("a.json", files.COIN),
    "activitynet_captions": ("train.json", files.ACTIVITYNET_TRAIN),
    "msrvtt": ("a.json", files.MSRVTT),
    "something_something_v2": ("train.json", files.SSV2_TRAIN),
}
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=3),
    st.just([]),
    st.just({}),
    st.just([[]]),
)


@settings(deadline=None)  # it writes files
@given(st.sampled_from(sorted(PUBLISHED)), st.randoms(use_true_random=False), VALUES)
def test_json_with_one_other_value_is_read_or_told_where(name, random, value):
    file, document = PUBLISHED[name]
    document = json.loads(json.dumps(document))
    places = list(places_of(document))
    parent, key = places[random.randrange(len(places))]
    parent[key] = value
    with TemporaryDirectory() as folder:
        write(Path(folder), {file: document})
        assert file in place_of_mistake(DATASETS[name], Path(folder, file))


def place_of_mistake(dataset, file):
    """Return where reading ended with a mistake, the file alone where there was none."""
    gathering = Gathering()
    try:
        dataset.read({"list": [file]}, gathering)
        gathering.raise_problems(title=dataset.title)
    except ManifestError as error:
        return error.at
    return str(file)


def places_of(document):
    """Yield container and key of every value in a JSON document."""
    items = document.items() if isinstance(document, dict) else enumerate(document)
    for key, value in list(items):
        yield document, key
        if isinstance(value, dict | list):
            yield from places_of(value)
