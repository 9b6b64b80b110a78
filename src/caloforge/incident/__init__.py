"""The incident particle: what it is, with what energy, from where, and to which place it comes."""
