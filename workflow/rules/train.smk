rule train:
    output:
        tensors=PATHS.trained / "model.safetensors",
        card=PATHS.trained / "card.json",
        evaluation=PATHS.trained / "evaluation.json",
    log:
        PATHS.log("train", "train"),
    conda:
        "../../envs/pickflow.yaml"
    resources:
        mem_mb=8000,
        runtime=600,
    params:
        **RUN.params("train", "train"),
        shared=shared_folder(),
    script:
        "../../scripts/train.py"
