"""The stages: each reads and writes files and does not import another."""
