# What a teacher of this run becomes is made here; every other name is looked for among published weights.
ruleorder: compress > weights


rule compress:
    input:
        waveforms=waveforms_of_teacher,
        picks=picks_of_teacher,
        tensors=PATHS.model(*PICKER, "model.safetensors"),
        card=PATHS.model(*PICKER, "card.json"),
    output:
        tensors=files_of_students("model.safetensors", RUN.student_names),
        cards=files_of_students("card.json", RUN.student_names),
        certificates=files_of_students("certificate.json", RUN.student_names),
        networks=files_of_students("model.onnx", RUN.student_names),
        quantised=files_of_students("model.int8.onnx", RUN.quantised_names),
        compression=PATHS.compression(*PICKER),
        latency=PATHS.latency(*PICKER),
    log:
        PATHS.log("compress", "{model}.{weights}"),
    benchmark:
        PATHS.benchmark("compress", "{model}.{weights}")
    wildcard_constraints:
        model=names_of(teacher.model for teacher in RUN.students),
        weights=names_of(teacher.weights for teacher in RUN.students),
    conda:
        "../../envs/pickflow.yaml"
    threads: config["compute"]["threads"]
    resources:
        mem_mb=8000,
        runtime=480,
    params:
        **RUN.params("compress", "compress"),
    script:
        "../../scripts/compress.py"
