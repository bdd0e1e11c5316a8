"""Where clips start and which of their frames an image backbone looks at: arithmetic only."""


def clip_starts(num_frames: int, *, clip_num_frames: int, stride: int) -> list[int]:
    """Return the first sample of each clip of a video with `num_frames` samples.

    A video shorter than a clip gives one clip (its missing frames repeat the last); the tail that does not
    fill a clip is dropped.

    >>> clip_starts(95, clip_num_frames=30, stride=30)
    [0, 30, 60]
    >>> clip_starts(60, clip_num_frames=30, stride=15)
    [0, 15, 30]
    >>> clip_starts(7, clip_num_frames=30, stride=30)
    [0]
    >>> clip_starts(0, clip_num_frames=30, stride=30)
    []
    """
    if num_frames < 1:
        return []
    return [0, *range(stride, num_frames - clip_num_frames + 1, stride)]


def spread_frame_indices(clip_num_frames: int, *, num_frames: int) -> tuple[int, ...]:
    """Return `num_frames` indices inside a clip, evenly spread: the centre of each of as many equal parts.

    Asking for more frames than the clip has repeats some.

    >>> spread_frame_indices(30, num_frames=4)
    (3, 11, 18, 26)
    >>> spread_frame_indices(30, num_frames=1)
    (15,)
    >>> spread_frame_indices(2, num_frames=4)
    (0, 0, 1, 1)
    """
    return tuple((2 * part + 1) * clip_num_frames // (2 * num_frames) for part in range(num_frames))
