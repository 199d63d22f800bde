"""Builds the compiled kernels, and puts the workflow beside the library; everything else is in pyproject.toml."""

import platform
import shutil
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py

KERNELS = Path("src/pickflow/kernels")
# Comparisons trap nothing and square roots set no errno: both only stand in the way of vector instructions.
FLAGS = ["-O3", "-fPIC", "-std=gnu11", "-fno-math-errno", "-fno-trapping-math", "-Wno-psabi"]
# Windows per register, and the instructions for them; the library picks the widest that the processor has.
VARIANTS = {4: []}
if platform.machine() in ("x86_64", "AMD64"):
    VARIANTS[8] = ["-mavx2", "-mfma"]
    VARIANTS[16] = ["-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mfma"]
# What a run needs besides the library: in a checkout at its root, installed below the package.
WORKFLOW = ("Snakefile", "workflow", "scripts", "profiles", "config", "envs")


class BuildVariants(build_ext):
    """One source, compiled once per instruction set, linked into one shared library that ctypes loads."""

    def get_ext_filename(self, fullname):
        """Of a plain library: it links no Python, and serves every version of it."""
        return str(Path(*fullname.split(".")).with_suffix(".so"))

    def build_extension(self, extension):
        """Compile and link one library."""
        objects = []
        for lanes, flags in VARIANTS.items():
            macros = [("LANES", str(lanes)), ("VARIANT", f"run_{lanes}")]
            folder = f"{self.build_temp}/{lanes}"
            source = [str(KERNELS / "network.c")]
            objects += self.compiler.compile(source, output_dir=folder, macros=macros, extra_postargs=FLAGS + flags)
        dispatch = [str(KERNELS / "dispatch.c")]
        objects += self.compiler.compile(dispatch, output_dir=self.build_temp, extra_postargs=FLAGS)
        self.compiler.link_shared_object(objects, self.get_ext_fullpath(extension.name))


class BuildWithWorkflow(build_py):
    """The library with the workflow, unless it is installed in place."""

    def run(self):
        """Copy what the package holds, then the workflow."""
        super().run()
        if not self.editable_mode:
            for source, target in self._workflow_files():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)

    def get_outputs(self, include_bytecode=True):
        """Also the files of the workflow."""
        return [*super().get_outputs(include_bytecode), *(str(target) for _, target in self._workflow_files())]

    def _workflow_files(self):
        folder = Path(self.build_lib, "pickflow", "workflow_files")
        paths = [path for name in WORKFLOW for path in (Path(name), *sorted(Path(name).rglob("*"))) if path.is_file()]
        return [(path, folder / path) for path in paths if "__pycache__" not in path.parts]


class WheelOfAnyPython(bdist_wheel):
    """A wheel of a platform and of every Python 3: its only binary links no Python."""

    def get_tag(self):
        """Tags of Python, its binary interface, and the platform."""
        return "py3", "none", super().get_tag()[2]


setup(
    # Optional: without a compiler the models run in torch, more slowly.
    ext_modules=[
        Extension(
            "pickflow.kernels._network",
            sources=[str(KERNELS / name) for name in ("network.c", "dispatch.c")],
            depends=[str(KERNELS / name) for name in ("network.h", "vector.h", "windows.h", "integers.h")],
            optional=True,
        )
    ],
    cmdclass={"build_ext": BuildVariants, "build_py": BuildWithWorkflow, "bdist_wheel": WheelOfAnyPython},
)
