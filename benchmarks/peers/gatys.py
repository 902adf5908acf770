"""Value and gradient of the Gatys loss in PyTorch."""

from typing import Any

from benchmarks import workload
from benchmarks.peers import losses, runtime
from benchmarks.worker import Work


def rows(options: dict[str, Any]) -> dict[str, Any]:
    """Returns both layouts; on a GPU compiled as well."""
    content, style = workload.pair(options["size"])

    def make(layout, wrapped) -> Work:
        loss = wrapped(losses.GatysLoss(content[None], style, layout))
        x = runtime.tensor(content[None], layout)

        def result():
            value, gradient = losses.value_and_gradient(loss, x)
            return {"value": value.item(), "gradient": runtime.array(gradient)[0]}

        return Work(lambda: runtime.ready(losses.value_and_gradient(loss, x)), result=result)

    return {"": runtime.variants(make)}
