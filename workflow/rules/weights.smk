rule weights:
    output:
        tensors=ensure(PATHS.model(*PICKER, "model.safetensors"), non_empty=True),
        card=ensure(PATHS.model(*PICKER, "card.json"), non_empty=True),
    log:
        PATHS.log("weights", "{model}.{weights}"),
    conda:
        "../../envs/pickflow.yaml"
    resources:
        mem_mb=2000,
        runtime=20,
    params:
        stage_version=STAGE_VERSIONS["weights"],
        digest=digest_of_weights,
    script:
        "../../scripts/weights.py"
