# What a teacher of this run becomes is made here; every other name is looked for among published weights.
ruleorder: compress > weights


rule compress:
    input:
        waveforms=waveforms_of_teacher,
        picks=picks_of_teacher,
        tensors="<results>/models/{model}/{weights}/model.safetensors",
        card="<results>/models/{model}/{weights}/card.json",
    output:
        tensors=expand("<results>/models/{{model}}/{{weights}}-{student}/model.safetensors", student=STUDENT_NAMES),
        cards=expand("<results>/models/{{model}}/{{weights}}-{student}/card.json", student=STUDENT_NAMES),
        certificates=expand("<results>/models/{{model}}/{{weights}}-{student}/certificate.json", student=STUDENT_NAMES),
        networks=expand("<results>/models/{{model}}/{{weights}}-{student}/model.onnx", student=STUDENT_NAMES),
        quantised=expand("<results>/models/{{model}}/{{weights}}-{student}/model.int8.onnx", student=QUANTISED_NAMES),
        compression="<results>/compress/{model}/{weights}/compression.json",
        latency="<results>/compress/{model}/{weights}/latency.json",
    log:
        "<logs>/compress/{model}.{weights}.log",
    benchmark:
        "<benchmarks>/compress/{model}.{weights}.tsv"
    wildcard_constraints:
        model=names_of(teacher.model for teacher in STUDENTS),
        weights=names_of(teacher.weights for teacher in STUDENTS),
    conda:
        "../../envs/pickflow.yaml"
    threads: config["compute"]["threads"]
    resources:
        mem_mb=8000,
        runtime=480,
    params:
        **stage_params("compress"),
        students=STUDENT_NAMES,
    script:
        "../../scripts/compress.py"
