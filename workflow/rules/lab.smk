# What the lab trains is made here; every other name is looked for among published weights.
ruleorder: lab_train > weights


rule lab_data:
    input:
        sets=files_of_sources,
        teachers=cards_of_lab_teachers,
    output:
        folder=directory(PATHS.lab_data),
        description=PATHS.lab("description.json"),
        left_out=PATHS.lab("left_out.csv"),
    log:
        PATHS.log("lab_data", "lab"),
    benchmark:
        PATHS.benchmark("lab_data", "lab")
    conda:
        "../../envs/pickflow.yaml"
    resources:
        mem_mb=8000,
        runtime=480,
    params:
        **RUN.params("lab_data", "lab"),
    script:
        "../../scripts/lab_data.py"


rule lab_train:
    input:
        data=PATHS.lab_data,
        description=PATHS.lab("description.json"),
    output:
        tensors=PATHS.model(*PICKER, "model.safetensors"),
        card=PATHS.model(*PICKER, "card.json"),
        history=PATHS.model(*PICKER, "history.json"),
        curves=PATHS.model(*PICKER, "curves.png"),
    log:
        PATHS.log("lab_train", "{model}.{weights}"),
    benchmark:
        PATHS.benchmark("lab_train", "{model}.{weights}")
    wildcard_constraints:
        model=names_of(picker.model for picker in RUN.trained),
        weights=names_of(picker.weights for picker in RUN.trained),
    conda:
        "../../envs/pickflow.yaml"
    resources:
        mem_mb=8000,
        runtime=1440,
    params:
        **RUN.params("lab_train", "lab"),
        seed=seed_of_training,
    script:
        "../../scripts/lab_train.py"


rule lab_pick:
    input:
        data=PATHS.lab_data,
        description=PATHS.lab("description.json"),
        tensors=PATHS.model(*PICKER, "model.safetensors"),
        card=PATHS.model(*PICKER, "card.json"),
    output:
        predictions=PATHS.predictions(*PICKER),
        records=PATHS.predicted_records(*PICKER),
    log:
        PATHS.log("lab_pick", "{model}.{weights}"),
    benchmark:
        PATHS.benchmark("lab_pick", "{model}.{weights}")
    conda:
        "../../envs/pickflow.yaml"
    resources:
        mem_mb=4000,
        runtime=240,
    params:
        stage_version=STAGE_VERSIONS["lab"],
    script:
        "../../scripts/lab_pick.py"


rule lab_inside:
    input:
        data=PATHS.lab_data,
        description=PATHS.lab("description.json"),
        tensors=PATHS.model(*PICKER, "model.safetensors"),
        card=PATHS.model(*PICKER, "card.json"),
    output:
        page=PATHS.inside(*PICKER, "inside.html"),
        sensitivities=PATHS.inside(*PICKER, "sensitivities.parquet"),
        attributions=PATHS.inside(*PICKER, "attributions.parquet"),
    log:
        PATHS.log("lab_inside", "{model}.{weights}"),
    benchmark:
        PATHS.benchmark("lab_inside", "{model}.{weights}")
    conda:
        "../../envs/pickflow.yaml"
    resources:
        mem_mb=8000,
        runtime=240,
    params:
        stage_version=STAGE_VERSIONS["inside"],
        settings=RUN.settings("lab_inside", "lab"),
    script:
        "../../scripts/lab_inside.py"


rule lab_table:
    input:
        description=PATHS.lab("description.json"),
        left_out=PATHS.lab("left_out.csv"),
        predictions=[PATHS.predictions(*picker) for picker in RUN.pickers],
        records=[PATHS.predicted_records(*picker) for picker in RUN.pickers],
        models=models_of_run,
        trained=[PATHS.model(*picker, file) for picker in RUN.trained for file in TRAINED_FILES],
        reference=reference,
        stations=station_table,
        waveforms=[PATHS.waveforms(day) for day in DAYS],
        picks=picks_of_run,
        ledgers=ledgers_of_run,
        events=catalogs_of_run("catalog.parquet"),
        assignments=catalogs_of_run("assignments.parquet"),
        corrections=catalogs_of_run("station_corrections.parquet"),
    output:
        table=PATHS.lab("table.csv"),
        page=PATHS.lab("lab.html"),
        latency=PATHS.lab("latency.json"),
    log:
        PATHS.log("lab_table", "lab"),
    benchmark:
        PATHS.benchmark("lab_table", "lab")
    conda:
        "../../envs/pickflow.yaml"
    resources:
        mem_mb=8000,
        runtime=60,
    params:
        **RUN.params("lab_table", "lab"),
        pickers=[list(picker) for picker in RUN.pickers],
        analyze=RUN.settings("analyze", "analyze"),
        span=RUN.span,
        days=DAYS,
        stations=stations_of_run,
    script:
        "../../scripts/lab_table.py"
