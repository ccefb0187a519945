"""New value names in a graph that is being rewritten."""

from ..ir.graph import Graph


class Names:
    """The names taken in a graph; gives out others."""

    def __init__(self, graph: Graph) -> None:
        self._taken = {v.name for v in graph.values()}

    def fresh(self, hint: str) -> str:
        """`hint`, or `hint.1`, `hint.2` ... if that is taken."""
        name, n = hint, 0
        while name in self._taken:
            n += 1
            name = f"{hint}.{n}"
        self._taken.add(name)
        return name
