"""Trained models without torch: the graph, its record, and the stream of showers drawn from it."""
