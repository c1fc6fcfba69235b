"""What is not the same between two inventories, or between an inventory and a lock; pure."""
