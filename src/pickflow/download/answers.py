"""Check that data centres answered for all stations of a day."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from pickflow.download.webservice import WITHOUT_INTERNET
from pickflow.run.settings.download import DownloadParams

MOST_NAMED = 5  # chosen: stations in the message


def require_answers(manifest: pd.DataFrame, params: DownloadParams) -> None:
    """
    Refuse a day with stations for which a server failed.

    Parameters
    ----------
    manifest : DataFrame
        `MANIFEST` of a day.
    params : DownloadParams
        Servers and cache, for the message.

    Raises
    ------
    ValueError
        If a station without waveforms has the remark ``server_error``.
    """
    is_failed = manifest["remarks"].str.split(",").map(lambda codes: "server_error" in codes) & ~manifest["usable"]
    if not is_failed.any():
        return
    missing = manifest[is_failed]
    names = [f"{row.network}.{row.station} ({row.detail})" for row in missing.head(MOST_NAMED).itertuples()]
    tail = [f"and {len(missing) - MOST_NAMED} more"] if len(missing) > MOST_NAMED else []
    raise ValueError(
        f"download of {missing['date'].iloc[0]}: no answer for {len(missing)} of {len(manifest)} stations: "
        f"{', '.join(names + tail)}. What was obtained is kept in {Path(params.cache, 'fdsn')}: start the same command "
        f"again later, and only missing data are requested; {WITHOUT_INTERNET}; to take days as they are, set "
        "download.fdsn.server_errors: accept"
    )
