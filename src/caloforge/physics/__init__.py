"""Materials, and the textbook formulas for electromagnetic showers in them."""
