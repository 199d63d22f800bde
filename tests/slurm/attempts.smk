# Jobs that die on their first attempt: by themselves, of too little memory, of too little time.
rule all:
    input:
        "pick.txt",
        "hungry.txt",
        "slow.txt",
        expand("associate.{day}.txt", day=range(3)),
    localrule: True


# Its memory, time and GPU are the profile's, for the rule of this name.
rule pick:
    output:
        "pick.txt",
    shell:
        "test {resources.mem_mb} -gt 32000 && touch {output}"


rule hungry:
    output:
        "hungry.txt",
    resources:
        mem_mb=lambda wildcards, attempt: 800 * attempt,
        runtime=10,
    shell:
        "python3 -c \"import time; block = b'x' * 10**9; time.sleep(5)\" && touch {output}"


rule slow:
    output:
        "slow.txt",
    resources:
        mem_mb=800,
        runtime=lambda wildcards, attempt: attempt,
    shell:
        "test {resources.runtime} -gt 1 || sleep 300 && touch {output}"


rule associate:
    output:
        "associate.{day}.txt",
    shell:
        "touch {output}"
