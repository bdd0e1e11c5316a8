"""YAML 1.2 scalars, line numbers, and hostile files that must answer at once."""

import time

import pytest

from videobert_cli.recipe.origins import Origin
from videobert_cli.recipe.parse import parse_document, resolve_plain

FILE = Origin(name="recipe.yaml")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("1E+3", 1000.0),
        (".5", 0.5),
        ("5.", 5.0),
        ("-3", -3),
        ("010", 10),
        ("0o10", 8),
        ("0x1F", 31),
        ("1:30", "1:30"),
        ("12:30:45", "12:30:45"),
        ("no", "no"),
        ("on", "on"),
        ("yes", "yes"),
        ("Off", "Off"),
        ("1_000", "1_000"),
        ("2026-01-02", "2026-01-02"),
        ("true", True),
        ("False", False),
        ("~", None),
        ("null", None),
        ("", None),
        ("e5", "e5"),
        ("1e", "1e"),
        ("٣", "٣"),  # a digit to int(), not to YAML
    ],
)
def test_plain_scalars_are_those_of_yaml_1_2(text: str, value: object) -> None:
    resolved = resolve_plain(text)
    assert resolved == value
    assert type(resolved) is type(value)


def test_quoted_scalars_are_text() -> None:
    document = parse_document("a: '1'\nb: \"true\"\nc: |\n  3\n", origin=FILE)
    assert document.value == {"a": "1", "b": "true", "c": "3\n"}


def test_every_key_and_item_keeps_its_line() -> None:
    document = parse_document("a:\n  b: 1\n\n  # c\n  c:\n    - x\n    - y\n", origin=FILE)
    assert document.lines == {("a",): 1, ("a", "b"): 2, ("a", "c"): 5, ("a", "c", 0): 6, ("a", "c", 1): 7}


def test_an_alias_repeats_its_value(load) -> None:
    loaded = load("extract: {clip_num_frames: &n 24, clip_stride_frames: *n}\n")
    assert loaded.recipe.extract.clip_stride_frames == 24


ALIAS_BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{new}: &{new} [{','.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefg", "bcdefgh", strict=True)
)


@pytest.mark.parametrize(
    ("whole", "line"),
    [
        ("[" * 20_000, "recipe.yaml:1: nested more than 50 levels deep -> a recipe has four levels"),
        ("{a: " * 20_000, "recipe.yaml:1: nested more than 50 levels deep -> a recipe has four levels"),
        (
            ALIAS_BOMB,
            "recipe.yaml:5: more than 10000 values, aliases written out -> a recipe has some hundred",
        ),
        (
            "run: &r x\nseed: [" + "*r," * 101 + "]\n",
            "recipe.yaml:2: more than 100 aliases (*name) -> write the values out",
        ),
        ("run: &a [*a]\n", "recipe.yaml:1: *a stands inside what it names -> write the value out"),
        ("run: *x\n", "recipe.yaml:1: *x names nothing -> write &x before the value it repeats"),
        (
            "run: a\n---\nrun: b\n",
            "recipe.yaml:2: a second document starts here -> one file is one recipe: remove the `---`",
        ),
        (
            "? [a]\n: 3\n",
            "recipe.yaml:1: a key must be a word, not a list, a section or an alias -> write `key: value`",
        ),
        (
            "run: a\n\tseed: 1\n",
            (
                "recipe.yaml:2: this is not YAML: found character '\\t' that cannot start any token "
                "-> indent with spaces, not tabs"
            ),
        ),
        (
            "run: a: b\n",
            (
                "recipe.yaml:1: this is not YAML: mapping values are not allowed here "
                "-> put a text that holds `: ` in quotes, or mend the indentation"
            ),
        ),
        (
            "run: 'a\n",
            "recipe.yaml:2: this is not YAML: found unexpected end of stream -> close the quote",
        ),
        (
            "\nrun: \x07\n",
            "recipe.yaml:2: the character '\\x07' is not allowed in YAML -> remove it, or write it as \\x.. in quotes",
        ),
        (
            b"run: r\ndata: \xe9\n",
            "recipe.yaml:2: the file is not UTF-8 text (byte 0xe9) -> save it as UTF-8",
        ),
        (
            "run: x\n".encode("utf-16"),
            "recipe.yaml:1: the file is not UTF-8 text (byte 0xff) -> save it as UTF-8",
        ),
    ],
)
def test_a_file_that_cannot_be_read_to_its_end_gives_one_problem(problems, whole, line) -> None:
    started = time.process_time()
    assert problems(whole=whole) == [line]
    assert time.process_time() - started < 10


def test_a_huge_file_is_refused_unread(problems) -> None:
    (line,) = problems(whole=b"x" * 1_000_001)
    assert line.startswith("recipe.yaml: the file has 1,000,001 bytes, a recipe at most 1,000,000")


def test_thousands_of_unknown_keys_answer_at_once(problems) -> None:
    started = time.process_time()
    lines = problems("".join(f"k{index}: 1\n" for index in range(4_900)))
    assert time.process_time() - started < 10
    assert len(lines) == 101
    assert lines[-1] == "and more"


@pytest.mark.parametrize("tag", ["!!python/object/apply:os.system", "!!int", "!mine"])
def test_tags_are_refused_and_nothing_runs(problems, tag: str) -> None:
    (line,) = [line for line in problems(f"seed: {tag} 3\n") if "tag" in line]
    assert line.startswith("recipe.yaml:4: seed: the tag ")
    assert line.endswith(" is not allowed: a recipe is plain data -> remove the tag")


def test_merge_keys_are_refused(problems) -> None:
    assert problems("extract: &e {reader: {}}\nquantize:\n  <<: *e\n") == [
        "recipe.yaml:6: quantize.<<: merge keys (<<) are not read: a recipe is a whole file -> write the keys out"
    ]


def test_keys_given_twice_name_both_lines(problems) -> None:
    assert problems("seed: 1\nrun: b\nseed: 1\n") == [
        "recipe.yaml:5: run: given twice, on lines 1 and 5 -> keep one of them",
        "recipe.yaml:6: seed: given twice, on lines 4 and 6 -> keep one of them",
    ]


@pytest.mark.parametrize(
    ("whole", "start"),
    [
        ("", "recipe.yaml: the recipe is empty -> it needs `run:` and `data:` with `videos:`"),
        ("# only a comment\n", "recipe.yaml: the recipe is empty -> it needs"),
        ("- a\n", "recipe.yaml: a recipe is keys with values, not a list or a text -> it needs"),
        ("hello\n", "recipe.yaml: a recipe is keys with values, not a list or a text -> it needs"),
    ],
)
def test_a_file_without_keys_says_what_a_recipe_needs(problems, whole: str, start: str) -> None:
    (line,) = problems(whole=whole)
    assert line.startswith(start)


def test_numbers_that_are_not_finite_are_refused(problems) -> None:
    lines = problems(
        "pretrain:\n  optimizer:\n    max_gradient_norm: .inf\n  losses: {text: 1e999, video: .nan}\n"
    )
    assert lines[0] == "recipe.yaml:6: pretrain.optimizer.max_gradient_norm: .inf is not a finite number"
    assert "recipe.yaml:7: pretrain.losses.text: 1e999 is not a finite number" in lines
    assert "recipe.yaml:7: pretrain.losses.video: .nan is not a finite number" in lines


def test_characters_that_no_text_can_hold_are_refused(problems) -> None:
    assert problems('evaluate: {verb: "a\\0", object: "\\ud800"}\n') == [
        "recipe.yaml:4: evaluate.verb: the text holds a NUL or half a character -> write it as UTF-8 text",
        "recipe.yaml:4: evaluate.object: the text holds a NUL or half a character -> write it as UTF-8 text",
    ]


def test_byte_order_mark_and_windows_line_ends_are_read(load) -> None:
    loaded = load(whole=b"\xef\xbb\xbfrun: a\r\ndata:\r\n  videos: v\r\nseed: 3\r\n")
    assert loaded.recipe.seed == 3
    assert loaded.origins["seed"] == "recipe.yaml:4"
