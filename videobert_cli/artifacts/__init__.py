"""The one writer of everything that must survive `kill -9`: files published whole, artifacts sealed and verified."""

from videobert_cli.artifacts.files import (
    append_line,
    discard,
    hash_file,
    hash_json,
    publish,
    publish_bytes,
    publish_directory,
    publish_json,
    publish_lines,
    publish_text,
    sweep,
)
from videobert_cli.artifacts.manifest import (
    MANIFEST_NAME,
    Damage,
    FileRecord,
    Manifest,
    is_finished,
    read_manifest,
    require_intact,
    seal,
    verify,
)

__all__ = [
    "MANIFEST_NAME",
    "Damage",
    "FileRecord",
    "Manifest",
    "append_line",
    "discard",
    "hash_file",
    "hash_json",
    "is_finished",
    "publish",
    "publish_bytes",
    "publish_directory",
    "publish_json",
    "publish_lines",
    "publish_text",
    "read_manifest",
    "require_intact",
    "seal",
    "sweep",
    "verify",
]
