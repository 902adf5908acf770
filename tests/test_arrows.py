import ast
from pathlib import Path

import pytest

import jaxviz

ROOT = Path(jaxviz.__file__).parent
FILES = {str(path.relative_to(ROOT).with_suffix("")): path for path in sorted(ROOT.rglob("*.py"))}
SYMBOLS = {
    "gradient_rules",
    "objectives",
    "parameterizations",
    "priors",
    "transforms",
    "constraints",
    "optimizers",
    "preconditioners",
}
BASE = {"_typing", "_checks", "norms"}
SOLVING = {"memory", "optimization", "placing", "stepping", "problem", "snapshots", "solution", "tiling"}
ALLOWED = {
    **{symbol: BASE | {symbol} for symbol in SYMBOLS},
    "_typing": set(),
    "_checks": {"_typing"},
    "colors": BASE | {"colors"},
    "images": BASE | {"images"},
    "norms": {"_typing"},
    "networks": BASE | {"networks"},
    "checkpoints": BASE | {"networks", "checkpoints"},
    "zoo": BASE | {"networks", "checkpoints"},
    "drawing": BASE | {"images", "drawing", "video"},
    "video": BASE | {"images", "video"},
    "sharding": BASE,
    "distributed": {"distributed"},
    "threads": set(),
    "batching": BASE | {"sharding", "threads"},
    "solution": set(),
    "stepping": BASE | {"optimizers"},
    "placing": BASE | {"sharding", "stepping"},
    "optimization": BASE | {"optimizers", "placing", "sharding", "solution", "stepping"},
    "memory": BASE | {"batching", "optimizers", "optimization", "placing", "stepping"},
    "snapshots": BASE | {"images", "optimization", "solution"},
    "problem": BASE | SYMBOLS | {"networks"},
    "training": BASE
    | {
        "drawing",
        "images",
        "jobs",
        "networks",
        "objectives",
        "priors",
        "samples",
        "sharding",
        "stylization",
        "training",
        "transforms",
    },
    "radiance": BASE | {"colors", "images", "networks", "objectives", "radiance", "sharding", "training"},
    "stylization": BASE
    | {"batching", "checkpoints", "colors", "images", "networks", "objectives", "stylization", "zoo"},
    "tiling": BASE | {"networks", "objectives", "problem"},
    "jobs": BASE
    | {
        "images",
        "objectives",
        "drawing",
        "networks",
        "distributed",
        "sharding",
        "batching",
        "techniques",
        "colors",
        "stylization",
        "jobs",
    },
    "costs": BASE
    | SOLVING
    | {"batching", "costs", "drawing", "networks", "objectives", "techniques", "threads", "zoo"},
    "techniques": BASE
    | SYMBOLS
    | SOLVING
    | {"batching", "colors", "images", "networks", "sharding", "techniques"},
}


def imports(path):
    """The modules that a file imports anywhere, `from jaxviz import x` counted as `jaxviz.x`."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: import jaxviz modules by their full name"
            whole = node.module == "jaxviz"
            yield from (f"jaxviz.{alias.name}" for alias in node.names) if whole else (node.module,)


@pytest.mark.parametrize("name", [name for name in FILES if name.split("/")[0] in ALLOWED])
def test_arrows_run_one_way(name):
    room = name.split("/")[0]
    used = {module.split(".")[1] for module in imports(FILES[name]) if module.startswith("jaxviz.")}
    assert used <= ALLOWED[room]


def test_every_room_that_has_rules_exists():
    rooms = {name.split("/")[0] for name in FILES}
    assert set(ALLOWED) - rooms <= {"transforms"}


def test_flax_is_imported_by_networks_and_their_weights_alone():
    users = {name for name, path in FILES.items() if any(m.split(".")[0] == "flax" for m in imports(path))}
    assert users
    assert all(name.startswith(("networks/", "checkpoints/", "stylization/")) for name in users)


@pytest.mark.parametrize("name", FILES)
def test_errors_are_raised_not_asserted(name):
    assert not [n.lineno for n in ast.walk(ast.parse(FILES[name].read_text())) if isinstance(n, ast.Assert)]
