"""The demo's plan: balance, held-out pairs, shares, and narration that says what it should and nothing else."""

import collections
import itertools
import re

import pytest

from videobert_cli.demo.narration import to_srt
from videobert_cli.demo.objects import OBJECTS
from videobert_cli.demo.plan import FRAMES_PER_SECOND, CorpusPlan, plan_corpus
from videobert_cli.demo.verbs import VERBS


@pytest.fixture(scope="module")
def plan() -> CorpusPlan:
    return plan_corpus(seed=0, num_train_videos=120, num_validation_videos=12, num_test_videos=40)


def test_eight_verbs_times_eight_objects() -> None:
    assert len(set(VERBS)) == len(set(OBJECTS)) == 8


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_held_out_pairs_use_every_verb_and_object_once(seed: int) -> None:
    pairs = plan_corpus(
        seed=seed, num_train_videos=1, num_validation_videos=0, num_test_videos=0
    ).held_out_pairs
    assert {verb for verb, _ in pairs} == set(VERBS)
    assert {thing for _, thing in pairs} == set(OBJECTS)


def test_held_out_pairs_never_occur_in_training_or_validation(plan: CorpusPlan) -> None:
    held_out = set(plan.held_out_pairs)
    by_split = collections.defaultdict(set)
    for video in plan.videos:
        by_split[video.split] |= {(step.verb, step.object) for step in video.steps}
    assert not held_out & (by_split["train"] | by_split["validation"])
    assert held_out <= by_split["test"]


def test_no_training_line_says_a_held_out_pair(plan: CorpusPlan) -> None:
    spoken = [v.lines for v in plan.videos if v.split != "test" and v.lines] + [
        text.lines for text in plan.texts
    ]
    for lines in spoken:
        for line, following in itertools.zip_longest(lines, lines[1:]):
            # A sentence may be broken into two cues: the pair must not stand across the break either.
            is_broken = (
                following is not None
                and not line.text.endswith(".")
                and following.start_seconds == line.end_seconds
            )
            text = f"{line.text} {following.text}" if is_broken else line.text
            said = set(re.findall(r"[a-z]+", text.lower()))
            for verb, thing in plan.held_out_pairs:
                assert not {verb, thing} <= said


def test_test_videos_mix_seen_and_unseen_pairs(plan: CorpusPlan) -> None:
    pairs = [(s.verb, s.object) for v in plan.videos if v.split == "test" for s in v.steps]
    share = sum(pair in set(plan.held_out_pairs) for pair in pairs) / len(pairs)
    assert 0.3 < share < 0.5


@pytest.mark.parametrize("column", ["verb", "object"])
def test_language_alone_cannot_guess(plan: CorpusPlan, column: str) -> None:
    steps = [getattr(s, column) for v in plan.videos if v.split == "train" for s in v.steps]
    counts = collections.Counter(steps)
    assert max(counts.values()) / len(steps) < 0.15
    after = collections.Counter(
        (getattr(a, column), getattr(b, column))
        for v in plan.videos
        if v.split == "train"
        for a, b in itertools.pairwise(v.steps)
    )
    best_guess = sum(max(n for (first, _), n in after.items() if first == value) for value in counts)
    assert best_guess / sum(after.values()) < 0.3


def test_shares_of_videos_without_text_and_text_without_video(plan: CorpusPlan) -> None:
    silent = [v for v in plan.videos if v.lines is None]
    assert collections.Counter(v.split for v in silent) == {"train": 12, "validation": 1, "test": 4}
    assert len(plan.texts) == 12


def test_videos_last_20_to_40_seconds_and_shots_fill_them(plan: CorpusPlan) -> None:
    for video in plan.videos:
        assert 16 * FRAMES_PER_SECOND <= video.num_frames <= 42 * FRAMES_PER_SECOND
        frame = 0
        for shot in video.shots:
            assert shot.start_frame == frame
            frame += shot.num_frames
        assert frame == video.num_frames


def test_a_split_does_not_depend_on_the_others(plan: CorpusPlan) -> None:
    small = plan_corpus(seed=0, num_train_videos=120, num_validation_videos=1, num_test_videos=2)
    assert small.videos[:121] == plan.videos[:121]
    assert small.videos[121:] == plan.videos[132:134]


def test_another_seed_is_another_corpus(plan: CorpusPlan) -> None:
    other = plan_corpus(seed=1, num_train_videos=120, num_validation_videos=12, num_test_videos=40)
    assert other.videos[0] != plan.videos[0]
    assert other.held_out_pairs != plan.held_out_pairs


def test_subtitles_are_well_formed_and_in_order(plan: CorpusPlan) -> None:
    for video in plan.videos:
        end_before = 0.0
        for line in video.lines or ():
            assert end_before <= line.start_seconds < line.end_seconds <= video.num_frames / FRAMES_PER_SECOND
            end_before = line.end_seconds
    block = r"\d+\n\d\d:\d\d:\d\d,\d{3} --> \d\d:\d\d:\d\d,\d{3}\n[^\n]+\n"
    spoken = next(v.lines for v in plan.videos if v.lines)
    assert re.fullmatch(f"({block}\n)*{block}", to_srt(spoken))


def test_lines_mostly_name_their_step_and_sometimes_use_the_cloze_form(plan: CorpusPlan) -> None:
    training = [v for v in plan.videos if v.split == "train" and v.lines]
    text = {v.name: " ".join(line.text.lower() for line in v.lines or ()) for v in training}
    named = [step.verb in text[v.name] and step.object in text[v.name] for v in training for step in v.steps]
    assert 0.8 < sum(named) / len(named) < 1
    assert sum(t.count("now let me show you how to") for t in text.values()) > 10
