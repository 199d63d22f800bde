from pathlib import Path

import pandas as pd
import pytest

from pickflow.io.atomic import atomic_path, write_text
from pickflow.io.tables import conform, read_provenance, read_table, read_tables, write_table
from pickflow.schemas import MANIFEST, REASONS, STATIONS, worst_reason


def stations(*codes):
    return pd.DataFrame(
        {"network": "XX", "station": codes, "latitude_deg": 46.0, "longitude_deg": 13.0, "elevation_m": 1.0}
    )


def test_tables_are_sorted_and_typed():
    table = conform(stations("B", "A").assign(elevation_m=1, extra="dropped"), STATIONS)
    assert list(table["station"]) == ["A", "B"]
    assert list(table.columns) == STATIONS.schema.names
    assert table["elevation_m"].dtype == "float64"


def test_an_empty_table_has_all_columns():
    assert list(conform(pd.DataFrame(), MANIFEST).columns) == MANIFEST.schema.names


def test_double_keys_and_missing_columns_are_refused():
    with pytest.raises(ValueError, match="more than once"):
        conform(stations("A", "A"), STATIONS)
    with pytest.raises(ValueError, match="'latitude_deg' is missing"):
        conform(stations("A").drop(columns="latitude_deg"), STATIONS)
    with pytest.raises(ValueError, match="stations"):
        conform(stations("A").assign(elevation_m="high"), STATIONS)


def test_the_same_content_gives_the_same_bytes(tmp_path):
    write_table(stations("A", "B"), STATIONS, tmp_path / "one.parquet", {"stage": "x"})
    write_table(stations("B", "A"), STATIONS, tmp_path / "two.parquet", {"stage": "x"})
    assert (tmp_path / "one.parquet").read_bytes() == (tmp_path / "two.parquet").read_bytes()
    assert read_provenance(tmp_path / "one.parquet") == {"stage": "x"}
    table = read_tables([tmp_path / "one.parquet"], STATIONS)
    pd.testing.assert_frame_equal(table, read_table(tmp_path / "two.parquet", STATIONS))


def test_a_damaged_table_is_named(tmp_path):
    path = tmp_path / "broken.parquet"
    path.write_bytes(b"PAR1 and nothing else")
    with pytest.raises(ValueError, match=r"broken\.parquet: not a readable Parquet"):
        read_table(path, STATIONS)


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    target = tmp_path / "file.txt"
    write_text(target, "old")

    def fail_in_the_middle():
        with atomic_path(target) as temporary:
            temporary.write_text("ne")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_in_the_middle()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_the_worst_reason_wins():
    assert worst_reason(["gap", "dead_channel", "ok"]) == "dead_channel"
    assert worst_reason([]) == "ok"
    with pytest.raises(ValueError, match="unknown reason code 'gone'"):
        worst_reason(["gone"])


def test_reasons_that_end_the_station_day_come_first():
    usable = [reason.usable for reason in REASONS.values()]
    assert usable == sorted(usable)


def test_the_documentation_explains_every_reason_code():
    text = (Path(__file__).parents[2] / "docs" / "data-formats.md").read_text()
    for code, reason in REASONS.items():
        assert f"| `{code}` | {'yes' if reason.usable else 'no'} | {reason.meaning} |" in text
