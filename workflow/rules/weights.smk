rule weights:
    output:
        tensors="<results>/models/{model}/{weights}/model.safetensors",
        card="<results>/models/{model}/{weights}/card.json",
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
