"""Version of each stage: raise it when the results of the stage change, so that Snakemake runs it again."""

STAGE_VERSIONS = {
    "synthesize": 1,
    "train": 1,
    "weights": 2,
    "inventory": 2,
    "download": 2,
    "denoise": 2,
    "pick": 3,
    "compress": 4,
    "lab": 3,
    "implicit": 2,
    "associate": 3,
    "locate": 2,
    "magnitude": 2,
    "analyze": 6,
    "inside": 1,
}
