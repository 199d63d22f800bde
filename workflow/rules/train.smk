rule train:
    output:
        tensors="<results>/trained/model.safetensors",
        card="<results>/trained/card.json",
        evaluation="<results>/trained/evaluation.json",
    log:
        "<logs>/train/train.log",
    params:
        **stage_params("train"),
        checkpoints=f"{RESULTS}/cache/train",
    resources:
        mem_mb=8000,
        runtime=600,
    conda:
        "../../envs/pickflow.yaml"
    script:
        "../../scripts/train.py"
