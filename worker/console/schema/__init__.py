"""What is written, described: one table of columns, as JSON Schema, as a page and as SQL."""

from worker.console.schema.columns import tables_of
from worker.console.schema.ddl import Dialect, ddl
from worker.console.schema.json_schema import json_schema
from worker.console.schema.page import markdown

__all__ = ["Dialect", "ddl", "json_schema", "markdown", "tables_of"]
