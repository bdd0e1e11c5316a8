"""The recipe's `quantize:` section."""

from typing import Any, Literal

from pydantic import Field

from videobert_cli.options import Options


class GalleryOptions(Options):
    """`quantize.gallery:` the page on which the words are seen. It changes no word, and no later stage reads it."""

    content: Literal["pictures", "table", "none"] = Field(
        default="pictures",
        description="`pictures` of the words' nearest clips, a `table` alone (no video is opened), or `none`: no page.",
    )
    num_words: int = Field(
        default=500,
        ge=1,
        le=2_000,
        description="Most words with pictures, the most used first; the rest are a table.",
    )
    clips_per_word: int = Field(
        default=4, ge=1, le=8, description="Pictures of one word, nearest clips first."
    )
    picture_pixels: int = Field(default=128, ge=32, le=320, description="Side of a picture.")


class QuantizeOptions(Options):
    """`quantize:` features become visual words: hierarchical k-means, `branching ** num_levels` leaves."""

    branching: int = Field(default=12, ge=2, le=256, description="Children of every node (paper: 12).")
    num_levels: int = Field(
        default=4, ge=1, le=6, description="Levels of the tree (paper: 4, so 20,736 words)."
    )
    num_iterations: int = Field(default=25, ge=1, le=1000, description="Most Lloyd iterations for one node.")
    tolerance: float = Field(
        default=1e-4, ge=0, description="Stop a node when its centroids move less, relatively."
    )
    scaling: Literal["none", "standardize_parts"] = Field(
        default="none",
        description="`standardize_parts`: give each part of the feature (mean, motion) the same total variance.",
    )
    num_components: int | None = Field(
        default=None,
        ge=1,
        le=4096,
        description="Project features by PCA to so many components first; null keeps all.",
    )
    whiten: bool = Field(default=False, description="Scale the PCA components to equal variance.")
    gallery: GalleryOptions = Field(
        default=GalleryOptions(), description="The page on which the words are seen."
    )

    max_memory_bytes: int | None = Field(
        default=None,
        ge=1 << 20,
        description="Memory for training features, the rest is read anew at each pass; null: half of what is free. "
        "Changes no word.",
    )

    def settings(self) -> dict[str, Any]:
        """Return what decides the words: neither how they are shown nor how much memory the fit may take."""
        left_out = {"gallery", "max_memory_bytes"}
        return {name: value for name, value in super().settings().items() if name not in left_out}
