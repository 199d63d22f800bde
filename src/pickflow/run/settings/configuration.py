"""All keys of a configuration, a section each."""

from __future__ import annotations

from pickflow.run.settings.analyze import AnalyzeParams
from pickflow.run.settings.associate import AssociateParams
from pickflow.run.settings.catalog import CatalogParams
from pickflow.run.settings.compress import CompressParams
from pickflow.run.settings.compute import ComputeParams
from pickflow.run.settings.denoise import DenoiseParams
from pickflow.run.settings.download import DownloadParams
from pickflow.run.settings.implicit import ImplicitParams
from pickflow.run.settings.lab import LabParams
from pickflow.run.settings.locate import LocateParams
from pickflow.run.settings.magnitude import MagnitudeParams
from pickflow.run.settings.pick import PickParams
from pickflow.run.settings.report import GatherParams
from pickflow.run.settings.section import Section, Text, key
from pickflow.run.settings.synthesize import SynthesizeParams
from pickflow.run.settings.train import TrainParams
from pickflow.run.settings.weights import WeightsParams

RUN_NAME = r"\A[A-Za-z0-9][A-Za-z0-9._-]*\Z"


class Configuration(Section):
    """One run."""

    run: Text = key(
        ...,
        "Name of the run, of letters, digits, dots, _ and -; everything it makes lies below results/<run>/.",
        affects="paths",
        pattern=RUN_NAME,
        max_length=100,
    )
    starttime: Text = key(..., "Start of the waveforms, UTC, ISO 8601 (included).", affects="paths")
    endtime: Text = key(..., "End of the waveforms, UTC, ISO 8601 (excluded).", affects="paths")
    compute: ComputeParams = ComputeParams()
    analyze: AnalyzeParams = AnalyzeParams()
    associate: AssociateParams = AssociateParams()
    catalog: CatalogParams = CatalogParams()
    compress: CompressParams = CompressParams()
    denoise: DenoiseParams = DenoiseParams()
    download: DownloadParams = DownloadParams()
    implicit: ImplicitParams = ImplicitParams()
    lab: LabParams = LabParams()
    locate: LocateParams = LocateParams()
    magnitude: MagnitudeParams = MagnitudeParams()
    pick: PickParams = PickParams()
    report: GatherParams = GatherParams()
    synthesize: SynthesizeParams = SynthesizeParams()
    train: TrainParams = TrainParams()
    weights: WeightsParams = WeightsParams()
