"""Stand-in for `torchvision.transforms`.

`InterpolationMode` is real data, not a raising name: transformers maps PIL's modes to its members while it
loads.
"""

import enum

from torchvision._absent import absent_in


class InterpolationMode(enum.Enum):
    """The resampling modes, with the values the real package gives them."""

    NEAREST = "nearest"
    NEAREST_EXACT = "nearest-exact"
    BILINEAR = "bilinear"
    BICUBIC = "bicubic"
    BOX = "box"
    HAMMING = "hamming"
    LANCZOS = "lanczos"


# After the enum: both submodules import it from here.
from . import functional, v2  # noqa: E402

__all__ = ["InterpolationMode", "functional", "v2"]

__getattr__ = absent_in(__name__)
