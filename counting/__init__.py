"""Counting what an inference executes, under emulation, and what it would cost on a core."""
