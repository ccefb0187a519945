"""Bundles in Python: numpy in, numpy out."""

from .binding import Memory, Model, Port, Session, State, StepProfile

__all__ = ["Memory", "Model", "Port", "Session", "State", "StepProfile"]
