"""Every command that the documentation, the profiles and messages name is one that these programs understand."""

import re
import shlex
from importlib import import_module
from pathlib import Path

import pytest
from snakemake.cli import get_argument_parser

from pickflow.command_line import COMMANDS
from pickflow.command_line.parser import UsageError
from pickflow.command_line.workflow import TARGETS
from tests.snakemake_runner import ROOT

RULE = re.compile(r"^(?:rule|checkpoint) (\w+):\n((?:(?: .*)?\n)*)", re.MULTILINE)
# Text of each rule of the workflow, by its name.
RULES = {
    name: text
    for path in [ROOT / "Snakefile", *sorted((ROOT / "workflow" / "rules").glob("*.smk"))]
    for name, text in RULE.findall(path.read_text())
}
PLACES = (
    "*.md", "docs/*.md", "Makefile", "config/*.yaml", "profiles/*/*.yaml", "envs/*", "src/pickflow/**/*.py",
    "scripts/*.py", "workflow/**/*",
)  # fmt: skip
COMMAND = re.compile(r"(?<![\w/.-])(?:\.venv/bin/)?snakemake((?: +(?:-{1,2}[\w-]+|<?[\w./${}*=:,\"'\[\]-]+>?))+)")


def commands():
    """Calls of snakemake with an option, by where they stand."""
    commands = {}
    for path in sorted({path for place in PLACES for path in ROOT.glob(place) if path.is_file()}):
        text = path.read_text(errors="ignore")
        text = re.sub(r'"\n\s+f?"', "", text)  # messages over several lines of Python
        for line in text.splitlines():
            for match in COMMAND.finditer(line.partition("      #")[0] if path.suffix == ".md" else line):
                words = (
                    match[1].replace("{path}", "my.yaml").replace("$part", "1").partition(" first")[0].rstrip(".,;:")
                )
                if re.search(r" --?\w", words):
                    commands.setdefault(words.strip(), path.relative_to(ROOT))
    return commands


def test_there_are_commands():
    assert len(commands()) > 15


@pytest.mark.parametrize(("words", "place"), commands().items(), ids=lambda part: str(part)[:60])
def test_snakemake_understands_the_command(words, place):
    parser = get_argument_parser()
    try:
        arguments = parser.parse_args(shlex.split(words))
    except SystemExit:
        pytest.fail(f"{place}: snakemake {words}: not understood")
    files = [str(file) for file in arguments.configfile or []]
    assert not [name for name in files if Path(name).suffix not in (".yaml", ".yml")], f"{place}: a target is no file"
    plain = {target for target in arguments.targets if re.fullmatch(r"[a-z_]+", target)}
    assert plain <= set(RULES), f"{place}: snakemake {words}: no such target"


def test_rules_without_an_output_are_the_targets_that_no_job_is_counted_for():
    assert {name for name, text in RULES.items() if "    output:" not in text} == set(TARGETS)


def test_programs_that_are_named_exist():
    text = "".join(path.read_text(errors="ignore") for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
    names = set(re.findall(r"python ((?:scripts|benchmarks)/\w+\.py)", text))
    assert len(names) > 5
    assert sorted(name for name in names if not (ROOT / name).is_file()) == []


def calls():
    """Calls of pickflow with arguments, in the documentation and in the examples of its help, by where they stand."""
    calls = {}
    for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), ROOT / "Makefile"]:
        text = path.read_text().replace("$(CORES)", "2")
        commands = re.findall(r"`pickflow ([a-z]+ [^`]+)`", text)
        blocks = re.findall(r"```.*?```", text, re.DOTALL) + re.findall(r"^(?: {4}|\t).*", text, re.MULTILINE)
        for line in "\n".join(blocks).splitlines():
            commands += re.findall(r"^\s*@?(?:\.venv/bin/|\$\(BIN\)/)?pickflow ([a-z]+ [^#]+)", line)
        calls |= {words.strip(): path.name for words in commands}
    for name in COMMANDS:
        text = getattr(import_module(f"pickflow.command_line.{name}"), "EXAMPLES", "")
        for line in text.strip().splitlines():
            calls[line.partition("  (")[0].removeprefix("pickflow ").strip()] = f"help of {name}"
    return calls


@pytest.mark.parametrize(("words", "place"), calls().items(), ids=lambda part: str(part)[:60])
def test_pickflow_understands_the_call(words, place):
    name, *arguments = shlex.split(words.partition(" > ")[0])
    assert name in COMMANDS, f"{place}: pickflow {words}: no such command"
    before = arguments[: arguments.index("--")] if "--" in arguments else arguments
    try:
        import_module(f"pickflow.command_line.{name}").make_parser().parse_args(before)
    except UsageError as error:
        pytest.fail(f"{place}: pickflow {words}: {error}")
    except SystemExit:  # of what only shows something
        pass


def test_every_command_is_called_somewhere():
    assert {words.split()[0] for words in calls()} >= set(COMMANDS) - {"picker"}
