"""Requirements: their language, what they need, and how they are judged."""
