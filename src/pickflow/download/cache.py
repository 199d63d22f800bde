"""Answers of servers on disk: each with its checksum, whole or not at all."""

from __future__ import annotations

import logging
from pathlib import Path

from pickflow.io.atomic import write_bytes, write_text
from pickflow.provenance import sha256_of_bytes

logger = logging.getLogger(__name__)


def cache_key(*parts: str) -> str:
    """Digest of a request; the parts hold no secrets."""
    return sha256_of_bytes("\n".join(parts).encode())


def read_answer(folder: Path, key: str) -> bytes | None:
    """Answer stored under a key; None if there is none or it is damaged."""
    path = _path(folder, key)
    try:
        content, checksum = path.read_bytes(), path.with_suffix(".sha256").read_bytes()
    except FileNotFoundError:
        return None
    if sha256_of_bytes(content).encode() != checksum:
        logger.warning("%s: damaged in the cache, asking again", path)
        return None
    return content


def write_answer(folder: Path, key: str, content: bytes) -> None:
    """Store an answer; it is valid once its checksum is written."""
    path = _path(folder, key)
    write_bytes(path, content)
    write_text(path.with_suffix(".sha256"), sha256_of_bytes(content))


def _path(folder: Path, key: str) -> Path:
    return folder / key[:2] / f"{key}.body"
