"""The training stage: any model of the catalogue, on any showers that fit its read-out."""
