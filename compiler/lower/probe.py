"""Whether lowering has kept what extents are made of: see `ir/probe.py`."""

from ..ir.probe import lost
from .context import Context, PendingStep


def require_same_steps(context: Context, probe: Context) -> None:
    """EdgeError names the first node whose steps are others in `probe`, lowered with other values of extents."""
    numbers = [{storage: i for i, storage in enumerate(c.storages)} for c in (context, probe)]

    def described(step: PendingStep, which: int) -> tuple[object, ...]:
        """All but the arena's offsets, which follow from the largest sizes."""
        places = [
            r and (r.storage.space, r.storage.index, numbers[which].get(r.storage), r.offset) for r in step.operands
        ]
        return (step.kernel, places, step.params, step.tiles, step.barrier, step.control, step.target.step)

    for step, other in zip(context.steps, probe.steps, strict=False):
        if described(step, 0) != described(other, 1):
            raise lost(step.name)
    if len(context.steps) != len(probe.steps) or context.weights.joined() != probe.weights.joined():
        raise lost(context.steps[-1].name)
