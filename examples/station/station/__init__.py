"""The parts of the weather station."""
