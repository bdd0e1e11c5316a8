"""What a captioner's configuration has beside the encoder's."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self, get_args

from videobert_cli.errors import ArtifactError, CodebookMismatchError

CaptionEncoder = Literal["end_to_end", "cloze", "cloze_and_features", "features"]
# Which encoders give the decoder the cloze's states, and which the segment's raw feature.
WITH_CLOZE: frozenset[CaptionEncoder] = frozenset({"cloze", "cloze_and_features"})
WITH_FEATURES: frozenset[CaptionEncoder] = frozenset({"cloze_and_features", "features"})
_MOST_LAYERS, _MOST_TOKENS, _MOST_IDS, _MOST_FEATURE_SIZE = 64, 4096, 4_000_000, 65_536


@dataclass(frozen=True, kw_only=True)
class CaptionerConfig:
    """The decoder's layers, the longest caption in tokens, how the video is read, and the question put beside it.

    `question_ids` are text ids of a template in which `mask_id` stands for what is not known. `encoder` says what the
    decoder looks at: `cloze`, the mean state of the video's words and the states of the question's masks, from an
    encoder that is not trained (the paper's features); `features`, the mean raw feature of the segment's clips, of
    `feature_size` numbers (the paper's S3D row); `cloze_and_features`, both; `end_to_end`, all states, from an encoder
    that is trained.
    """

    encoder: CaptionEncoder
    num_layers: int
    max_num_tokens: int
    question_ids: tuple[int, ...]
    mask_id: int
    feature_size: int = 0

    @property
    def looks_at_features(self) -> bool:
        """Whether the decoder is given the segment's raw feature."""
        return self.encoder in WITH_FEATURES

    def require_feature_size(self, found: int) -> None:
        """Refuse features of `found` numbers (0: none are given) where others are looked at.

        Raises:
            CodebookMismatchError: With both sizes.
        """
        if self.looks_at_features and found != self.feature_size:
            raise CodebookMismatchError(
                f"the captioner looks at raw features of {self.feature_size:,} numbers, "
                + (f"these have {found:,}" if found else "and there are none"),
                at="captioner.feature_size of the model's config.json",
                fix="give it features of the backbone that it was trained with (its extractor.json names it)",
            )

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values; `feature_size` only where there is one, so that files without are as they always were."""
        values = {**asdict(self), "question_ids": list(self.question_ids)}
        return {name: value for name, value in values.items() if (name, value) != ("feature_size", 0)}

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
                feature_size=int(values.get("feature_size", 0)),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ArtifactError(f"the captioner's configuration cannot be read ({error})") from error
        if (
            found.encoder not in get_args(CaptionEncoder)
            or not 1 <= found.num_layers <= _MOST_LAYERS
            or not 2 <= found.max_num_tokens <= _MOST_TOKENS
            or len(found.question_ids) > _MOST_TOKENS
            or not all(0 <= number < _MOST_IDS for number in found.question_ids)
            or not 0 <= found.feature_size <= _MOST_FEATURE_SIZE
            or found.looks_at_features != bool(found.feature_size)
        ):
            raise ArtifactError(f"the captioner's configuration cannot be used: {found.to_dict()}")
        return found
