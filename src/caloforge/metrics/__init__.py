"""Metrics that compare two samples of showers: one file per metric."""
