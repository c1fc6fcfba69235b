"""Tests of the questions and benchmarks that children of the target run."""
