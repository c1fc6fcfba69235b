"""What the world says: compatibility tables with source and date, and typed questions to them."""
