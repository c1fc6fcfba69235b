"""Workloads: a benchmark is a question that answers with figures, and is judged like any other."""
