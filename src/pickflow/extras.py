"""Packages beyond the core: which extra of pickflow installs each, and what is said where one is not there."""

from __future__ import annotations

from importlib.util import find_spec

# By the names that are imported; pyproject.toml has the names that are installed.
PACKAGES = {
    "workflow": {
        *(
            "cryptography",
            "dask",
            "dask_jobqueue",
            "distributed",
            "jinja2",
            "lxml",
            "markupsafe",
            "matplotlib",
            "numba",
        ),
        *("obspy", "pandas", "pyarrow", "pyocto", "pyproj", "requests", "scipy", "snakemake", "threadpoolctl", "tqdm"),
        "urllib3",
    },
    "pick": {"ml_dtypes", "onnx", "onnxruntime", "seisbench", "torch"},
    "gamma": {"gamma", "sklearn"},
    "pyrocko": {"pyrocko"},
    "train": {"h5py"},
    "kubernetes": {"dask_kubernetes", "kr8s", "kubernetes"},
}


def advice(error: ModuleNotFoundError) -> str | None:
    """What to install where a package of an extra is not there; None if it is no such package."""
    package = (error.name or "").partition(".")[0]
    extra = next((name for name, packages in PACKAGES.items() if package in packages), None)
    return f"{package} is not installed; it comes with: pip install 'pickflow[{extra}]'" if extra else None


def require(package: str) -> None:
    """
    See that a package is there which another process is going to import.

    Raises
    ------
    ModuleNotFoundError
        If it is not installed.
    """
    if find_spec(package) is None:
        raise ModuleNotFoundError(f"No module named {package!r}", name=package)
