"""From a trained picker to a smaller one, by SAFE feature elimination on its layers (docs/compression.md)."""

from pickflow.compress.run import compress_run

__all__ = ["compress_run"]
