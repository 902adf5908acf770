"""Says where in an HDF5 file the weights of a Keras network are; a program of its own.

    python -P hdf5_worker.py FILE

HDF5's C library hangs on some damaged files (1 in 600 of those whose names are texts of variable length), and
is in C; so it runs apart from the caller, who reads the numbers without it. Prints one line of JSON:
`{"tensors": [...]}` or `{"expected": ..., "found": ...}`. Imports nothing of jaxviz.
"""

import contextlib
import itertools
import json
import math
import sys

MEMORY = 4 * 2**30
MAX_NAMES = 10_000
DEFLATE, SHUFFLE = 1, 2
MAX_RATIO = 1032
"""Deflate cannot make data smaller than by this."""


class Refused(Exception):
    """What was expected, and what was found."""


def _names(group, attribute, size):
    """Returns the texts of an attribute, or of its parts where it was too long for one."""
    if attribute in group.attrs:
        parts = [attribute]
    else:
        numbered = (f"{attribute}{i}" for i in itertools.count())
        parts = list(itertools.takewhile(lambda name: name in group.attrs, numbered))
        if not parts:
            raise Refused(f"the attribute {attribute} of Keras in {group.name}", f"{list(group.attrs)[:8]}")
    names = []
    for name in parts:
        record = group.attrs.get_id(name)
        count = math.prod(record.shape or ())
        if count > MAX_NAMES or (count and record.get_storage_size() > size):
            raise Refused(f"at most {MAX_NAMES} names in {name}", f"{record.shape}")
        # A layer without weights has an empty list, of numbers even.
        texts = group.attrs[name] if count and record.shape else []
        names += [text.decode() if isinstance(text, bytes) else str(text) for text in texts]
    return names


def _child(group, path, kind):
    """Returns what lies at a path, which leads through this file alone."""
    import h5py

    child = group
    for name in path.split("/"):
        if not name or name == "." or not isinstance(child, h5py.Group):
            raise Refused(f"a plain path in {group.name}", path)
        link = child.get(name, getlink=True)
        if not isinstance(link, h5py.HardLink):
            raise Refused(f"{path} in this file", f"{type(link).__name__}: no link is followed")
        child = child[name]
    if not isinstance(child, kind):
        raise Refused(f"{path} to be a {kind.__name__.lower()}", type(child).__name__.lower())
    return child


def _place(data, size):
    """Returns type, shape, and where the bytes of a dataset lie: in one piece, or in chunks."""
    import h5py

    shape, dtype = data.shape, data.dtype
    if shape is None or dtype.kind not in "fiu" or h5py.h5t.py_create(dtype) != data.id.get_type():
        raise Refused(f"numbers in {data.name}", f"{dtype}")
    plan = data.id.get_create_plist()
    if plan.get_external_count() or data.is_virtual:
        raise Refused(f"{data.name} in this file", "an external or virtual dataset: no other file is opened")
    count = math.prod(shape) * dtype.itemsize
    record = {"shape": list(shape), "dtype": dtype.str}
    if plan.get_layout() == h5py.h5d.CONTIGUOUS:
        offset = data.id.get_offset()
        if offset is None or offset + count > size:
            raise Refused(f"{count} bytes of {data.name}", f"a file of {size}")
        return record | {"offset": offset}
    filters = [plan.get_filter(i)[0] for i in range(plan.get_nfilters())]
    if plan.get_layout() != h5py.h5d.CHUNKED or not set(filters) <= {DEFLATE, SHUFFLE} or len(filters) > 2:
        raise Refused(f"{data.name} contiguous, or in chunks of gzip and shuffle", f"filters {filters}")
    wanted = math.prod(-(-n // c) for n, c in zip(shape, data.chunks, strict=True))
    fits = all(c <= n for n, c in zip(shape, data.chunks, strict=True))
    if not fits or count > MAX_RATIO * size or wanted > size or data.id.get_num_chunks() != wanted:
        raise Refused(
            f"{wanted} chunks of {data.name}", f"{data.id.get_num_chunks()} in a file of {size} bytes"
        )
    infos = [data.id.get_chunk_info(i) for i in range(wanted)]
    if any(x.byte_offset is None or x.byte_offset + x.size > size for x in infos):
        raise Refused(f"the chunks of {data.name}", "some beyond the end of the file")
    chunks = [[list(x.chunk_offset), x.byte_offset, x.size, x.filter_mask] for x in infos]
    return record | {"chunk_shape": list(data.chunks), "filters": filters, "chunks": chunks}


def describe(path):
    """Returns the record of every weight, in the file's order: layer, name, type, shape and place."""
    import h5py

    with open(path, "rb") as file:
        size = file.seek(0, 2)
    try:
        with h5py.File(path, "r", locking=False) as file:
            root = file
            if "layer_names" not in root.attrs and "model_weights" in root:
                root = _child(root, "model_weights", h5py.Group)
            if {"layers", "vars"} <= set(root):
                found = "Keras 3's .weights.h5, whose layers have no names; save with model.save('all.h5')"
                raise Refused("the names of layers", found)
            tensors = []
            for layer in _names(root, "layer_names", size):
                group = _child(root, layer, h5py.Group)
                for name in _names(group, "weight_names", size):
                    place = _place(_child(group, name, h5py.Dataset), size)
                    tensors.append({"layer": layer, "name": name} | place)
                    if len(tensors) > MAX_NAMES:
                        raise Refused(f"at most {MAX_NAMES} weights", "more")
            return {"tensors": tensors}
    except Refused as error:
        return dict(zip(("expected", "found"), error.args, strict=True))
    except Exception as error:
        return {"expected": "a Keras HDF5 file", "found": f"damage ({type(error).__name__}: {error})"}


if __name__ == "__main__":
    # Not everywhere is there a bound to set.
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    for given in sys.argv[1:]:
        sys.stdout.write(json.dumps(describe(given)) + "\n")
        sys.stdout.flush()
