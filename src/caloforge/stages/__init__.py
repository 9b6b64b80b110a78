"""The stages: each reads files and writes files, and none knows another."""
