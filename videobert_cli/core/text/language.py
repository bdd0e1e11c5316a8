"""In which language a transcript is: py3langid (extra `language`), the same answer on every machine.

Of the detectors that are kept up it is the smallest that needs nothing but NumPy: 4.6 MB, BSD licence, 1 ms a
transcript. It draws no random number, as langdetect does (last published in 2021); lingua is more exact on single words
and weighs 96 MB.
"""

import functools
import importlib.util
import re
from collections.abc import Iterable, Sequence
from typing import Any

from videobert_cli.errors import InputError

# Enough to be sure, and little enough that a corpus of a million transcripts is read in an hour.
_MAX_CHARACTERS = 3_000
# Fewer letters name no language: "OK", "[Music]".
_LEAST_LETTERS = 20
# [Music], (laughter): English in captions of any language.
_NOTE = re.compile(r"\[[^\[\]]*\]|\([^()]*\)")


class LanguageFilter:
    """Tells whether a transcript is in one of the wanted languages (ISO 639-1 codes).

    Raises:
        InputError: The package is missing, or it knows a language by no such code.
    """

    def __init__(self, languages: Sequence[str]) -> None:
        if importlib.util.find_spec("py3langid") is None:
            raise InputError(
                "the package py3langid, which tells languages, is not installed",
                at="pretrain.text.languages",
                fix="pip install 'videobert-cli[language]', or remove that key",
            )
        self._wanted = frozenset(languages)
        known = {str(code) for code in _identifier().nb_classes}
        unknown = sorted(self._wanted - known)
        if unknown:
            raise InputError(
                f"there is no language {', '.join(unknown)}",
                at="pretrain.text.languages",
                fix=f"use two letters: {', '.join(sorted(known))}",
            )

    def unwanted(self, texts: Iterable[str]) -> str | None:
        """Return the language of a transcript that is not wanted; None for a wanted one, or too little text to tell."""
        sample = ""
        for text in texts:
            sample += f"{_NOTE.sub('', text)} "
            if len(sample) > _MAX_CHARACTERS:
                break
        if sum(map(str.isalpha, sample)) < _LEAST_LETTERS:
            return None
        # Capitals alone look like another language.
        language = str(_identifier().classify(sample[:_MAX_CHARACTERS].lower())[0])
        return None if language in self._wanted else language


@functools.cache
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE)
    # Languages of two letters alone: spoken English is else now and then taken for a creole of it (pcm).
    identifier.set_languages(sorted({str(code) for code in identifier.nb_classes if len(code) == 2}))
    return identifier
