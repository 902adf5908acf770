"""What devices say to each other in a compiled program that they share."""

import collections
import dataclasses
import math
import re

COLLECTIVES = ("all-gather", "all-reduce", "all-to-all", "collective-permute", "reduce-scatter")
_LINE = re.compile(rf"= (.+?) ({'|'.join(COLLECTIVES)})(?:-start)?\(")
_ARRAY = re.compile(r"\b(?:pred|[a-z]+(\d+))\[([\d,]*)\]")


@dataclasses.dataclass(frozen=True)
class Collective:
    """One exchange among devices.

    Attributes:
      kind: One of `COLLECTIVES`.
      bytes: Of its result on one device.
    """

    kind: str
    bytes: int

    def sent(self, devices: int) -> float:
        r"""Returns the bytes that a device sends, by the usual algorithms in a ring of n devices.

        All of the result for `collective-permute`, :math:`2 (n - 1) / n` of it for `all-reduce`,
        :math:`(n - 1) / n` for the others, and :math:`n - 1` of what is left to it for `reduce-scatter`.
        """
        share = (devices - 1) / devices
        factors = {"collective-permute": 1.0, "all-reduce": 2 * share, "reduce-scatter": devices - 1.0}
        return self.bytes * factors.get(self.kind, share)


def collectives(text: str) -> collections.Counter[Collective]:
    """Returns the exchanges in a compiled program, each counted once, inside a loop too.

    Args:
      text: Of the program, as `compiled.as_text()` has it.

    Example:
      >>> from jaxviz.costs.communication import collectives
      >>> found = collectives("%x = f32[1,2,48,3]{3,2,1,0} collective-permute(%y), channel_id=1")
      >>> [(each.kind, each.bytes, times) for each, times in found.items()]
      [('collective-permute', 1152, 1)]
    """
    found: collections.Counter[Collective] = collections.Counter()
    for shapes, kind in _LINE.findall(text):
        arrays = [(int(bits or 8), extents) for bits, extents in _ARRAY.findall(shapes)]
        sizes = [
            math.prod(int(n) for n in extents.split(",") if n) * max(1, bits // 8) for bits, extents in arrays
        ]
        found[Collective(kind, sum(sizes))] += 1
    return found
