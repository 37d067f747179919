"""Stand-in for `torchvision`, which SGLang and transformers import for their image models.

Why it exists: the import happens at start for every model, text-only ones too. The real package must match
the torch build to the letter, and the text path calls none of it.

Must never be used for: images or video. Names can be imported; calling one raises. Serve a vision model only
with the real package, and without this folder on the path.
"""

from . import io, transforms

__all__ = ["io", "transforms"]

# No release number: a version check by a library must not take this for a real torchvision.
__version__ = "0.0.0"
