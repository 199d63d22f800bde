"""Names of catalogs and paths of a run have one home each."""

import ast
import re
from pathlib import Path

import pytest

from pickflow.run.keys import CatalogKey, PickSetKey
from pickflow.run.layout import LOGS, RunLayout

ROOT = Path(__file__).parents[2]
HOME = ROOT / "src" / "pickflow" / "run" / "layout.py"
KEY = CatalogKey(PickSetKey("none", "PhaseNet", "stead"), "gamma")
RUN = RunLayout.of("demo")
MODULES = [path for folder in ("src/pickflow", "scripts") for path in sorted((ROOT / folder).rglob("*.py"))]
# What lies in the folder of a run.
ENTRIES = {LOGS} | {
    node.right.value
    for node in ast.walk(ast.parse(HOME.read_text()))
    if isinstance(node, ast.BinOp) and ast.unparse(node.left) == "self.folder" and isinstance(node.right, ast.Constant)
}
FILES = re.compile(
    r"manifest\.parquet|stations\.parquet|epochs\.json|summary\.json|report\.html|catalog\.parquet"
    r"|assignments\.parquet|amplitudes\.parquet|station_corrections\.parquet|ledger\.parquet|compression\.json"
    r"|latency\.json|timing\.json|picks_by_group\.csv"
)
# The name of a Jinja template, and those of tables beside any file, whose names are not of a run.
FOREIGN_NAMES = ("report.html.j2", ".assignments.parquet")


def test_a_key_is_read_as_it_is_written():
    assert str(KEY) == "none/PhaseNet/stead/gamma"
    assert CatalogKey.parse(str(KEY)) == KEY
    assert str(KEY.pick_set) == "none/PhaseNet/stead"
    assert KEY.label == "PhaseNet stead · gamma"
    assert CatalogKey(PickSetKey("bandpass", "PhaseNet", "stead"), "").label == "bandpass · PhaseNet stead"


@pytest.mark.parametrize("text", ["", "none/PhaseNet/stead", "none/PhaseNet//gamma", "a/b/c/d/e"])
def test_what_is_no_key_is_named(text):
    with pytest.raises(ValueError, match=f"catalog '{text}' is not SIGNAL/MODEL/WEIGHTS/ASSOCIATOR"):
        CatalogKey.parse(text)


def test_a_catalog_from_elsewhere_is_called_by_its_name():
    foreign = CatalogKey.foreign("bulletin.xml")
    assert foreign.is_foreign
    assert not KEY.is_foreign
    assert str(foreign) == foreign.label == "bulletin.xml"


def test_the_folder_of_a_catalog_tells_run_and_key(tmp_path):
    run = RunLayout(tmp_path / "results" / "demo")
    folder = run.catalog(KEY).parent
    folder.mkdir(parents=True)
    (folder / "catalog.parquet").touch()
    layout, key = RunLayout.of_catalog(folder)
    assert (layout.folder, key) == (run.folder, KEY)
    assert run.catalogs() == [KEY]


def test_days_and_sets_of_picks_are_found_without_their_ledgers(tmp_path):
    run = RunLayout(tmp_path)
    for path in (run.picks(KEY.pick_set, "2024-01-01"), run.ledger(KEY.pick_set, "2024-01-01")):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert run.pick_sets() == [KEY.pick_set]
    assert run.days_of_picks(KEY.pick_set) == ["2024-01-01"]


def test_a_log_belongs_to_its_run():
    log = RUN.log("pick", KEY.pick_set, "2024-01-01")
    assert str(log) == "results/demo/logs/pick/none.PhaseNet.stead.2024-01-01.log"
    assert RunLayout.of_log(log).folder == RUN.folder
    assert RunLayout.of_log("/var/x.log") is None
    assert RUN.path_inside(log) == Path("logs/pick/none.PhaseNet.stead.2024-01-01.log")


def test_only_what_lies_below_the_folder_of_a_run_is_inside_it(tmp_path):
    run = RunLayout(tmp_path / "results" / "project" / "results" / "demo")
    run.folder.mkdir(parents=True)
    (tmp_path / "link").symlink_to(run.folder, target_is_directory=True)
    assert run.path_inside(run.folder / "picks" / "x.parquet") == Path("picks/x.parquet")
    assert run.path_inside(tmp_path / "link" / "picks" / "x.parquet") == Path("picks/x.parquet")
    for path in ("results/survey/stations.xml", "results/project/results/night/picks/x.parquet", "picks/x.parquet"):
        assert run.path_inside(tmp_path / path) is None


def test_the_synthetic_archive_is_that_of_the_run():
    archive = str(RUN.archive)
    assert RUN.is_synthetic(archive)
    assert RUN.is_synthetic(f"{archive}/sds")
    assert not any(map(RUN.is_synthetic, [None, "", "sds", str(RUN.folder), f"{archive}-2/sds"]))


def literals(path):
    """Texts of a module that are no docstrings, with what stands in front of them."""
    tree = ast.parse(path.read_text())
    docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    joined = {id(node.right) for node in ast.walk(tree) if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
            yield node.value, id(node) in joined


def test_no_other_module_spells_a_path_of_a_run():
    spelt = [
        f"{path.relative_to(ROOT)}: {text}"
        for path in MODULES
        if path != HOME
        for text, is_joined in literals(path)
        if text not in FOREIGN_NAMES
        and (FILES.fullmatch(text) or (is_joined and text in ENTRIES) or re.match(r"(<results>|results/\w+)/\w", text))
    ]
    assert spelt == []


def test_no_rule_spells_a_path_of_a_run():
    rules = [ROOT / "Snakefile", *sorted((ROOT / "workflow" / "rules").glob("*.smk"))]
    spelt = re.compile(r"<(results|logs|benchmarks)>|results/|[\"'/](" + "|".join(map(re.escape, ENTRIES)) + r")/")
    lines = [f"{path.name}: {line}" for path in rules for line in path.read_text().splitlines()]
    assert [line for line in lines if spelt.search(line)] == []


def test_one_module_reads_where_the_shared_folder_is():
    assert [path for path in MODULES if "PICKFLOW_SHARED" in dict(literals(path))] == [HOME]
