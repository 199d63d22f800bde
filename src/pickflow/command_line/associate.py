"""``pickflow associate``: events from a file of picks, without a run."""

from __future__ import annotations

from collections.abc import Sequence

from pickflow.command_line.parser import Parser, command_parser, count, say, value

EXAMPLES = """
pickflow associate picks.csv --stations stations.xml --velocity layers.nd --out catalog.xml
pickflow associate 2024-05-01.parquet --stations stations.xml --out day.csv --to csv       (picks of a run)
pickflow associate picks.csv --stations stations.xml --method stack --configfile my.yaml --out catalog.xml
"""


def make_parser() -> Parser:
    """The options of ``pickflow associate``."""
    details = (
        "Origins are those of the association: runs locate them anew, with station corrections, and add magnitudes.\n"
        "docs/association.md describes the method."
    )
    parser = command_parser("associate", EXAMPLES, details)
    parser.add_argument("picks", help="file of picks in any format that pickflow reads, such as a table of a run")
    parser.add_argument("--stations", nargs="+", required=True, metavar="FILE", help="StationXML")
    parser.add_argument("--velocity", metavar="FILE", help="velocity model, .nd or CSV (that of the configuration)")
    parser.add_argument("--method", default="pyocto", choices=("pyocto", "gamma", "stack"), help="(pyocto)")
    parser.add_argument("--configfile", metavar="CONFIG", help="whose section associate counts (defaults)")
    parser.add_argument("--cores", type=value(count), default=1, metavar="N", help="processors to use (1)")
    parser.add_argument("--to", default="quakeml", metavar="FORMAT", help="format to write (quakeml)")
    parser.add_argument("--out", required=True, metavar="FILE", help="file to write")
    return parser


def run(arguments: Sequence[str]) -> int:
    """Run ``pickflow associate``."""
    call = make_parser().parse_args(arguments)
    import pandas as pd

    from pickflow.associate import associate
    from pickflow.command_line.configuration import associate_section
    from pickflow.io.formats import catalog_tables, read_bulletin, write_catalog
    from pickflow.io.inventory import read_inventory, stations_table
    from pickflow.io.tables import conform
    from pickflow.run.settings.associate import AssociateParams
    from pickflow.schemas import PICKS
    from pickflow.travel_times.files import velocity_model

    section = associate_section(call.configfile)
    velocity = section["velocity_model"] | ({"file": call.velocity} if call.velocity else {})
    params = AssociateParams(**section | {"threads": call.cores})
    stations = stations_table(read_inventory(call.stations))
    picks = conform(catalog_tables(read_bulletin(call.picks))[2], PICKS)
    if picks.empty:
        raise ValueError(f"{call.picks}: no picks in it")
    networks = stations.drop_duplicates(["network", "station"]).drop_duplicates("station", keep=False)
    network = picks["station"].map(networks.set_index("station")["network"])
    picks["network"] = picks["network"].where(picks["network"] != "", network.fillna(""))
    slack = pd.Timedelta(seconds=params.halo_s or 120.0)  # an origin is before its first pick
    window = ((picks["time"].min() - slack).to_pydatetime(), (picks["time"].max() + slack).to_pydatetime())
    events, assignments = associate(picks, stations, velocity_model(**velocity), params, call.method, window)
    write_catalog(events, assignments, picks, call.out, call.to)
    return say(f"{call.out}: {len(events)} events from {len(assignments)} of {len(picks)} picks")
