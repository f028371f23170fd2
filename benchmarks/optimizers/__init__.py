"""Compares multi-objective optimizers in simulated time: problems, peers, runs, tables and plots."""
