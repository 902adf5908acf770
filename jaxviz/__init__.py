"""See what a convolutional network has learned, and make pictures with it."""

__version__ = "0.1.0"
