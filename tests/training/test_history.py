"""Metrics read back: parts, torn lines, and files that are not there."""

from videobert_cli.core.training.history import curves, read_records


def test_lines_are_sorted_into_parts(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text(
        '{"step": 2, "loss": 3.0, "learning_rate": 0.1}\n'
        '{"step": 2, "speed": {"seconds": 1.5}}\n'
        '{"step": 4, "validation": {"loss": 2.5, "zero_shot.verb.top1": 0.5}}\n'
        '{"step": 4, "loss": 2.0, "learning_rate": 0.1}\n'
        '{"step": 6, "loss": 1.'
    )
    records = read_records(path)
    assert curves(records, "training") == {
        "loss": [(2, 3.0), (4, 2.0)],
        "learning_rate": [(2, 0.1), (4, 0.1)],
    }
    assert curves(records, "validation") == {"loss": [(4, 2.5)], "zero_shot.verb.top1": [(4, 0.5)]}
    assert curves(records, "speed") == {"seconds": [(2, 1.5)]}


def test_no_file_is_no_line(tmp_path):
    assert read_records(tmp_path / "metrics.jsonl") == []


def test_what_is_no_record_is_left_out(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'[1]\n{"loss": 1}\n{"step": "x"}\n\xff\n{"step": 1, "loss": true, "note": "n"}\n')
    assert curves(read_records(path), "training") == {}
