"""Entries for caloforge's catalogues, one a file."""
