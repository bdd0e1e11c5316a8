"""All datasets we read, by the word a recipe uses for them."""

from collections.abc import Mapping
from pathlib import Path

from videobert_cli.core.video.datasets.activitynet_captions import ACTIVITYNET_CAPTIONS
from videobert_cli.core.video.datasets.coin import COIN
from videobert_cli.core.video.datasets.crosstask import CROSSTASK
from videobert_cli.core.video.datasets.epic_kitchens_100 import EPIC_KITCHENS_100
from videobert_cli.core.video.datasets.howto100m import HOWTO100M
from videobert_cli.core.video.datasets.kinetics import KINETICS
from videobert_cli.core.video.datasets.mining_youtube import MINING_YOUTUBE
from videobert_cli.core.video.datasets.msrvtt import MSRVTT
from videobert_cli.core.video.datasets.msvd import MSVD
from videobert_cli.core.video.datasets.recognising import Dataset, Recognised, may_annotate, recognise
from videobert_cli.core.video.datasets.something_something_v2 import SOMETHING_SOMETHING_V2
from videobert_cli.core.video.datasets.youcook2 import YOUCOOK2
from videobert_cli.errors import ManifestError

DATASETS: Mapping[str, Dataset] = {
    dataset.name: dataset
    for dataset in (
        YOUCOOK2,
        HOWTO100M,
        ACTIVITYNET_CAPTIONS,
        MSRVTT,
        MSVD,
        CROSSTASK,
        COIN,
        KINETICS,
        SOMETHING_SOMETHING_V2,
        EPIC_KITCHENS_100,
        MINING_YOUTUBE,
    )
}


def find_dataset(source: Path, *, name: str) -> Recognised | None:
    """Return the dataset at `source`, None where `name` is `auto` and it is none of those we know.

    Raises:
        ManifestError: It holds the files of several datasets, or not those of the one named.
    """
    if name == "auto" and not may_annotate(source):
        return None
    if name == "auto":
        found = recognise(source, list(DATASETS.values()))
        if len(found) > 1:
            titles = " and ".join(one.dataset.title for one in found)
            raise ManifestError(
                f"these are the files of {titles}",
                at=str(source),
                fix=f"say which: data.dataset: {found[0].dataset.name}; or name one file in data.videos",
            )
        return found[0] if found else None
    dataset = DATASETS[name]
    found = recognise(source, [dataset])
    if not found:
        raise ManifestError(
            f"there is no annotation file of {dataset.title} here, which would be {dataset.files}",
            at=str(source),
            fix="give the file or its folder in data.videos; docs/datasets.md shows the layouts",
        )
    return found[0]
