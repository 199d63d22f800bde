"""pickflow: from continuous seismic waveforms to an earthquake catalog. The rules are in workflow/rules/."""

from snakemake.utils import min_version

min_version("9.27")

if not workflow.configfiles:

    configfile: "config/config.yaml"


include: "workflow/rules/storage.smk"
include: "workflow/rules/common.smk"


pathvars:
    results=RESULTS,
    logs=f"{RESULTS}/logs",
    benchmarks=f"{RESULTS}/benchmarks",


include: "workflow/rules/stage.smk"
include: "workflow/rules/synthesize.smk"
include: "workflow/rules/weights.smk"
include: "workflow/rules/download.smk"
include: "workflow/rules/denoise.smk"
include: "workflow/rules/pick.smk"
include: "workflow/rules/compress.smk"
include: "workflow/rules/associate.smk"
include: "workflow/rules/locate.smk"
include: "workflow/rules/amplitude.smk"
include: "workflow/rules/catalog.smk"
include: "workflow/rules/analyze.smk"
include: "workflow/rules/train.smk"


onstart:
    refuse_what_would_hang()
    hold_run_or_refuse()


onsuccess:
    end_run(RESULTS)


onerror:
    end_run(RESULTS)


localrules:
    all,
    download_all,
    weights_all,
    picks_all,


rule all:
    default_target: True
    input:
        "<results>/report.html",
        "<results>/summary.json",
        [catalogs_of_run(file) for file in CATALOG_FILES],


rule download_all:
    input:
        "<results>/inventory/stations.parquet",
        expand("<results>/waveforms/{date}", date=DAYS),


rule weights_all:
    input:
        weights_of_run,


rule picks_all:
    input:
        picks_of_run,
