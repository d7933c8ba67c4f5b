"""Tables in: where customers come from, and what each of their columns is."""

from marketnn.data.parquet import ParquetNumbers
from marketnn.data.schema import Column, Role, Schema
from marketnn.data.table import Raw, Table, TableOptions, assemble

__all__ = ["Column", "ParquetNumbers", "Raw", "Role", "Schema", "Table", "TableOptions", "assemble"]
