"""The incident particle: species, energy, direction, and position on the front face."""
