rule weights:
    output:
        tensors="<results>/models/{model}/{weights}/model.safetensors",
        card="<results>/models/{model}/{weights}/card.json",
    log:
        "<logs>/weights/{model}.{weights}.log",
    params:
        **stage_params("weights"),
    resources:
        mem_mb=2000,
        runtime=20,
    conda:
        "../../envs/pickflow.yaml"
    script:
        "../../scripts/weights.py"
