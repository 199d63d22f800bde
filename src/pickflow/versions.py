"""Version of each stage: raise it when the results of the stage change, so that Snakemake runs it again."""

STAGE_VERSIONS = {
    "synthesize": 1,
    "train": 1,
    "weights": 2,
    "inventory": 1,
    "download": 1,
    "denoise": 1,
    "pick": 2,
    "compress": 1,
    "associate": 2,
    "locate": 1,
    "magnitude": 1,
    "analyze": 4,
}
