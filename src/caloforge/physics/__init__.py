"""Materials and what textbooks say of showers in them."""
