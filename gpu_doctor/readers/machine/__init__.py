"""The machine around the environment: driver files, devices, containers, limits."""
