"""Pages and tables about showers."""
