"""Measurements of radiance fields."""
