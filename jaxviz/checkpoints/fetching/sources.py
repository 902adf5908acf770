"""Where the published weights of each network lie, and under which licence."""

import dataclasses
import re


@dataclasses.dataclass(frozen=True)
class Hub:
    """A file of the Hugging Face hub.

    Attributes:
      repo: The repository.
      file: The file in it.
      revision: The commit to take. None is "main, as it is at the first fetch": the commit is recorded with the
        fetched file, and later fetches are held to it.
    """

    repo: str
    file: str = "model.safetensors"
    revision: str | None = None


@dataclasses.dataclass(frozen=True)
class Source:
    """Where one network's weights are published.

    Attributes:
      mirror: URL of the file as its authors published it.
      license: Of the weights, as an SPDX identifier.
      megabytes: Size of our file with these weights in float32, in 10⁶ bytes.
      hub: The same weights in safetensors, of which a part can be taken.
      md5: Of the mirror's file, where the end of its name is not the beginning of its SHA-256.

    Example:
      >>> SOURCES["vgg19"].digits, SOURCES["vgg19"].hub.repo
      ('dcbb9e9d', 'timm/vgg19.tv_in1k')
    """

    mirror: str
    license: str
    megabytes: float
    hub: Hub | None = None
    md5: str | None = None

    @property
    def digits(self) -> str | None:
        """The first hexadecimal digits of the SHA-256 of the mirror's file, if its name ends with them."""
        found = re.search(r"-([0-9a-f]{8,64})\.pth$", self.mirror)
        return found and found[1]


_TORCH = "https://download.pytorch.org/models/"
_KERAS = "https://storage.googleapis.com/tensorflow/keras-applications/resnet/"
_KERAS_END = "_weights_tf_dim_ordering_tf_kernels.h5"


def _torch(file: str, megabytes: float, repo: str | None = None) -> Source:
    return Source(f"{_TORCH}{file}.pth", "BSD-3-Clause", megabytes, Hub(f"timm/{repo}") if repo else None)


def _keras(name: str, megabytes: float, md5: str) -> Source:
    return Source(f"{_KERAS}{name}{_KERAS_END}", "MIT", megabytes, md5=md5)


SOURCES: dict[str, Source] = {
    "alexnet": _torch("alexnet-owt-7be5be79", 244.4),
    "vgg11": _torch("vgg11-8a719046", 36.9, "vgg11.tv_in1k"),
    "vgg11_classifier": _torch("vgg11-8a719046", 531.5, "vgg11.tv_in1k"),
    "vgg11_bn": _torch("vgg11_bn-6002323d", 36.9, "vgg11_bn.tv_in1k"),
    "vgg11_bn_classifier": _torch("vgg11_bn-6002323d", 531.5, "vgg11_bn.tv_in1k"),
    "vgg13": _torch("vgg13-19584684", 37.6, "vgg13.tv_in1k"),
    "vgg13_classifier": _torch("vgg13-19584684", 532.2, "vgg13.tv_in1k"),
    "vgg13_bn": _torch("vgg13_bn-abd245e5", 37.7, "vgg13_bn.tv_in1k"),
    "vgg13_bn_classifier": _torch("vgg13_bn-abd245e5", 532.2, "vgg13_bn.tv_in1k"),
    "vgg16": _torch("vgg16-397923af", 58.9, "vgg16.tv_in1k"),
    "vgg16_classifier": _torch("vgg16-397923af", 553.4, "vgg16.tv_in1k"),
    "vgg16_bn": _torch("vgg16_bn-6c64b313", 58.9, "vgg16_bn.tv_in1k"),
    "vgg16_bn_classifier": _torch("vgg16_bn-6c64b313", 553.5, "vgg16_bn.tv_in1k"),
    "vgg19": _torch("vgg19-dcbb9e9d", 80.1, "vgg19.tv_in1k"),
    "vgg19_classifier": _torch("vgg19-dcbb9e9d", 574.7, "vgg19.tv_in1k"),
    "vgg19_bn": _torch("vgg19_bn-c79401a0", 80.2, "vgg19_bn.tv_in1k"),
    "vgg19_bn_classifier": _torch("vgg19_bn-c79401a0", 574.8, "vgg19_bn.tv_in1k"),
    "squeezenet1_0": _torch("squeezenet1_0-b66bff10", 5.0),
    "squeezenet1_1": _torch("squeezenet1_1-b8a52dc0", 4.9),
    "googlenet": _torch("googlenet-1378be20", 26.6),
    "resnet18": _torch("resnet18-f37072fd", 46.8, "resnet18.tv_in1k"),
    "resnet34": _torch("resnet34-b627a593", 87.3, "resnet34.tv_in1k"),
    "resnet50": _torch("resnet50-0676ba61", 102.4, "resnet50.tv_in1k"),
    "resnet50_caffe": _keras("resnet50", 102.4, "2cb95161c43110f7111970584f804107"),
    "resnet101": _torch("resnet101-63fe2227", 178.6, "resnet101.tv_in1k"),
    "resnet101_caffe": _keras("resnet101", 178.6, "f1aeb4b969a6efcfb50fad2f0c20cfc5"),
    "densenet121": _torch("densenet121-a639ec97", 32.3, "densenet121.tv_in1k"),
}
