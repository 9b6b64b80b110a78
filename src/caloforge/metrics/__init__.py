"""Two samples -> a number: one file a metric."""
