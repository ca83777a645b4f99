"""One sampler per kernel family: the layout its kernels need, and the ``Sampler`` protocol around them."""
