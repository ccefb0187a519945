"""Types that are narrower than float32: `open_samples`, then `post_training_quantization` for int8; `use_halves`."""

from .halves import use_halves
from .histogram import Method
from .ptq import post_training_quantization
from .row_products import RowProducts
from .samples import open_samples

__all__ = ["Method", "RowProducts", "open_samples", "post_training_quantization", "use_halves"]
