"""Dense, depthwise and Winograd's convolutions and matrix products: kernels, epilogues, packing at run time."""
