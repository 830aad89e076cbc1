"""Hypothesis profiles for all tests: see property_tests/profiles.py."""

from property_tests.profiles import register

register()
