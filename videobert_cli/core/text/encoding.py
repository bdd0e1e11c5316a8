"""Bytes of a text file into text: UTF-8, UTF-16 or UTF-32 by their marks, UTF-16 by its zeros, else cp1252."""

import codecs

# The longer mark first: UTF-32's little-endian one begins with UTF-16's.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_SAMPLE_BYTES = 4096


def decode_text(data: bytes) -> str:
    """Return the text with `\\n` as its only line end; bytes that no encoding explains become U+FFFD, never an error.

    UTF-8 with a few broken bytes (a file cut in the middle of a letter) stays UTF-8; only a file of which
    most letters beyond ASCII are not UTF-8 is taken for cp1252.
    """
    text = _decode(data)
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")


def _decode(data: bytes) -> str:
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, errors="replace")
    sample = data[:_SAMPLE_BYTES]
    num_even_zeros, num_odd_zeros = sample[::2].count(0), sample[1::2].count(0)
    if max(num_even_zeros, num_odd_zeros) > len(sample) // 5:
        # Latin text in UTF-16 without a mark: every other byte is zero.
        encoding = "utf-16-le" if num_odd_zeros > num_even_zeros else "utf-16-be"
        return data.decode(encoding, errors="replace")
    text = data.decode("utf-8", errors="replace")
    num_broken = text.count("\N{REPLACEMENT CHARACTER}")
    num_beyond_ascii = sum(character > "\x7f" for character in text)
    if num_broken and num_broken * 2 > num_beyond_ascii and not _is_only_cut(data):
        return data.decode("cp1252", errors="replace")
    return text


def _is_only_cut(data: bytes) -> bool:
    """Whether everything but an unfinished last letter is UTF-8."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(data)
    except UnicodeDecodeError:
        return False
    return True
