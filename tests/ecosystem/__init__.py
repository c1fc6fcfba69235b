"""What surrounds the package: the action, the hooks, the examples of docs/ci."""
