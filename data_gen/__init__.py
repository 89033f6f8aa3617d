"""Data sets of PDE solutions: recipe, sampler, solver, and sharded, checksummed storage. Imports `lagrangian_ml`."""
