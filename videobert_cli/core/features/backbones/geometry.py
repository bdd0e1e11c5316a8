"""What a backbone wants of the reader, and whether a recipe's clips fit one that prescribes its geometry."""

from collections.abc import Sequence
from dataclasses import dataclass

from videobert_cli.core.features.options import ExtractOptions
from videobert_cli.core.video.clips import spread_frame_indices
from videobert_cli.core.video.frames import FrameRequest
from videobert_cli.errors import RecipeError

_RATE_TOLERANCE = 0.01


def request_frames(
    options: ExtractOptions,
    *,
    indices: Sequence[int],
    resize: tuple[int, int] | int,
    crop_size: int,
) -> FrameRequest:
    """Return what the reader must deliver: the recipe's clips, of each the frames `indices`, resized and cropped."""
    return FrameRequest(
        frames_per_second=options.frames_per_second,
        clip_num_frames=options.clip_num_frames,
        clip_stride_frames=options.clip_stride_frames,
        frame_indices=tuple(indices),
        resize=resize,
        crop_size=crop_size,
        batch_num_clips=options.batch_num_clips,
    )


@dataclass(frozen=True, kw_only=True)
class Geometry:
    """What a video backbone takes.

    Args:
        backbone: Its name, for messages.
        num_frames: Frames it takes of a clip, evenly spread where the clip has more.
        frames_per_second: The rate at which it wants to see them; None for any.
        size: Side of its square picture in pixels.
    """

    backbone: str
    num_frames: int
    frames_per_second: float | None
    size: int

    def frame_indices(self, options: ExtractOptions) -> tuple[int, ...]:
        """Return which frames of a clip it takes: the centre of each of as many equal parts of the clip.

        Raises:
            RecipeError: The clips have fewer frames, or would be seen at another rate than prescribed.
        """
        self.require(options)
        return spread_frame_indices(options.clip_num_frames, num_frames=self.num_frames)

    def require(self, options: ExtractOptions) -> None:
        """Refuse clips that do not fit.

        Raises:
            RecipeError: As above; `fix` has the settings that do.
        """
        if options.clip_num_frames < self.num_frames:
            fix = f"--set extract.clip_num_frames={self.num_frames}"
            if options.clip_stride_frames == options.clip_num_frames:
                fix += f" --set extract.clip_stride_frames={self.num_frames}"
            raise RecipeError(
                f"{self.backbone} takes {self.num_frames} frames of a clip, and the recipe's clips have "
                f"{options.clip_num_frames}",
                at="extract.clip_num_frames",
                fix=fix,
            )
        wanted = self.frames_per_second
        seen = options.frames_per_second * self.num_frames / options.clip_num_frames
        if wanted is not None and abs(seen - wanted) > _RATE_TOLERANCE * wanted:
            raise RecipeError(
                f"{self.backbone} wants to see {wanted:g} frames a second, and {self.num_frames} of "
                f"{options.clip_num_frames} frames at {options.frames_per_second:g} a second are {seen:.3g}",
                at="extract.frames_per_second",
                fix=f"--set extract.frames_per_second={wanted * options.clip_num_frames / self.num_frames:g}",
            )
