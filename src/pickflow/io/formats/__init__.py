"""Bulletins and catalogs in the formats that observatories and programs use; see ``docs/catalog-formats.md``."""

from pickflow.io.formats.bulletin import BULLETIN_PICKS, Bulletin
from pickflow.io.formats.converting import Conversion, catalog_tables, convert
from pickflow.io.formats.folders import Catalog, catalog_folder, read_folder
from pickflow.io.formats.ogs import join
from pickflow.io.formats.reading import READERS, parse_bulletin, read_bulletin, read_ogs, read_with_companions
from pickflow.io.formats.writing import FORMATS, write_catalog, write_csv

__all__ = [
    "BULLETIN_PICKS",
    "FORMATS",
    "READERS",
    "Bulletin",
    "Catalog",
    "Conversion",
    "catalog_folder",
    "catalog_tables",
    "convert",
    "join",
    "parse_bulletin",
    "read_bulletin",
    "read_folder",
    "read_ogs",
    "read_with_companions",
    "write_catalog",
    "write_csv",
]
