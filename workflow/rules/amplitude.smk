rule amplitude:
    input:
        events=PATHS.located(CATALOG, "events"),
        assignments=PATHS.located(CATALOG, "assignments"),
        picks=picks_around_day,
        waveforms=PATHS.waveforms(DATE),
        stations=station_table,
        inventory=station_xml,
        velocity=velocity_file,
    output:
        amplitudes=ensure(PATHS.amplitudes(CATALOG, DATE), non_empty=True),
    log:
        PATHS.log("amplitude", CATALOG, DATE),
    benchmark:
        PATHS.benchmark("amplitude", CATALOG, DATE)
    conda:
        "../../envs/pickflow.yaml"
    threads: config["compute"]["threads"]
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        **RUN.params("amplitude", "magnitude"),
        velocity_model=RUN.velocity,
        stations=stations_around_day,
    script:
        "../../scripts/amplitude.py"
