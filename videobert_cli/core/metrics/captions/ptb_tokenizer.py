"""Captions into the tokens of the Penn Treebank, as coco-caption's Java tokeniser makes them, without Java.

Caption metrics count tokens, so their published values hold for one tokeniser only. This one was written against the
output of the Java program that coco-caption ships (`PTBTokenizer -preserveLines -lowerCase`), compared over 30,000
captions and subtitles and a list of odd strings (tests/parity/test_ptb_tokenizer.py). Two traps are kept on purpose:
tokens are lowercased before punctuation is dropped, so brackets (`-lrb-`, `-rrb-`) stay, and a run of marks such as
`!!` is no punctuation of the list.
"""

import re
from collections.abc import Iterator, Sequence
from functools import cache

# What coco-caption drops from the tokens.
PUNCTUATION = frozenset({
    "''", "'", "``", "`", "-LRB-", "-RRB-", "-LCB-", "-RCB-", ".", "?", "!", ",", ":", "-", "--", "...", ";",
})  # fmt: skip

# Words whose full stop belongs to them, in any case; found by trying the words of BERT's vocabulary on the original.
_ABBREVIATIONS = (
    "adj", "adm", "adv", "al", "ala", "alex", "apr", "ariz", "assn", "assoc", "asst", "atty", "aug", "ave",
    "bldg", "blvd", "brig", "bros", "calif", "capt", "cf", "cie", "cmdr", "co", "col", "colo", "conn", "corp",
    "cpl", "ct", "dec", "dept", "det", "dr", "drs", "esq", "est", "etc", "ext", "feb", "fla", "fri", "ft",
    "ga", "gen", "gov", "govs", "hon", "inc", "ind", "insp", "intl", "jan", "jos", "jr", "jul", "jun", "kan",
    "ky", "lt", "ltd", "maj", "mar", "md", "messrs", "mich", "minn", "mlle", "mme", "mo", "mon", "mont", "mr",
    "mrs", "ms", "mt", "natl", "neb", "nev", "nov", "oct", "okla", "penn", "pfc", "ph", "plc", "pres", "prof",
    "profs", "pty", "pvt", "rd", "rep", "reps", "rev", "rt", "sen", "sens", "sep", "sept", "sgt", "spc", "sq",
    "sr", "st", "ste", "supt", "tel", "tenn", "thu", "thurs", "treas", "tue", "tues", "univ", "va", "vs",
    "vt", "wed", "wis", "wm", "wyo",
)  # fmt: skip
# Those that are ordinary words unless they are capitalised, and those that need a number behind them.
_CAPITALISED_ABBREVIATIONS = ("Ark", "Az", "Del", "Ill", "La", "Mass", "Miss", "Ore", "Pa", "Tex", "Wash")
_NUMBERED_ABBREVIATIONS = ("art", "ca", "fig", "no", "nos", "op", "pp", "prop")

_APOSTROPHE = r"['\u2019\x92]"
# Superscripts and vulgar fractions are letters to `\w`, not to the original.
_LETTER = r"(?:(?![²³¹¼½¾⅓⅔⅛⅜⅝⅞])[^\W\d_])"
_ALPHANUMERIC = r"(?:(?![²³¹¼½¾⅓⅔⅛⅜⅝⅞])[^\W_])"
_END = rf"(?!{_ALPHANUMERIC})"
_NUMBER = r"(?>\d*(?:[.:,]\d+)+|\d+)"
_PART = rf"(?>\d*(?:[.:,]\d+)+|{_ALPHANUMERIC}+)"
_WORD = rf"(?>{_LETTER}{_ALPHANUMERIC}*(?:[.!?]{_LETTER}{_ALPHANUMERIC}*)*)"
_AUXILIARY = rf"{_APOSTROPHE}(?:[msdMSD]|re|ve|ll|RE|VE|LL){_END}"
_NEGATION = rf"[nN](?:{_APOSTROPHE}|`)[tT]{_END}"
_URL_TAIL = r"[^\s\"<>|()]+[^\s\"<>|.!?,;:\-()'\u2019]"
_HOST = r"(?:[^\s`'<>|.!?,;\[\](){}\"]+\.)+"


def _any_case(words: Sequence[str]) -> str:
    return f"(?i:{'|'.join(words)})"


# In order of precedence: the first that matches at a place makes the token.
_KINDS = {
    "space": r"[\s\ufeff]+",
    "entity": r"&(?:#\d+|[a-z]+);",
    "tag": r"</?[A-Za-z!?][^<>]*>",
    "url": rf"https?://{_URL_TAIL}",
    "site": rf"(?:www\.{_HOST}[a-zA-Z]{{2,4}}|{_HOST}(?:com|net|org|edu))(?:/{_URL_TAIL})?{_END}",
    "email": r"[a-zA-Z0-9][^\s\"<>|()]*@(?:[^\s\"<>|().]+\.)*[^\W_]+",
    "name": r"[@#][A-Za-z]\w*",
    "phone": r"(?:\(\d{2,3}\)[ \xa0]?|(?:\+?\d+[-\xa0.])?\d{2,4}[-\xa0.])\d{3,4}[-\xa0.]?\d{3,5}" + _END,
    "date": rf"\d{{1,2}}[-/]\d{{1,2}}[-/]\d{{1,4}}{_END}",
    "fraction": rf"(?:\d{{1,4}}[- \xa0])?\d{{1,4}}(?:\\?/|\u2044)\d{{1,4}}{_END}(?:-{_ALPHANUMERIC}+)*",
    "assimilated": "|".join(
        [
            *(
                rf"(?i:{first}(?={second}{_END}(?!{_APOSTROPHE}{_LETTER})))"
                for first, second in (
                    ("can", "not"),
                    ("gon", "na"),
                    ("got", "ta"),
                    ("lem", "me"),
                    ("gim", "me"),
                    ("wan", "na"),
                )
            ),
            rf"{_APOSTROPHE}[tT](?=(?i:is|was){_END})",
        ]
    ),
    "negated": rf"{_LETTER}*(?:(?![nN]){_LETTER})(?={_NEGATION})",
    "negation": _NEGATION,
    "short": "|".join(
        [
            rf"{_APOSTROPHE}[nN](?:{_APOSTROPHE}(?={_LETTER})|{_APOSTROPHE}?{_END})",
            rf"{_APOSTROPHE}(?i:em|till?|cause){_END}",
            rf"[yY]{_APOSTROPHE}(?={_LETTER})",
            rf"{_APOSTROPHE}\d0s{_END}",
            rf"(?i:c{_APOSTROPHE}mon|s{_APOSTROPHE}mores){_END}",
            rf"(?i:dunkin|somethin|ol){_APOSTROPHE}{_END}",
            rf"(?:[dDoOlL]|[qQ]u){_APOSTROPHE}{_LETTER}{_ALPHANUMERIC}*(?:-{_PART})*",
            rf"{_LETTER}*[aeiouyAEIOUY]{_APOSTROPHE}[aeiouA-Z]{_LETTER}*",
        ]
    ),
    "auxiliary": _AUXILIARY,
    "acronym": rf"(?i:ph\.d){_END}\.?|[A-Za-z](?:\.[A-Za-z])+{_END}\.?|[A-Za-z]\.{_END}",
    "abbreviation": "|".join(
        [
            rf"{_any_case(_ABBREVIATIONS)}\.{_END}",
            rf"(?:{'|'.join([*_CAPITALISED_ABBREVIATIONS, *map(str.upper, _CAPITALISED_ABBREVIATIONS)])})\.{_END}",
            rf"{_any_case(_NUMBERED_ABBREVIATIONS)}\.(?=\s?\d)",
            rf"{_WORD}\.(?=[,;:])",
        ]
    ),
    "company": rf"[A-Z]+(?:[&+][A-Z]+)+{_END}|(?:[CcFf]#|[Cc]\+\+)",
    "currency": r"[A-Z]{2}\$",
    "word": rf"{_WORD}(?![-_/]{_ALPHANUMERIC})",
    "thing": rf"{_PART}(?:[-_/]{_PART})*",
    "number": rf"[-+]?{_NUMBER}",
    "smiley": r"\^_\^|[<>]?[:;=][-o*']?[()DPdpO\\{@|\[\]]" + _END,
    "ellipsis": r"\.\.\.+|\. \. \.|\u2026",
    "dashes": r"-+|[\u2013\u2014\u2015\x96\x97]",
    "marks": r"[?!]+|_+",
    "other": r".",
}


@cache
def _token() -> re.Pattern[str]:
    # Not made at import: its 20 ms would be a tenth of what `videobert -h` takes.
    return re.compile("|".join(f"(?P<{kind}>{pattern})" for kind, pattern in _KINDS.items()), re.DOTALL)


_BRACKETS = {"(": "-lrb-", ")": "-rrb-", "[": "-lsb-", "]": "-rsb-", "{": "-lcb-", "}": "-rcb-"}
_IN_WORDS = str.maketrans(_BRACKETS | {"\u2019": "'", "\x92": "'", " ": "\xa0"})
_WHOLE = _BRACKETS | {
    "\u2026": "...", "\u2013": "--", "\u2014": "--", "\u2015": "--", "\x96": "--", "\x97": "--",
    "---": "--", "----": "--", "&mdash;": "--", "&ndash;": "--",
    "£": "#", "¢": "cents", "€": "$", "¼": "1/4", "½": "1/2", "¾": "3/4", "⅓": "1/3", "⅔": "2/3",
    "“": "``", "”": "''", "„": "``", "«": "``", "»": "''", "‘": "`", "\u2019": "'", '"': "''",
    "&amp;": "&", "&lt;": "<", "&gt;": ">", "&quot;": "''", "&apos;": "'", "&nbsp;": ".",
}  # fmt: skip


# Most captions are words and commas with a full stop behind; they need none of the above.
_PLAIN = re.compile(r"[A-Za-z0-9]+(?:,? [A-Za-z0-9]+)*\.?")
_NEEDS_RULES = frozenset({"cannot", "gonna", "gotta", "lemme", "gimme", "wanna"})


def tokenize_caption(caption: str) -> str:
    """Return the caption's tokens, lowercased, without punctuation, joined by single spaces."""
    if _PLAIN.fullmatch(caption):
        words = caption.rstrip(".").replace(",", "").lower().split(" ")
        is_sentence_end = not caption.endswith(".") or (
            len(words[-1]) > 1 and words[-1] not in _ABBREVIATIONS
        )
        if is_sentence_end and _NEEDS_RULES.isdisjoint(words):
            return " ".join(words)
    return " ".join(token for token in _tokens(caption) if token not in PUNCTUATION)


def _tokens(caption: str) -> Iterator[str]:
    for match in _token().finditer(caption):
        text = match.group()
        if match.lastgroup == "ellipsis":
            yield "..."
        elif match.lastgroup != "space":
            yield _WHOLE.get(text) or text.translate(_IN_WORDS).lower()
