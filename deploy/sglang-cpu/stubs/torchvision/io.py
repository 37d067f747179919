"""Stand-in for `torchvision.io`: image decoding, which a text server never does."""

from ._absent import absent_in

__getattr__ = absent_in(__name__)
