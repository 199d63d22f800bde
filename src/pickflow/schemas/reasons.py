"""Reason codes: of the ledger, and of magnitudes of stations."""

from __future__ import annotations

from typing import NamedTuple


class Reason(NamedTuple):
    """Meaning of a reason code, and whether the station-day is still used."""

    meaning: str
    usable: bool


# From the worst to the harmless: the ledger names the first that holds, and lists all in `remarks`.
REASONS: dict[str, Reason] = {
    "unauthorized": Reason("the server refused access (401/403): a token or password is missing or wrong", False),
    "server_error": Reason("the server failed after all retries", False),
    "no_data": Reason("the source has no waveforms for this station and day", False),
    "empty_file": Reason("the files found are empty", False),
    "foreign_file": Reason("the files found are not waveforms that ObsPy can read, or say no station", False),
    "no_channel": Reason("no channel of the asked bands; others may exist, see detail", False),
    "gap_too_long": Reason("less of the day is covered than download.min_coverage", False),
    "dead_channel": Reason("every component is constant", False),
    "wrong_rate_unusable": Reason("the sampling rates cannot be", False),
    "download_failed": Reason("reading or judging this record failed in an unforeseen way, see the log", False),
    "denoise_failed": Reason("the denoiser failed on this record", False),
    "pick_failed": Reason("the picker failed on this record", False),
    "too_short": Reason("every piece is shorter than the model's window", True),
    "no_metadata": Reason("no coordinates in the inventory at that time: picked, but not associated", True),
    "clock_jump": Reason("the time stamps jump by a fraction of a sample, or overlapping samples contradict", True),
    "wrong_rate": Reason("the sampling rate is not the one of the inventory, or of the other components", True),
    "metadata_mismatch": Reason("the inventory contradicts the data or itself (epoch, place, angles, response)", True),
    "truncated_file": Reason("a file ends in the middle of a record; the part before was used", True),
    "damaged_file": Reason("parts of a file are damaged or no records; the rest was used", True),
    "dead_component": Reason("a component is constant and was dropped", True),
    "one_component": Reason("only one component", True),
    "two_components": Reason("only two components", True),
    "duplicate_location": Reason("several location codes or instruments; one was chosen by priority", True),
    "saturated": Reason("the recording is clipped", True),
    "step": Reason("the recording has a lasting offset", True),
    "spike": Reason("the recording has isolated spikes", True),
    "overlap": Reason("overlapping, identical samples were merged", True),
    "gap": Reason("the recording has gaps", True),
    "resampled": Reason("the record was resampled to the model's rate", True),
    "no_picks": Reason("everything worked and nothing was picked", True),
    "ok": Reason("nothing to remark", True),
}

# Why an event has a magnitude of a station, or none; `usable` is whether it has one.
AMPLITUDE_REASONS: dict[str, Reason] = {
    "no_coordinates": Reason("the station has no coordinates in the inventory", False),
    "no_waveform": Reason("the station-day has no waveforms; the manifest says why", False),
    "one_component": Reason("there is no horizontal component, or only one", False),
    "no_response": Reason("the inventory has neither response nor sensitivity of a horizontal channel", False),
    "gap": Reason("samples are missing between the noise and the end of the window", False),
    "overlapping": Reason("waves of the next or an earlier event lie in the window", False),
    "clipped": Reason("the record is clipped inside the window", False),
    "low_snr": Reason("the signal does not stand out of the noise before P", False),
    "distance": Reason("the law does not reach so near or so far; the amplitude is given", False),
    "cut": Reason("the window was cut where the next event arrives, after the S waves", True),
    "metadata_mismatch": Reason("the response contradicts the sensitivity, which was taken, as flat", True),
    "flat_response": Reason("only the sensitivity is known: the response is taken as flat", True),
    "ok": Reason("nothing to remark", True),
}


def worst_reason(reasons: list[str]) -> str:
    """
    Worst of several reason codes (``ok`` if there are none).

    Raises
    ------
    ValueError
        If a code is not in `REASONS`.
    """
    unknown = [reason for reason in reasons if reason not in REASONS]
    if unknown:
        raise ValueError(f"unknown reason code {unknown[0]!r}; known: {', '.join(REASONS)}")
    order = list(REASONS)
    return min(reasons, key=order.index, default="ok")
