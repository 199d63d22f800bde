"""A day that is not whole because a data centre failed is not a result."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from pickflow.download.params import DownloadParams

MOST_NAMED = 5


def require_answers(manifest: pd.DataFrame, params: DownloadParams) -> None:
    """
    Refuse a day with stations that could not be asked for.

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
    failed = manifest["remarks"].str.split(",").map(lambda codes: "server_error" in codes) & ~manifest["usable"]
    if not failed.any():
        return
    missing = manifest[failed]
    named = [f"{row.network}.{row.station} ({row.detail})" for row in missing.head(MOST_NAMED).itertuples()]
    more = [f"and {len(missing) - MOST_NAMED} more"] if len(missing) > MOST_NAMED else []
    raise ValueError(
        f"download of {missing['date'].iloc[0]}: no answer for {len(missing)} of {len(manifest)} stations: "
        f"{', '.join(named + more)}. What was obtained is kept in {Path(params.cache, 'fdsn')}: start the same command "
        "again later, and only what is missing is asked for; on a node without internet, run the targets download_all "
        "and weights_all on a login node first; to take days as they are, set download.fdsn.server_errors: accept"
    )
