"""Where a table comes from: versions, parameters and digests of the inputs; never the time of day."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pickflow import __version__
from pickflow.secrets import redact_all
from pickflow.versions import STAGE_VERSIONS

# Of the files of the library; what is compiled is made of them.
ENDINGS = ("py", "c", "h", "json", "j2", "safetensors", "typed")

WORKFLOW_FILES = "workflow_files"  # see setup.py


def provenance(stage: str, parameters: Mapping[str, Any], inputs: Mapping[str, str]) -> dict[str, Any]:
    """
    Describe how a table was made.

    Parameters
    ----------
    stage : str
        A key of `STAGE_VERSIONS`.
    parameters : mapping
        Parameters of the stage; secrets are hidden.
    inputs : mapping of str to str
        Digest of each input, by name.

    Returns
    -------
    dict
        Ready for JSON; the same inputs give the same bytes.
    """
    return {
        "pickflow": __version__,
        "code": code_digest(),
        "stage": stage,
        "stage_version": STAGE_VERSIONS[stage],
        "parameters": redact_all(json.loads(json.dumps(dict(parameters), sort_keys=True, default=str))),
        "inputs": dict(sorted(inputs.items())),
    }


@functools.cache
def code_digest() -> str:
    """
    First digits of the SHA-256 of the library's sources and data files: the same wherever it runs.

    It tells versions between versions apart. The workflow below an installed library is left out.
    """
    folder = Path(__file__).parent
    digest = hashlib.sha256()
    for path in sorted(path for ending in ENDINGS for path in folder.rglob(f"*.{ending}")):
        if path.is_relative_to(folder / WORKFLOW_FILES):
            continue
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def sha256_of_bytes(content: bytes) -> str:
    """SHA-256 of bytes, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def sha256_of_file(path: str | Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def content_id(prefix: str, *parts: object) -> str:
    """Short identifier made of its content only: ``prefix`` and 16 hexadecimal digits."""
    return prefix + sha256_of_bytes("|".join(map(str, parts)).encode())[:16]
