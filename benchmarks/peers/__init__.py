"""The rivals: the same work, on the same weights and pictures, by other libraries."""
