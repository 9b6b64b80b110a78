"""All that knows Geant4."""
