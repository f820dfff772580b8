"""Attention algorithms as cascades of extended Einsums: language, symbolic analysis, library."""
