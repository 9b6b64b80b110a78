"""Full simulation with Geant4: a calorimeter, a particle, energies -> a file of showers."""
