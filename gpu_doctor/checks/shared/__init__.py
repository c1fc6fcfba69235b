"""What every rule may use: the GPU stack and its requirements, and the answers of the live interpreter."""
