"""The columns of all part sets, as JSON Schema, Markdown and SQL."""

from cxai.resources.cx_ai.schema.columns import tables_of
from cxai.resources.cx_ai.schema.ddl import Dialect, ddl
from cxai.resources.cx_ai.schema.json_schema import json_schema
from cxai.resources.cx_ai.schema.page import markdown

__all__ = ["Dialect", "ddl", "json_schema", "markdown", "tables_of"]
