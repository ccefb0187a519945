"""Lines of ONNX's text that bodies are made of."""


def scalar(name: str, value: float, kind: str = "float") -> str:
    """`name`: `kind` []."""
    return f"{name} = Constant<value = {kind} {{{value!r}}}>()\n"


def ints(name: str, *values: int) -> str:
    """`name`: int64 [len(values)]."""
    return f"{name} = Constant<value = int64[{len(values)}] {{{', '.join(map(str, values))}}}>()\n"


def counted(name: str, count: int) -> str:
    """`name`: 0 to `count` - 1, int64 [count]; `name`_n is the count."""
    ends = scalar(f"{name}_0", 0, "int64") + scalar(f"{name}_1", 1, "int64") + scalar(f"{name}_n", count, "int64")
    return ends + f"{name} = Range({name}_0, {name}_n, {name}_1)\n"
