"""Which exact versions go together on a GPU, a driver and a Python, and how they are written into files."""
