"""pickflow: from continuous seismic waveforms to an earthquake catalog. The rules are in workflow/rules/."""

from snakemake.utils import min_version

min_version("9.27")

if not workflow.configfiles:

    configfile: "config/config.yaml"


include: "workflow/rules/storage.smk"
include: "workflow/rules/common.smk"
include: "workflow/rules/stage.smk"
include: "workflow/rules/synthesize.smk"
include: "workflow/rules/weights.smk"
include: "workflow/rules/download.smk"
include: "workflow/rules/denoise.smk"
include: "workflow/rules/pick.smk"
include: "workflow/rules/compress.smk"
include: "workflow/rules/lab.smk"
include: "workflow/rules/implicit.smk"
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
    end_run(PATHS.folder)


onerror:
    end_run(PATHS.folder)


localrules:
    all,
    download_all,
    weights_all,
    lab_all,
    picks_all,


rule all:
    default_target: True
    input:
        targets_of_run,


rule download_all:
    input:
        PATHS.stations,
        [PATHS.waveforms(day) for day in DAYS],


rule weights_all:
    input:
        weights_of_run,


rule lab_all:
    input:
        pages_of_lab(),


rule picks_all:
    input:
        picks_of_run,
