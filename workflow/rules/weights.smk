rule weights:
    output:
        tensors=ensure("<results>/models/{model}/{weights}/model.safetensors", non_empty=True),
        card=ensure("<results>/models/{model}/{weights}/card.json", non_empty=True),
    log:
        "<logs>/weights/{model}.{weights}.log",
    conda:
        "../../envs/pickflow.yaml"
    resources:
        mem_mb=2000,
        runtime=20,
    params:
        **stage_params("weights"),
        bundle_digest=bundle_digest,
    script:
        "../../scripts/weights.py"
