"""The options of commands over many pictures: how they go through a machine, and through several."""

from typing import Annotated

from jaxviz.cli.options import MACHINE, Devices, option, parameter
from jaxviz.distributed import WAIT

MANY = [
    parameter(
        "batch",
        Annotated[
            int | None,
            option(
                "--batch",
                MACHINE,
                "Many pictures: so many at once; default: as memory allows.",
                min=1,
            ),
        ],
        None,
    ),
    parameter("devices", Devices, "1"),
    parameter(
        "workers",
        Annotated[
            int | None,
            option(
                "--workers",
                MACHINE,
                "Many pictures: threads that read; default: as there are cores.",
                min=1,
            ),
        ],
        None,
    ),
    parameter(
        "shard",
        Annotated[
            int | None,
            option(
                "--shard",
                MACHINE,
                "Many pictures: so many in a file; default: 256, or so few that each process gets some.",
                min=1,
            ),
        ],
        None,
    ),
]
GROUP = [
    parameter(
        "distributed",
        Annotated[
            bool | None,
            option(
                "--distributed/--no-distributed",
                MACHINE,
                "Many pictures: share them with the processes that Slurm, Open MPI, Kubernetes or Cloud TPU has "
                "started with this one; default: where these say that there are several.",
            ),
        ],
        None,
    ),
    parameter(
        "coordinator",
        Annotated[
            str | None,
            option("--coordinator", MACHINE, "Processes started by hand: HOST:PORT of the first of them."),
        ],
        None,
    ),
    parameter(
        "processes",
        Annotated[
            int | None,
            option("--processes", MACHINE, "Processes started by hand: how many there are.", min=1),
        ],
        None,
    ),
    parameter(
        "process",
        Annotated[
            int | None,
            option("--process", MACHINE, "Processes started by hand: which this is, from 0.", min=0),
        ],
        None,
    ),
    parameter(
        "wait",
        Annotated[
            int,
            option("--wait", MACHINE, "Several processes: seconds until all must have come.", min=1),
        ],
        WAIT,
    ),
]
