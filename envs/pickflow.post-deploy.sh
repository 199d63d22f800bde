#!/bin/sh
# Snakemake runs this in the environment that it has made from pickflow.yaml: the library that the rules call is the one that
# made the workflow, from a checkout or installed, with its kernels.
set -eu
cp -R "${PICKFLOW_PACKAGE:?the folder of the package pickflow; the workflow sets it}" \
	"$(python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/pickflow"
