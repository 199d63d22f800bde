"""The bulletin of OGS: cards of our own making, and the files of 2024 line by line."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pickflow.io.formats import join, read_bulletin, read_ogs
from pickflow.io.formats.cards import Card
from pickflow.io.formats.times import full_year
from tests.format_samples import n_accounted

END = " " * 17 + "1" + " " * 46 + "D"


def card(
    station="ABCD", p="226", s="", date="1240131", clock="2359", p_code="iPc1", s_code=" S 2", coda="", number="7"
):
    """A phase card: seconds without a point are hundredths, as FORTRAN's F5.2 has them."""
    line = f"{station:<4}{p_code:4}{date:>7}{clock:4}{p:>5}".ljust(31) + f"{s:>5}{s_code if s else '':4}"
    return line.ljust(62) + f"FLD   {coda:>7}{number:>4} gg"


@pytest.fixture
def read(tmp_path):
    def read(*lines, name="bulletin.dat", **options):
        (tmp_path / name).write_bytes("\n".join([*lines, ""]).encode("latin-1"))
        return read_bulletin(tmp_path / name, **options)

    return read


def test_a_card_is_a_p_and_an_s_at_seconds_of_its_minute(read):
    p, s = read(card(p="3460", s="42.34", coda="240"), END).picks.to_dict("records")
    assert (p["station"], p["network"], p["phase"], p["polarity"], p["onset"]) == ("ABCD", "", "P", "U", "i")
    assert (p["time"], s["time"]) == tuple(pd.to_datetime(["2024-01-31T23:59:34.60Z", "2024-01-31T23:59:42.34Z"]))
    assert (p["weight"], s["weight"], p["coda_s"]) == (0.75, 0.5, 24.0)
    assert (s["phase"], s["polarity"], s["onset"]) == ("S", "", "")


def test_seconds_may_pass_the_minute_and_the_day_and_the_month(read):
    picks = read(card(p="5990", s="10234"), END).picks
    assert list(picks.time) == [pd.Timestamp("2024-01-31T23:59:59.90Z"), pd.Timestamp("2024-02-01T00:00:42.34Z")]
    assert read(card(p="6000"), END).picks.time[0] == pd.Timestamp("2024-02-01T00:00:00Z")


def test_cards_of_an_event_may_stand_on_both_sides_of_midnight(read):
    bulletin = read(card(p="5900"), card("EFGH", p="0100", date="1240201", clock="0000"), END)
    assert len(bulletin.events) == 1
    assert np.ptp(bulletin.picks.time).total_seconds() == 2.0


@pytest.mark.parametrize(
    ("text", "year"),
    [
        ("124", 2024),
        ("099", 1999),
        (" 24", 2024),
        ("69", 2069),
        ("70", 1970),
        ("99", 1999),
        (" 00", 2000),
        ("1998", 1998),
    ],
)
def test_years_of_two_digits_turn_at_1970_and_those_of_three_count_from_1900(text, year):
    assert full_year(text) == year


def test_cards_without_a_century_are_read_too(read):
    assert read(card(date=" 980131"), END).picks.time[0].year == 1998


def test_s_without_p_and_p_without_s(read):
    picks = read(card(p="", p_code="    ", s="0500"), card("EFGH", p="0300"), END).picks
    assert list(zip(picks.station, picks.phase, strict=True)) == [("ABCD", "S"), ("EFGH", "P")]


@pytest.mark.parametrize(("code", "weight"), [(" ", 1), ("0", 1), ("1", 0.75), ("2", 0.5), ("3", 0.25), ("4", 0)])
def test_weights_are_those_of_hypo71(read, code, weight):
    assert read(card(p_code=f"?P {code}"), END).picks.weight[0] == weight


def test_a_station_may_have_two_lines_but_not_the_same_pick_twice(read):
    bulletin = read(card(p="0226"), card(p="0300"), card(p="0226"), END)
    assert len(bulletin.picks) == 2
    assert list(bulletin.rejected.line) == [3]
    assert bulletin.rejected.reason[0] == "P stands on line 1 already"
    assert (bulletin.events.n_picks[0], bulletin.events.n_stations[0]) == (2, 1)


@pytest.mark.parametrize(
    ("line", "reason", "n_picks"),
    [
        (card(date="1241331"), "date 2024-13-31: month must be in 1..12", 1),
        (card(p="1x.0"), "seconds of P '1x.0' in columns 20-24 is no number", 1),
        (card(s="abc"), "seconds of S 'abc' in columns 32-36 is no number", 2),
        (card(p_code="iPc7"), "weight '7' in column 8 is none of 0 to 4", 1),
        (card(p="1100", s="1102", s_code=" S 9").replace("1102", "1099"), "S is 0.01 s before P, which was read", 2),
        (card(clock="0759"), "P is 57600 s before its event: a wrong date, hour or minute", 1),
        (card(p="", p_code="    "), "neither P nor S has a time", 1),
        ("\x00\x01 garbage", "is no station", 1),
        ("* a remark", "is no station", 1),
        (card()[:15], "hour '' in columns 16-17 is no whole number", 1),
    ],
)
def test_a_line_that_cannot_be_read_is_listed_with_its_number_and_the_reason(read, line, reason, n_picks):
    bulletin = read(card("EFGH"), line, END)
    assert list(bulletin.rejected.line) == [2]
    assert reason in bulletin.rejected.reason[0]
    assert len(bulletin.picks) == n_picks
    assert (bulletin.n_lines, bulletin.n_read, bulletin.n_headers) == (3, 1, 1)


def test_a_cut_file_and_a_lost_end_card_keep_their_events(read):
    bulletin = read(card(number="7"), card("EFGH", number="8"), card("IJKL", number="8")[:40])
    assert list(bulletin.events.event_id) == ["2024_00007", "2024_00008"]
    assert len(bulletin.picks) == 3


def test_numbers_that_come_again_give_other_identifiers(read):
    bulletin = read(card(), END, card(date="1240731"), END)
    assert list(bulletin.events.event_id) == ["2024_00007", "2024_00007-2"]


HPC = (
    "      1240131 2359 57.05 46-30.00  10- 6.00   9.27   1.54 20 16  94 1 0.25  0.6  1.4 B B/B 0.40 10 20 0.00 0.18"
    "  0  0.0  0.0  3  1.5  0.5 4  0.4  0.4         10"
)
PHASES = (
    "       ABCD  16.4 249 119 iPc1 2359 59.90  2.85  3.22  0.00 -0.02  1.98   0  0  0.00 0      FLD 240 1.6   S 2"
    " 64.66  7.61 -0.13   2.0      ABCD    gg",
    "       EFGH 120.0  49 119 eP 3    0  3.00  5.95  6.22  0.00  0.30  1.98   0  0  0.00 0      FLD",
)


def test_locations_carry_their_phases_over_midnight(read):
    bulletin = read(HPC, *PHASES, name="bulletin.hpc")
    event = bulletin.events.iloc[0]
    assert (event.time, event.event_id) == (pd.Timestamp("2024-01-31T23:59:57.05Z"), "20240131T235957.05")
    assert [event.latitude_deg, event.longitude_deg, event.depth_km] == pytest.approx([46.5, 10.1, 9.27])
    assert (event.rms_residual_s, event.azimuthal_gap_deg, event.quality) == (0.25, 94.0, "B")
    assert (event.horizontal_uncertainty_km, event.depth_uncertainty_km) == (0.6, 1.4)
    assert (event.magnitude, event.magnitude_type, event.n_magnitude_stations, event.n_picks) == (1.54, "Md", 3, 3)
    picks = bulletin.picks
    expected = ["2024-01-31T23:59:59.90Z", "2024-02-01T00:00:04.66Z", "2024-02-01T00:00:03Z"]
    assert list(picks.time) == [pd.Timestamp(time) for time in expected]
    assert list(picks.residual_s) == [-0.02, -0.13, 0.3]
    assert (list(picks.distance_km), list(picks.azimuth_deg)) == ([16.4, 16.4, 120.0], [249, 249, 49])


def test_an_event_without_an_origin_has_no_place_and_the_time_of_its_first_pick(read):
    empty = "      1240131 2359" + " " * 35 + "3.88" + " " * 101 + "9"
    bulletin = read(empty, PHASES[0], name="bulletin.hpc")
    event = bulletin.events.iloc[0]
    assert np.isnan([event.latitude_deg, event.longitude_deg, event.magnitude]).all()
    assert event.time == pd.Timestamp("2024-01-31T23:59:59.90Z")
    assert (list(bulletin.picks.phase), list(bulletin.rejected.line)) == (["P"], [2])
    assert "S of an event without an origin is cut or missing" in bulletin.rejected.reason[0]


def test_phases_below_a_location_that_cannot_be_read_are_listed(read):
    bulletin = read(HPC, PHASES[0], HPC.replace("46-30.00", "46-xx.00"), PHASES[1], name="bulletin.hpc")
    assert list(bulletin.rejected.line) == [3, 4]
    assert "minutes of latitude 'xx.00' in columns 29-33" in bulletin.rejected.reason[0]
    assert bulletin.rejected.reason[1] == "a phase without an event above it that could be read"


def test_south_and_west_are_negative():
    assert Card("46S30.00").coordinate(0, 8, "latitude") == -46.5
    assert Card(" 10W 6.00").coordinate(0, 9, "longitude") == pytest.approx(-10.1)


TXT = """index;event-id;origin_time(UTC);t_err;lat;lon;h_err;depth;v_err;gap;ml;md;place;event_type
00007;2024_00007;2024-01-31T23:59:57.050; 0.25;46.5000;10.1000;  0.6;  9.3;  0.6; 94; 1.4; 1.5;GUARDA;[earthquake]
00008;2024_00008;2024-02-01T01:00:00.560;-----;46.0520;13.6513;-----;  0.9;-----;102; 1.2;----;GO;[suspected explosion]
00009;2024_00009;yesterday;-----;46.0520;13.6513;-----;  0.9;-----;102; 1.2;----;PLAVE;[earthquake]
00010;2024_00010;2024-02-01T01:00:00.560;46.0520
"""


def test_the_catalog_says_sizes_types_and_places_and_dashes_are_unknown(read):
    bulletin = read(TXT.rstrip(), name="bulletin.txt")
    first, second = bulletin.events.to_dict("records")
    assert (first["magnitude"], first["magnitude_type"], first["rms_residual_s"]) == (1.4, "ML", 0.25)
    assert np.isnan([second["rms_residual_s"], second["horizontal_uncertainty_km"]]).all()
    assert np.isnan(first["depth_uncertainty_km"])  # the file repeats the horizontal one there
    assert list(bulletin.descriptions.event_type) == ["earthquake", "suspected explosion"]
    assert bulletin.descriptions.duration_magnitude.isna().tolist() == [False, True]
    assert list(bulletin.rejected.line) == [4, 5]


def test_the_files_of_a_bulletin_become_one(read, tmp_path):
    read(card(p="5990", s="6466"), card("EFGH", p="0300", date="1240201", clock="0000"), card("REP0", p="5995"), END)
    read(HPC, *PHASES, name="bulletin.hpc")
    read(TXT.rstrip(), name="bulletin.txt")
    bulletin = read_ogs(tmp_path / "bulletin")
    first = bulletin.events.iloc[0]
    assert list(bulletin.events.event_id) == ["2024_00007", "2024_00008"]
    assert (first.depth_km, first.magnitude, first.magnitude_type, first.n_picks) == (9.27, 1.4, "ML", 4)
    assert (first.depth_uncertainty_km, first.quality) == (1.4, "B")
    assert list(bulletin.picks.residual_s.round(2)[:3]) == [-0.02, -0.13, 0.3]
    assert bulletin.picks.residual_s.isna().tolist() == [False, False, False, True]
    with pytest.raises(ValueError, match="nothing: no OGS bulletin there"):
        read_ogs(tmp_path / "nothing")


def test_events_are_linked_by_their_arrivals_and_else_by_their_times(read, tmp_path):
    cards = read(card(p="5990", number=""), END, card(p="1000", date="1240731", number=""), END)
    located = join(cards, read(HPC, *PHASES, name="bulletin.hpc"))
    assert located.events.latitude_deg.notna().tolist() == [True, False]
    pun = read("12401312359 57.05 46-30.00  10- 6.00   9.27   1.54 20  94 16.4 0.25  0.6  1.4 B1", name="x.pun")
    assert list(pun.events.magnitude) == [1.54]
    by_time = join(cards, pun)
    assert by_time.events.latitude_deg.notna().tolist() == [True, False]
    assert len(by_time.events) == 2


@pytest.fixture(scope="module")
def ogs(shared):
    stem = shared / "data" / "ogs-2024" / "RSFVG-2024"
    if not stem.with_suffix(".dat").exists():
        pytest.skip(f"no bulletin of OGS at {stem}")
    return {ending: read_bulletin(stem.with_suffix(f".{ending}")) for ending in ("dat", "hpc", "pun", "txt")}, stem


@pytest.mark.parametrize(
    ("ending", "n_events", "n_picks", "n_headers", "n_rejected"),
    [("dat", 2004, 28412, 2004, 2), ("hpc", 2004, 28218, 0, 79), ("pun", 1890, 0, 1, 0), ("txt", 2004, 0, 1, 0)],
)
def test_no_line_of_2024_is_lost(ogs, ending, n_events, n_picks, n_headers, n_rejected):
    bulletin = ogs[0][ending]
    n_lines = ogs[1].with_suffix(f".{ending}").read_bytes().count(b"\n")
    assert bulletin.n_lines == n_lines == n_accounted(bulletin)
    assert (len(bulletin.events), len(bulletin.picks)) == (n_events, n_picks)
    assert (bulletin.n_headers, bulletin.n_rejected) == (n_headers, n_rejected)


def test_the_lines_of_2024_give_the_picks_that_a_count_of_their_columns_gives(ogs):
    lines = ogs[1].with_suffix(".dat").read_text("latin-1").split("\n")
    n_p = sum(bool(line[:4].strip() and line[19:24].strip()) for line in lines)
    n_s = sum(bool(line[:4].strip() and line[31:36].strip()) for line in lines)
    picks = ogs[0]["dat"].picks
    assert (n_p - (picks.phase == "P").sum(), n_s - (picks.phase == "S").sum()) == (1, 1)  # the two rejected ones


def test_the_cards_of_2024_agree_with_the_phases_below_the_locations(ogs):
    key = ["station", "phase", "time"]
    cards, phases = ogs[0]["dat"].picks, ogs[0]["hpc"].picks
    pairs = cards.merge(phases, on=key, how="outer", indicator=True, suffixes=("", "_hpc"))
    assert (pairs._merge == "right_only").sum() == 0
    only = pairs[pairs._merge == "left_only"]
    explosions = ogs[0]["txt"].descriptions.query("event_type != 'earthquake'").event_id
    without_place = only.station == "REP0"  # their program had no coordinates of it
    of_explosion = only.event_id.isin(explosions) & (only.phase == "S")
    assert (without_place.sum(), (of_explosion & ~without_place).sum()) == (111, 78)
    assert (without_place | of_explosion).all()
    agreed = pairs[(pairs._merge == "both") & ~pairs.duplicated(key, keep=False)]  # some stand in two events
    assert (agreed.weight == agreed.weight_hpc).all()
    assert (agreed.polarity == agreed.polarity_hpc).all()


def test_the_summary_cards_of_2024_agree_with_the_catalog(ogs):
    pairs = ogs[0]["pun"].events.merge(ogs[0]["txt"].events, on="time", suffixes=("", "_txt"))
    assert len(pairs) == 1890
    assert (pairs.latitude_deg - pairs.latitude_deg_txt).abs().max() < 0.002
    assert (pairs.longitude_deg - pairs.longitude_deg_txt).abs().max() < 1e-4
    assert (pairs.depth_km - pairs.depth_km_txt).abs().max() < 0.051
    assert (pairs.rms_residual_s - pairs.rms_residual_s_txt).abs().max() < 0.001
    assert (pairs.azimuthal_gap_deg == pairs.azimuthal_gap_deg_txt).all()


def test_the_four_files_of_2024_are_one_bulletin(ogs):
    bulletin = read_ogs(ogs[1])
    events, picks = bulletin.events, bulletin.picks
    assert (len(events), len(picks)) == (2004, 28412)
    assert events.latitude_deg.notna().all()
    assert (events.magnitude_type == "ML").all()
    assert set(picks.event_id) == set(events.event_id)
    after_s = (picks.time - picks.event_id.map(events.set_index("event_id").time)).dt.total_seconds()
    assert after_s.between(0, 200).all()
    assert list(bulletin.descriptions.event_type.value_counts()) == [1890, 114]


def test_distances_of_2024_are_those_of_the_stations(ogs):
    stations = pd.read_csv(ogs[1].with_name("stations_derived.csv")).dropna().set_index("station")
    hpc = ogs[0]["hpc"]
    picks = hpc.picks.dropna(subset=["distance_km"])
    picks = picks[picks.station.isin(stations.index) & (picks.distance_km < 100)]
    place = hpc.events.set_index("event_id").loc[picks.event_id]
    north = (stations.latitude.loc[picks.station].to_numpy() - place.latitude_deg.to_numpy()) * 111.19
    east = (stations.longitude.loc[picks.station].to_numpy() - place.longitude_deg.to_numpy()) * 111.19
    distance = np.hypot(north, east * np.cos(np.radians(place.latitude_deg.to_numpy())))
    assert np.median(np.abs(distance - picks.distance_km)) < 0.2
