"""`edgec targets`: what models can be compiled for."""

from rich.table import Table

from .console import Json, Verbose, add_row, emit, facts


def targets_command(json: Json = False, verbose: Verbose = False) -> None:
    """List the targets, the machine code that a bundle for each holds, and where it runs from here.

    [bold]Example[/bold]: edgec targets
    """
    from ...runtimes.devices import EMULATED_CPUS, open_device
    from ...targets.registry import TARGETS

    targets = [make() for make in TARGETS.values()]
    here = open_device("local").query().arch
    places = {arch: f"qemu:{cpu}" for arch, cpu in EMULATED_CPUS.items()} | {here: "local"}
    rows = [
        {
            "name": target.name,
            "description": target.description,
            "triple": target.triple,
            "variants": {variant.name: sorted(variant.features) for variant in target.variants},
            "device": places.get(target.arch),
        }
        for target in targets
    ]

    def render() -> Table:
        made = facts()
        for target in targets:
            code = ", ".join(variant.name for variant in target.variants)
            place = places.get(target.arch)
            runs = f"runs here with --device {place}" if place else "does not run here"
            add_row(made, target.name, target.description)
            add_row(made, "", f"{target.triple}; code for {code}; {runs}")
        return made

    emit(rows, render)
