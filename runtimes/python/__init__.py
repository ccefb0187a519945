"""Bundles in Python: numpy in, numpy out."""

from .binding import Model
from .ports import Memory, Port, State, StepProfile
from .session import Session

__all__ = ["Memory", "Model", "Port", "Session", "State", "StepProfile"]
