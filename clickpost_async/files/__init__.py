"""Reads order files: CSV, TSV, JSON Lines and XLSX."""
