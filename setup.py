"""Builds the compiled kernels; everything else is in pyproject.toml."""

import platform
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

KERNELS = Path("src/pickflow/kernels")
# Comparisons trap nothing and square roots set no errno: both only stand in the way of vector instructions.
FLAGS = ["-O3", "-fPIC", "-std=gnu11", "-fno-math-errno", "-fno-trapping-math", "-Wno-psabi"]
# Windows per register, and the instructions for them; the library picks the widest that the processor has.
VARIANTS = {4: []}
if platform.machine() in ("x86_64", "AMD64"):
    VARIANTS[8] = ["-mavx2", "-mfma"]
    VARIANTS[16] = ["-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mfma"]


class BuildVariants(build_ext):
    """One source, compiled once per instruction set, linked into one shared library that ctypes loads."""

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
    cmdclass={"build_ext": BuildVariants},
)
