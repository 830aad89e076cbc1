"""The Python side of the order desk."""
