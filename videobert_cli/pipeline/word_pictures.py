"""Pictures of visual words for those who ask a model: the files that its run's gallery keeps, by the run's layout."""

from dataclasses import dataclass
from pathlib import Path

from videobert_cli.artifacts import is_finished, read_manifest
from videobert_cli.core.reports.gallery import word_name
from videobert_cli.core.reports.sheet import picture_uri
from videobert_cli.pipeline.gallery import PICTURES_NAME
from videobert_cli.pipeline.run import RunPaths


@dataclass(frozen=True, kw_only=True)
class WordPictures:
    """The pictures of a model's words, or why there are none."""

    num_words: int
    directory: Path | None
    problem: str = ""

    def uri(self, word: int) -> str | None:
        """Return the picture of a word as a `data:` address, None where there is none."""
        if self.directory is None:
            return None
        return picture_uri(self.directory / f"{word_name(word, num_words=self.num_words)}.jpg")


def word_pictures(model: Path, *, num_words: int) -> WordPictures:
    """Return the pictures beside a model `RUN/STAGE/model`, if they are of the model's codebook."""
    gallery = RunPaths(root=model.absolute().parent.parent).gallery
    if not is_finished(gallery) or not (gallery / PICTURES_NAME).is_dir():
        problem = f"the words have no pictures: no gallery with pictures at {gallery}"
        return WordPictures(num_words=num_words, directory=None, problem=problem)
    codebook = read_manifest(model / "codebook", kind="codebook").content_hash
    if read_manifest(gallery).parents.get("codebook") != codebook:
        problem = f"the words have no pictures: the gallery at {gallery} is of another codebook"
        return WordPictures(num_words=num_words, directory=None, problem=problem)
    return WordPictures(num_words=num_words, directory=gallery / PICTURES_NAME)
