"""JSON files that pickflow reads back, checked by a schema."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema

from pickflow.io.atomic import StorageError

AGAIN = "if the run made it, delete it and start the same command again: it is made anew"
_SHOWN_CHARACTERS = 200  # chosen
# Timing of picking a day, beside the log of the job.
_AMOUNT = {"type": "number", "minimum": 0}
TIMING_SCHEMA = {
    "required": ["cpu_s", "full_station_days"],
    "properties": {"cpu_s": _AMOUNT, "full_station_days": _AMOUNT},
}


def read_json(path: str | Path, schema: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """
    Read a JSON file that holds an object.

    Parameters
    ----------
    path : str or Path
        The file.
    schema : mapping, optional
        JSON schema that the object must fit.

    Raises
    ------
    FileNotFoundError
        If there is none.
    StorageError
        If it cannot be read, is not JSON in UTF-8 (which has no NaN), is nested too deeply, is no object, or does not
        fit the schema.
    """
    try:
        content = json.loads(Path(path).read_bytes().decode(), parse_constant=_refuse)
        if not isinstance(content, dict):
            raise StorageError(f"{path}: an object of names and values is expected, not {_excerpt(content)}; {AGAIN}")
        jsonschema.validate(content, schema or {}, jsonschema.Draft202012Validator)
    except (FileNotFoundError, StorageError):
        raise
    except jsonschema.ValidationError as error:
        json_path = error.json_path.removeprefix("$").removeprefix(".")
        prefix = f"key {json_path}: " if json_path else ""
        raise StorageError(f"{path}: {prefix}{_excerpt(error.message)}; {AGAIN}") from None
    except (OSError, ValueError, RecursionError) as error:
        raise StorageError(f"{path}: not JSON that can be read ({_excerpt(error)}); {AGAIN}") from error
    return content


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def _excerpt(value: object) -> str:
    text = str(value)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"
