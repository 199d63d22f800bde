# Files that a configuration names go into the bucket under the same path, anew when they are newer. Without a bucket there
# is nothing to do, and no file that fits.
STAGED = files_to_stage()


localrules:
    stage,
    stage_all,


rule stage:
    input:
        local("{file}"),
    output:
        "{file}",
    log:
        PATHS.log("stage", "{file}"),
    wildcard_constraints:
        file=names_of(STAGED),
    conda:
        "../../envs/pickflow.yaml"
    shell:
        "cp -- {input:q} {output:q} 2> {log:q}"


rule stage_all:
    input:
        STAGED,
