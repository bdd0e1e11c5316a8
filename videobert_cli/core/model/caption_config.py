"""What a captioner's configuration has beside the encoder's."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self, get_args

from videobert_cli.errors import ArtifactError

CaptionEncoder = Literal["end_to_end", "cloze"]
_MOST_LAYERS, _MOST_TOKENS, _MOST_IDS = 64, 4096, 4_000_000


@dataclass(frozen=True, kw_only=True)
class CaptionerConfig:
    """The decoder's layers, the longest caption in tokens, how the video is read, and the question put beside it.

    `question_ids` are text ids of a template in which `mask_id` stands for what is not known. `encoder` says what the
    decoder looks at: `cloze`, the mean state of the video's words and the states of the question's masks, from an
    encoder that is not trained (the paper's features); `end_to_end`, all states, from an encoder that is.
    """

    encoder: CaptionEncoder
    num_layers: int
    max_num_tokens: int
    question_ids: tuple[int, ...]
    mask_id: int

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values."""
        return {**asdict(self), "question_ids": list(self.question_ids)}

    @classmethod
    def read(cls, values: object) -> Self:
        """Return what `to_dict` made.

        Raises:
            ArtifactError: Something is missing or impossible.
        """
        try:
            if not isinstance(values, Mapping):
                raise TypeError(f"{values!r} is no mapping")
            found = cls(
                encoder=values["encoder"],
                num_layers=int(values["num_layers"]),
                max_num_tokens=int(values["max_num_tokens"]),
                question_ids=tuple(int(number) for number in values["question_ids"]),
                mask_id=int(values["mask_id"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ArtifactError(f"the captioner's configuration cannot be read ({error})") from error
        if (
            found.encoder not in get_args(CaptionEncoder)
            or not 1 <= found.num_layers <= _MOST_LAYERS
            or not 2 <= found.max_num_tokens <= _MOST_TOKENS
            or len(found.question_ids) > _MOST_TOKENS
            or not all(0 <= number < _MOST_IDS for number in found.question_ids)
        ):
            raise ArtifactError(f"the captioner's configuration cannot be used: {found.to_dict()}")
        return found
