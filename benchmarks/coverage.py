"""Which clips a sentence gets, by each rule, against what the demo's narrator speaks of: no video is decoded.

The demo's plan knows when each step is done and when it is spoken of, early or late. For every sentence that names
a step's object, the clips it gets are compared in seconds with the step: precision, recall, intersection over union.

    python benchmarks/coverage.py [--seeds 3]
"""

import argparse

import numpy as np

from videobert_cli.core.sequences.options import Coverage
from videobert_cli.core.sequences.segments import Segment, segments_of
from videobert_cli.core.text.cues import Cue
from videobert_cli.core.text.options import TextOptions
from videobert_cli.core.text.sentences import sentences_from_cues
from videobert_cli.demo.plan import FRAMES_PER_SECOND, Step, VideoPlan, plan_corpus

CLIP_SECONDS = 1.5
NEAREST_SECONDS = 3.0
RULES: tuple[tuple[str, Coverage, float], ...] = (
    ("midpoint", "midpoint", 0.1),
    ("overlap", "overlap", 0.1),
    ("rounded", "rounded", 0.1),
    ("grown to 5 s", "grown", 5.0),
    ("grown to 10 s", "grown", 10.0),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    seeds = range(parser.parse_args().seeds)
    videos = [
        video
        for seed in seeds
        for video in plan_corpus(
            seed=seed, num_train_videos=120, num_validation_videos=12, num_test_videos=40
        ).videos
        if video.lines is not None
    ]
    print(f"demo plans of {len(seeds)} seeds: {len(videos)} narrated videos")
    print(
        f"{'rule':15}{'sentences':>10}{'clips each':>12}{'precision':>11}{'recall':>8}{'IoU':>7}{'clips twice':>13}"
    )
    for name, coverage, min_seconds in RULES:
        rows, shares = [], []
        for video in videos:
            segments = covered(video, coverage=coverage, min_seconds=min_seconds)
            shares.append(share_of_clips_in_two(segments))
            rows += [
                score(segment, step)
                for segment in segments
                if (step := step_of(segment, video.steps)) is not None
            ]
        clips, precision, recall, iou = np.mean(rows, axis=0)
        print(
            f"{name:15}{len(rows):>10,}{clips:>12.2f}{precision:>11.3f}{recall:>8.3f}{iou:>7.3f}{np.mean(shares):>13.3f}"
        )


def covered(video: VideoPlan, *, coverage: Coverage, min_seconds: float) -> tuple[Segment, ...]:
    cues = [
        Cue(start_seconds=line.start_seconds, end_seconds=line.end_seconds, text=line.text)
        for line in video.lines or ()
    ]
    options = TextOptions()
    num_clips = max(1, int(video.num_frames / FRAMES_PER_SECOND / CLIP_SECONDS))
    return segments_of(
        sentences_from_cues(
            cues, pause_seconds=options.pause_seconds, max_sentence_seconds=options.max_sentence_seconds
        ),
        clip_start_seconds_T=np.arange(num_clips) * CLIP_SECONDS,
        clip_seconds=CLIP_SECONDS,
        coverage=coverage,
        grown_min_seconds=min_seconds,
    )


def step_of(segment: Segment, steps: tuple[Step, ...]) -> Step | None:
    """Return the step whose object the sentence names, the nearest in time; None for what names none near by."""
    sentence = segment.sentence
    middle = (sentence.start_seconds + sentence.end_seconds) / 2
    words = sentence.text.lower().strip(".")
    named = [step for step in steps if step.object in words.split()]
    distances = [max(step.start_seconds - middle, middle - step.end_seconds, 0.0) for step in named]
    if not named or min(distances) > NEAREST_SECONDS:
        return None
    return named[int(np.argmin(distances))]


def score(segment: Segment, step: Step) -> tuple[float, float, float, float]:
    start, end = segment.clips.first * CLIP_SECONDS, segment.clips.stop * CLIP_SECONDS
    shared = max(0.0, min(end, step.end_seconds) - max(start, step.start_seconds))
    length, true_length = end - start, step.end_seconds - step.start_seconds
    return (
        segment.clips.num_clips,
        shared / length,
        shared / true_length,
        shared / (length + true_length - shared),
    )


def share_of_clips_in_two(segments: tuple[Segment, ...]) -> float:
    """Return the share of covered clips that more than one sentence gets."""
    owners = np.concatenate([np.arange(s.clips.first, s.clips.stop) for s in segments])
    _, counts = np.unique(owners, return_counts=True)
    return float((counts > 1).mean())


if __name__ == "__main__":
    main()
