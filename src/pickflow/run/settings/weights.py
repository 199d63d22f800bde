"""Section ``weights`` of a configuration."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pickflow.run.settings.section import Names, Section, Text, key


class WeightsParams(Section):
    """Where the weights of models come from."""

    AFFECTS: ClassVar = ("nothing",)

    cache: Text | None = key(
        None,
        "SeisBench cache (the folder that holds models/v3) that is searched first, and only read; null uses "
        "SEISBENCH_CACHE_ROOT or ~/.seisbench.",
    )
    repository: Text | None = key(
        None, "Base URL of another SeisBench repository, such as a mirror; null uses SeisBench's own."
    )
    user: Text | None = key(None, "User name for the repository; null for none.")
    password_env: Text | None = key(None, "Name of the environment variable that holds the password of user.")
    files: Annotated[dict[Text, Text], Names] = key(
        {},
        "Weights given as files: MODEL/WEIGHTS to a folder with model.safetensors and card.json, or to a "
        "SeisBench pair without its ending (path/name for path/name.pt and path/name.json).",
    )
