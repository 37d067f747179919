"""Stand-in for `torchvision.transforms.functional`: tensor image operations, which a text server never does."""

from torchvision._absent import absent_in

from . import InterpolationMode

__all__ = ["InterpolationMode"]

__getattr__ = absent_in(__name__)
