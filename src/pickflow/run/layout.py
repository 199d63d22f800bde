"""Paths of all files of a run: the only module with paths below ``results/<run>/``."""

from __future__ import annotations

import os
from pathlib import Path

from pickflow.run.keys import CatalogKey, PickSetKey

RESULTS = Path("results")
LOGS = "logs"
MANIFEST_FILE = "manifest.parquet"
CATALOG_TABLE = "catalog.parquet"
ASSIGNMENTS_TABLE = "assignments.parquet"
AMPLITUDES_TABLE = "amplitudes.parquet"
CORRECTIONS_TABLE = "station_corrections.parquet"
_A_DAY = "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]"


def shared_folder() -> str:
    """The folder of real data, ``<shared>`` in a configuration: that of ``PICKFLOW_SHARED``, else ``../shared``."""
    return os.environ.get("PICKFLOW_SHARED", "../shared")


def manifest_of(waveforms: Path) -> Path:
    """The manifest in a folder with the waveforms of a day."""
    return waveforms / MANIFEST_FILE


class RunLayout:
    """
    Paths of a run.

    The rules of the workflow use them too, with wildcards such as ``{date}`` in place of a day or a name.

    Parameters
    ----------
    folder : str or Path
        ``results/<run>``, wherever it lies.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    @classmethod
    def of(cls, run: str) -> RunLayout:
        """Of the run with this name, below the current folder."""
        return cls(RESULTS / run)

    @classmethod
    def of_log(cls, log: str | Path) -> RunLayout | None:
        """Of the run that a log of a job belongs to; None for a log that lies elsewhere."""
        return next((cls(parent.parent) for parent in Path(log).parents if parent.name == LOGS), None)

    @classmethod
    def of_catalog(cls, folder: Path) -> tuple[RunLayout, CatalogKey]:
        """Of the run that the folder of a catalog belongs to, and which catalog it is."""
        resolved = folder.resolve()
        if len(resolved.parents) < 6:  # a folder that was moved
            return cls(resolved), CatalogKey.foreign(resolved.name)
        signal, model, weights, associator = resolved.parts[-4:]
        return cls(resolved.parents[4]), CatalogKey(PickSetKey(signal, model, weights), associator)

    def has(self, path: str) -> bool:
        """Whether a path of the configuration lies below the folder of the run."""
        return self.folder in Path(path).parents

    def path_inside(self, path: Path) -> Path | None:
        """A path below the folder of the run as seen from there, also through links; None for one elsewhere."""
        for folder, file in ((self.folder, path), (self.folder.resolve(), path.resolve())):
            if folder in file.parents:
                return file.relative_to(folder)
        return None

    def is_synthetic(self, path: str | None) -> bool:
        """Whether a path of the configuration lies in the archive that the run itself makes."""
        return path is not None and self.archive in (Path(path), *Path(path).parents)

    @property
    def summary(self) -> Path:
        """Numbers of the run."""
        return self.folder / "summary.json"

    @property
    def report(self) -> Path:
        """Page that shows the run."""
        return self.folder / "report.html"

    @property
    def picks_by_group(self) -> Path:
        """Numbers of picks that the picker writes."""
        return self.folder / "picks_by_group.csv"

    @property
    def cache(self) -> Path:
        """Folder of reusable files."""
        return self.folder / "cache"

    @property
    def lock(self) -> Path:
        """File that the process of a run holds."""
        return self.folder / ".lock"

    @property
    def archive(self) -> Path:
        """Folder of the synthetic network."""
        return self.folder / "synthetic"

    @property
    def trained(self) -> Path:
        """Folder of the model that a training makes."""
        return self.folder / "trained"

    @property
    def inventory(self) -> Path:
        """StationXML of the requested stations."""
        return self.folder / "inventory" / "stations.xml"

    @property
    def stations(self) -> Path:
        """Table `STATIONS`."""
        return self.inventory.with_suffix(".parquet")

    @property
    def epochs(self) -> Path:
        """Epochs of the inventory; see `pickflow.run.stations_of_days`."""
        return self.inventory.with_name("epochs.json")

    def waveforms(self, day: str, signal: str = "none") -> Path:
        """Folder with the waveforms of a day, as they were downloaded or denoised."""
        return self.folder / "waveforms" / day if signal == "none" else self.folder / "denoised" / signal / day

    def model(self, model: str, weights: str, file: str = "") -> Path:
        """Folder of a picker or denoiser, or a file in it."""
        return self.folder / "models" / model / weights / file

    def compression(self, model: str, weights: str) -> Path:
        """Results of the compression of a teacher."""
        return self.folder / "compress" / model / weights / "compression.json"

    def latency(self, model: str, weights: str) -> Path:
        """Run times of a teacher and its students."""
        return self.compression(model, weights).with_name("latency.json")

    def lab(self, file: str = "") -> Path:
        """Folder of the comparison of trained pickers, or a file in it."""
        return self.folder / "lab" / file

    @property
    def lab_data(self) -> Path:
        """Folder of the data set that they are trained and tested on."""
        return self.lab("data")

    def predictions(self, model: str, weights: str) -> Path:
        """What one of them picks in the records of the data set."""
        return self.lab("predictions") / model / f"{weights}.parquet"

    def predicted_records(self, model: str, weights: str) -> Path:
        """The records that these predictions are of."""
        return self.predictions(model, f"{weights}.records")

    def inside(self, model: str, weights: str, file: str = "") -> Path:
        """Folder of what one of them looks like inside, or a file in it."""
        return self.lab("inside") / model / weights / file

    def implicit(self, file: str = "") -> Path:
        """Folder of the experiment with implicit models, or a file in it."""
        return self.folder / "implicit" / file

    def implicit_picker(self, form: str, model: str, weights: str, file: str = "") -> Path:
        """Folder of one picker in that experiment, or a file in it."""
        return self.implicit(form) / model / weights / file

    @property
    def picks_folder(self) -> Path:
        """Folder of all tables of picks."""
        return self.folder / "picks"

    def picks(self, pick_set: PickSetKey, day: str) -> Path:
        """Table `PICKS` of a day."""
        return self.picks_folder / str(pick_set) / f"{day}.parquet"

    def ledger(self, pick_set: PickSetKey, day: str) -> Path:
        """Table `PICK_LEDGER` of a day."""
        return self.picks(pick_set, f"{day}.ledger")

    def days_of_picks(self, pick_set: PickSetKey) -> list[str]:
        """Days with picks."""
        return sorted(path.stem for path in self.picks(pick_set, "x").parent.glob(f"{_A_DAY}.parquet"))

    def pick_sets(self) -> list[PickSetKey]:
        """Existing sets of picks."""
        folders = {path.parent for path in self.picks_folder.glob(f"*/*/*/{_A_DAY}.parquet")}
        return sorted(PickSetKey(*folder.parts[-3:]) for folder in folders)

    def associated(self, catalog: CatalogKey, day: str, table: str) -> Path:
        """Table ``events`` or ``assignments`` of a day."""
        return self.folder / "events" / str(catalog) / f"{day}.{table}.parquet"

    def located(self, catalog: CatalogKey, table: str) -> Path:
        """Table ``events``, ``assignments`` or ``station_corrections`` of all days."""
        return self.folder / "located" / str(catalog) / f"{table}.parquet"

    def amplitudes(self, catalog: CatalogKey, day: str) -> Path:
        """Table `AMPLITUDES` of a day."""
        return self.folder / "amplitudes" / str(catalog) / f"{day}.parquet"

    def catalog(self, catalog: CatalogKey, file: str = CATALOG_TABLE) -> Path:
        """A file of a catalog."""
        return self.folder / "catalog" / str(catalog) / file

    def catalogs(self) -> list[CatalogKey]:
        """Existing catalogs."""
        paths = sorted((self.folder / "catalog").glob(f"*/*/*/*/{CATALOG_TABLE}"))
        return [CatalogKey(PickSetKey(*path.parts[-5:-2]), path.parts[-2]) for path in paths]

    def choose_catalog(self, name: str | None) -> CatalogKey:
        """
        The catalog of a name, ``signal/model/weights/associator``; of None the first one.

        Raises
        ------
        ValueError
            If there is no such catalog; names those that there are.
        """
        keys = {str(key): key for key in self.catalogs()}
        if not keys:
            raise ValueError(f"{self.folder}: no catalog; give the folder of a run, results/<run>, that has ended")
        if name is not None and name not in keys:
            raise ValueError(f"catalog {name!r} is not in {self.folder}; it has {', '.join(keys)}")
        return keys[name or next(iter(keys))]

    def finding(self, table: str, key: CatalogKey | PickSetKey | None = None) -> Path:
        """A table of the analysis: of the run, of a set of picks, or of a catalog."""
        return self.folder / "analysis" / (str(key) if key else "") / f"{table}.parquet"

    def log(self, rule: str, *names: CatalogKey | PickSetKey | str) -> Path:
        """Log of a job; no other job has the same one."""
        return self.folder / LOGS / rule / f"{_joined(names)}.log"

    def timing(self, pick_set: PickSetKey, day: str) -> Path:
        """Time of picking a day; beside the log."""
        return self.log("pick", pick_set, day).with_suffix(".timing.json")

    def benchmark(self, rule: str, *names: CatalogKey | PickSetKey | str) -> Path:
        """Time and memory of a job."""
        return self.folder / "benchmarks" / rule / f"{_joined(names)}.tsv"

    def logs(self, rule: str = "") -> Path:
        """Folder of the logs, of one rule or of all."""
        return self.folder / LOGS / rule

    def manifests(self) -> list[Path]:
        """Manifests of the days with waveforms."""
        return sorted((self.folder / "waveforms").glob(f"{_A_DAY}/{MANIFEST_FILE}"))

    def ledgers(self) -> list[Path]:
        """Ledgers of all existing sets of picks."""
        return sorted(self.picks_folder.glob(f"*/*/*/{_A_DAY}.ledger.parquet"))

    def timings(self) -> list[Path]:
        """Existing files with the times of picking."""
        return sorted(self.logs("pick").glob("*.timing.json"))

    def benchmarks(self) -> list[tuple[str, Path]]:
        """Existing files with time and memory of the jobs, each after the name of its rule."""
        folder = self.folder / "benchmarks"
        return [(path.relative_to(folder).parts[0], path) for path in sorted(folder.rglob("*.tsv"))]


def _joined(names: tuple[CatalogKey | PickSetKey | str, ...]) -> str:
    return ".".join(str(name).replace("/", ".") for name in names)
