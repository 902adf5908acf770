"""What is measured: the cases of each benchmark. Imports no runtime."""

from benchmarks.fields import field
from benchmarks.records import Benchmark, Case, Process
from benchmarks.stylizing import arbitrary, stylize, training

NETWORKS = (
    "alexnet",
    *(f"vgg{depth}{suffix}" for depth in (11, 13, 16, 19) for suffix in ("", "_bn")),
    "squeezenet1_0",
    "squeezenet1_1",
    "googlenet",
    *(f"resnet{depth}" for depth in (18, 34, 50, 101)),
    "densenet121",
)
TOGETHER = (8, 4)
"""Images at a time in which PyTorch too may go through a batch."""
ATTRIBUTION = (("squeezenet1_1", 1), ("squeezenet1_1", 16), ("vgg16", 1))
TECHNIQUES = {
    "saliency": "SqueezeNet 1.1, 224²",
    "fgsm": "SqueezeNet 1.1, 224²",
    "inversion": "VGG-16 to relu3_3, 128²",
    "texture": "VGG-16 to pool4, 128²",
    "style": "VGG-16 to relu5_1, 128²",
}
PGD_40 = {"method": "pgd", "steps": 40, "epsilons": (1,)}
SWEPT = {**PGD_40, "epsilons": (0.5, 1, 2, 3, 4, 6, 8, 16)}
EARLY = "8 ε by PGD-40 until a success"
ATTACKS = {
    "FGSM": {"method": "fgsm", "steps": 1, "epsilons": (8,), "in_art": True},
    "PGD-10": {"method": "pgd", "steps": 10, "epsilons": (1,), "in_art": True},
    "PGD-40": PGD_40,
    "C&W-100": {"method": "cw", "steps": 100, "epsilons": (None,), "constant": 1.0, "step_size": 0.01},
    "8 ε by PGD-40": SWEPT,
    EARLY: SWEPT,
}
"""What both sides are told of each; ε in units of 1/255, `in_art` whether ART takes part."""


def gatys(quick: bool) -> list[Case]:
    targets = {512: {"target": 0.87}}
    sizes = (64,) if quick else (256, 512)
    return [Case(f"{size}²", {"size": size}, facts=targets.get(size, {})) for size in sizes]


def saliency(quick: bool) -> list[Case]:
    targets = {16: {"target": 0.77}}
    return [
        Case(f"batch {n}", {"batch": n, "together": TOGETHER}, facts=targets.get(n, {}))
        for n in ((1, 2) if quick else (1, 16))
    ]


def transfer(quick: bool) -> list[Case]:
    size, evaluations = (64, 10) if quick else (256, 160)
    options = {"size": size, "evaluations": evaluations, "warmup": 3}
    return [Case(f"{size}², {evaluations} evaluations", options, calls=1, keep_fastest=True)]


def descent(quick: bool) -> list[Case]:
    evaluations = 20 if quick else 300
    # PyTorch begins, as its loss is the target.
    processes = (Process("torch"), Process("jaxviz"))
    return [
        Case(
            f"{size}²",
            {"size": size, "evaluations": evaluations, "warmup": 3},
            processes,
            calls=1,
            facts={"target": 0.65},
        )
        for size in ((64,) if quick else (256, 512))
    ]


def evaluations(quick: bool, size: int = 512, count: int = 500) -> list[Case]:
    size, count = (64, 10) if quick else (size, count)
    options = {"size": size, "evaluations": count, "warmup": 3}
    return [
        Case(f"{size}², batch {n}", options | {"batch": n}, calls=1, keep_fastest=True)
        for n in ((1, 2) if quick else (1, 8))
    ]


def memory(quick: bool) -> list[Case]:
    budgets = {96: "4GB"} if quick else {1024: "4GB", 2048: "6GB"}
    return [
        Case(f"{size}² in {budget}", {"size": size, "memory": budget, "evaluations": 2}, calls=1)
        for size, budget in budgets.items()
    ]


def step(quick: bool) -> list[Case]:
    size = 64 if quick else 256
    processes = (Process("jaxviz", ("in the loop",)), Process("jaxviz", ("alone",)))
    return [Case(f"{size}²", {"size": size}, processes, seconds=4.0, facts={"target": 1.1})]


def rules(quick: bool) -> list[Case]:
    processes = (Process("jaxviz", ("own rules",)), Process("jaxviz", ("automatic rules",)))
    size, small, batch = (64, 64, 2) if quick else (512, 224, 16)
    return [
        Case(f"Gatys loss, VGG-16, {size}²", {"technique": "gatys", "size": size}, processes),
        Case(
            f"saliency, SqueezeNet 1.1, {small}², batch {batch}",
            {"technique": "saliency", "size": small, "batch": batch},
            processes,
        ),
    ]


def networks(batch: int, quick: bool) -> list[Case]:
    batch = min(batch, 2) if quick else batch
    # PyTorch begins, as it draws the weights.
    return [
        Case(
            name,
            {"network": name, "batch": batch, "together": TOGETHER},
            (Process("torch"), Process("jaxviz")),
            seconds=1.0,
            least=2,
            keep_fastest=True,
            facts={"batch": batch},
        )
        for name in (("squeezenet1_1", "resnet18") if quick else NETWORKS)
    ]


def attribution(quick: bool, cases: tuple[tuple[str, int], ...], **facts: float) -> list[Case]:
    size, cases = (64, (("squeezenet1_1", 2),)) if quick else (224, cases)
    return [
        Case(
            f"{network}, batch {n}",
            {"network": network, "batch": n, "size": size},
            seconds=1.0,
            least=2,
            keep_fastest=True,
            facts=facts,
        )
        for network, n in cases
    ]


def attacks(quick: bool, networks: tuple[str, ...], count: int, target: float) -> list[Case]:
    size, networks, count = (64, networks[:1], 2) if quick else (224, networks, count)
    few = {row: attack | {"steps": min(attack["steps"], 3)} for row, attack in ATTACKS.items()}
    return [
        Case(
            network,
            {"network": network, "batch": count, "size": size, "attacks": few if quick else ATTACKS},
            # PyTorch begins, as it draws the weights.
            (Process("torch"), Process("jaxviz")),
            seconds=1.0,
            least=1,
            keep_fastest=True,
            targets={row: 0.25 if attack is SWEPT else target for row, attack in ATTACKS.items()},
            against={EARLY: "8 ε by PGD-40"},
        )
        for network in networks
    ]


def batch(quick: bool) -> list[Case]:
    size, count, n = (64, 4, 2) if quick else (256, 20, 8)
    options = {"size": size, "evaluations": count, "warmup": 2, "batch": n}
    return [Case(f"{size}², batch {n}", options, calls=1, keep_fastest=True)]


def compiling(quick: bool) -> list[Case]:
    found = []
    for technique, setting in TECHNIQUES.items():
        size = 48 if quick else int(setting.split()[-1].rstrip("²"))
        options = {
            "technique": technique,
            "size": size,
            "counts": (1, 2) if quick else (1, 4, 16),
            "evaluations": 2,
        }
        case = Case(technique, options, seconds=1.0, least=2, cached=False, facts={"setting": setting})
        found.append(case)
    return found


def methods(quick: bool) -> list[Case]:
    return [
        Case(f"{family}, batch {n}", {"family": family, "batch": n}, (Process("jaxviz"),), seconds=1.0)
        for family in ("saliency", "attacks")
        for n in ((2,) if quick else (1, 16))
    ]


BENCHMARKS = {
    "gatys": Benchmark("Value and gradient of the Gatys loss, VGG-16", "one evaluation", 5, gatys),
    "saliency": Benchmark("Gradient saliency, SqueezeNet 1.1, 224²", "one batch of maps", 5, saliency),
    "transfer": Benchmark("Style transfer by L-BFGS, memory 20, VGG-16", "one run", 3, transfer),
    "descent": Benchmark(
        "Style transfer until it is at the loss of 300 evaluations of torch.optim.LBFGS, VGG-16",
        "one run",
        2,
        descent,
    ),
    "evaluations": Benchmark(
        "500 evaluations of style transfer by L-BFGS, VGG-16, for a GPU",
        "one evaluation of one picture",
        1,
        evaluations,
    ),
    "evaluations1024": Benchmark(
        "100 evaluations of style transfer by L-BFGS at 1024², VGG-16, for a GPU",
        "one evaluation of one picture",
        1,
        lambda quick: evaluations(quick, 1024, 100),
        "evaluations",
    ),
    "rules": Benchmark(
        "The derivative rules of the library, and the automatic ones", "one evaluation or batch", 3, rules
    ),
    "batch": Benchmark(
        "Style transfer of several pictures at once by L-BFGS, VGG-16",
        "one evaluation of one picture",
        2,
        batch,
        "evaluations",
    ),
    "attribution": Benchmark(
        "Attribution against captum, 224²",
        "one picture",
        2,
        lambda quick: attribution(quick, ATTRIBUTION, target=0.77),
    ),
    "attribution64": Benchmark(
        "Attribution against captum, 224², for a GPU",
        "one picture",
        2,
        lambda quick: attribution(quick, (("squeezenet1_1", 64),)),
        "attribution",
    ),
    "attacks": Benchmark(
        "Attacks on 16 pictures, 224²",
        "one batch",
        2,
        lambda quick: attacks(quick, ("squeezenet1_1",), 16, 0.77),
    ),
    "attacks64": Benchmark(
        "Attacks on 64 pictures, 224², for a GPU",
        "one batch",
        1,
        lambda quick: attacks(quick, ("squeezenet1_1", "vgg16", "resnet50"), 64, 0.5),
        "attacks",
    ),
    "memory": Benchmark(
        "Style transfer of large pictures within a memory, VGG-16", "one evaluation", 1, memory
    ),
    "step": Benchmark(
        "One step of L-BFGS in the compiled loop, against the same step compiled alone, VGG-16",
        "one step: value, gradient, update",
        5,
        step,
    ),
    "methods": Benchmark(
        "Every method of saliency and attacks, SqueezeNet 1.1, 224²", "one image", 2, methods
    ),
    "networks": Benchmark("Every network at batch 1, 224²", "one batch", 3, lambda quick: networks(1, quick)),
    "networks16": Benchmark(
        "Every network at batch 16, 224²", "one batch", 3, lambda quick: networks(16, quick), "networks"
    ),
    "stylize": Benchmark(
        "A picture through a stylizing network, instance normalization",
        "one picture",
        5,
        lambda quick: stylize(quick, (256, 512, 1024), (1, 8), 0.83),
    ),
    "stylize32": Benchmark(
        "A picture through a stylizing network, instance normalization, for a GPU",
        "one picture",
        2,
        lambda quick: stylize(quick, (256, 512, 1024), (1, 8, 32), 0.67),
        "stylize",
    ),
    "arbitrary": Benchmark("A picture in any style: VGG-16, AdaIN, decoder", "one picture", 5, arbitrary),
    "training": Benchmark(
        "A step of training a stylizing network, VGG-16's losses, Adam",
        "one step",
        5,
        lambda quick: training(quick, ((128, 4, 16), (256, 4, 16)), 0.83),
    ),
    "training32": Benchmark(
        "A step of training a stylizing network, VGG-16's losses, Adam, for a GPU",
        "one step",
        2,
        lambda quick: training(quick, ((256, 4, 16), (256, 4, 32), (256, 16, 32)), 0.67),
        "training",
    ),
    "field": Benchmark("A step of fitting a radiance field, Adam", "one step", 5, field),
    "compiling": Benchmark(
        "What compiling buys", "one image; one evaluation of one image where there are several", 1, compiling
    ),
}
