# The narrow picker is trained here; every other one is looked for among published weights.
ruleorder: implicit_teacher > weights


rule implicit_teacher:
    output:
        tensors=PATHS.model("PickflowNet", "narrow", "model.safetensors"),
        card=PATHS.model("PickflowNet", "narrow", "card.json"),
    log:
        PATHS.log("implicit_teacher", "PickflowNet.narrow"),
    conda:
        "../../envs/pickflow.yaml"
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        **RUN.params("implicit_teacher", "implicit"),
    script:
        "../../scripts/implicit_teacher.py"


rule implicit_fit:
    input:
        tensors=PATHS.model(*PICKER, "model.safetensors"),
        card=PATHS.model(*PICKER, "card.json"),
    output:
        scores=PATHS.implicit_picker("{form}", *PICKER, "scores.parquet"),
        fits=PATHS.implicit_picker("{form}", *PICKER, "fits.parquet"),
        certificate=PATHS.implicit_picker("{form}", *PICKER, "certificate.json"),
    log:
        PATHS.log("implicit_fit", "{form}.{model}.{weights}"),
    benchmark:
        PATHS.benchmark("implicit_fit", "{form}.{model}.{weights}")
    wildcard_constraints:
        form="whole|layers",
    conda:
        "../../envs/pickflow.yaml"
    resources:
        mem_mb=8000,
        runtime=240,
    params:
        **RUN.params("implicit_fit", "implicit"),
    script:
        "../../scripts/implicit_fit.py"


rule implicit:
    input:
        scores=files_of_implicit("scores.parquet"),
        fits=files_of_implicit("fits.parquet"),
        certificates=files_of_implicit("certificate.json"),
    output:
        page=PATHS.implicit("implicit.html"),
        sparsity=PATHS.implicit("sparsity.png"),
        perturbation=PATHS.implicit("perturbation.png"),
    log:
        PATHS.log("implicit", "implicit"),
    conda:
        "../../envs/pickflow.yaml"
    resources:
        mem_mb=2000,
        runtime=20,
    params:
        **RUN.params("implicit", "implicit"),
    script:
        "../../scripts/implicit.py"
