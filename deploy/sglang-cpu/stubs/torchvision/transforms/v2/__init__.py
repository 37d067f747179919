"""Stand-in for `torchvision.transforms.v2`: only its `functional` module is ever imported."""

from . import functional

__all__ = ["functional"]
