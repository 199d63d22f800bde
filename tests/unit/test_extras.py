"""The core runs without the extras, and each package that is not there names the extra that brings it."""

import ast
import subprocess
import sys
import tomllib

import pytest

from pickflow.extras import PACKAGES, advice, require
from tests.snakemake_runner import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CORE = {"jsonschema", "numpy", "pydantic", "pydantic_core", "safetensors", "yaml"}


def third_party_imports():
    """Names of packages that the library imports, wherever it does."""
    packages = set()
    for path in (ROOT / "src" / "pickflow").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                packages |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                packages.add(node.module.partition(".")[0])
    return packages - set(sys.stdlib_module_names) - {"pickflow"}


def test_each_package_that_the_library_imports_is_of_the_core_or_of_an_extra():
    assert third_party_imports() - set().union(*PACKAGES.values()) == CORE


def test_the_extras_are_those_that_pip_knows():
    assert set(PACKAGES) | {"all", "test"} == set(PROJECT["optional-dependencies"])


def test_what_is_not_there_names_its_extra():
    assert advice(ModuleNotFoundError("x", name="torch.nn")) == (
        "torch is not installed; it comes with: pip install 'pickflow[pick]'"
    )
    assert advice(ModuleNotFoundError("x", name="numpy")) is None


def test_what_another_process_needs_is_asked_for():
    require("numpy")
    with pytest.raises(ModuleNotFoundError) as error:
        require("nobody_has_this")
    assert error.value.name == "nobody_has_this"


@pytest.mark.parametrize(
    ("package", "call", "extra"),
    [
        ("pandas", ["compare", "a.csv", "b.csv"], "workflow"),
        ("torch", ["export", "PhaseNet/stead", "--out", "x.onnx"], "pick"),
        ("h5py", ["calibrate", "PhaseNet/stead", "--data", "x"], "train"),
    ],
)
def test_a_command_says_what_to_install(package, call, extra):
    """`None` in sys.modules is how Python itself marks a module that cannot be imported."""
    code = (
        f"import sys; sys.modules[{package!r}] = None\nfrom pickflow.command_line import main; sys.exit(main({call!r}))"
    )
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert f"{package} is not installed; it comes with: pip install 'pickflow[{extra}]'" in ended.stderr


def test_association_needs_gamma_only_for_gamma():
    code = "import sys; sys.modules['gamma'] = None; import pickflow.associate, pickflow.io.formats"
    subprocess.run([sys.executable, "-c", code], check=True)
