rule train:
    output:
        tensors="<results>/trained/model.safetensors",
        card="<results>/trained/card.json",
        evaluation="<results>/trained/evaluation.json",
    log:
        "<logs>/train/train.log",
    conda:
        "../../envs/pickflow.yaml"
    resources:
        mem_mb=8000,
        runtime=600,
    params:
        **stage_params("train"),
        shared=SHARED,
    script:
        "../../scripts/train.py"
