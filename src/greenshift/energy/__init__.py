"""Meters and what they give."""
