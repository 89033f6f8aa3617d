"""U-Net (Ronneberger, Fischer & Brox, arXiv 1505.04597) of ConvNeXt blocks (Liu, Mao, Wu, Feichtenhofer, Darrell & Xie,
arXiv 2201.03545).

    U_l(v) = B( W [B(v), up(U_{l+1}(down(B(v))))] ),     B(v) = v + W₂ σ(W₁ N(k ∗ v) + b₁) + b₂

A block has a convolution of every channel by itself, a norm over the channels of every point, and two affine maps with
four times as many channels between them. Every level halves the grid and doubles the channels: down is an affine map
of the 2ᵈ nodes of a box to one, up an affine map of one to 2ᵈ.

Differs from the papers: the kernel is a product of one for every axis, k₁ ⊗ … ⊗ k_d, which takes k·d sums instead of
kᵈ; there is no scale of the layers and no dropout; boundaries are periodic or zero.
"""

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from ..fields.mlp import Activation, check_sizes
from .channels import Affine, ChannelMLP, Norm
from .frame import Frame
from .layout import check_stride, from_patches, spread, to_patches


class DepthwiseConvolution(eqx.Module):
    """k₁ ⊗ … ⊗ k_d ∗ v + b on (*s, c), with kernels of every channel by itself, as sums of shifted values."""

    weight: Float[Array, "d k c"]
    bias: Float[Array, " c"]
    boundary: str = eqx.field(static=True)

    def __init__(self, width: int, dim: int, *, kernel: int, boundary: str, key: Key[Array, ""]):
        self.weight = jax.random.normal(key, (dim, kernel, width)) / kernel**0.5
        self.bias, self.boundary = jnp.zeros(width), boundary

    def __call__(self, v: Float[Array, "*s c"]) -> Float[Array, "*s c"]:
        for axis, kernel in enumerate(self.weight):
            v = self._along(axis, kernel, v)
        return v + spread(self.bias, v)

    def _along(self, axis, kernel, v):
        before = len(kernel) // 2
        ends = [(before, len(kernel) - 1 - before) if a == axis else (0, 0) for a in range(v.ndim)]
        wide = jnp.pad(v, ends, mode="wrap" if self.boundary == "periodic" else "constant")
        at = lambda start: jax.lax.slice_in_dim(wide, start, start + v.shape[axis], axis=axis)
        parts = [at(start) * spread(w, at(start)) for start, w in enumerate(kernel)]
        return sum(parts[1:], parts[0])


class Block(eqx.Module):
    """B: (*s, c) ↦ (*s, c)."""

    convolution: DepthwiseConvolution
    norm: Norm
    channels: ChannelMLP

    def __init__(
        self,
        width: int,
        dim: int,
        *,
        kernel: int = 7,
        boundary: str = "periodic",
        activation: str | Activation = "gelu",
        key: Key[Array, ""],
    ):
        keys = jax.random.split(key)
        self.convolution = DepthwiseConvolution(width, dim, kernel=kernel, boundary=boundary, key=keys[0])
        self.norm, self.channels = Norm(width), ChannelMLP(width, 4 * width, width, activation=activation, key=keys[1])

    def __call__(self, v: Float[Array, "*s c"]) -> Float[Array, "*s c"]:
        return v + self.channels(self.norm(self.convolution(v)))


class Coarse(eqx.Module):
    """up(U(down(v))): (*s, c) ↦ (*s, c) by a grid of half the points on every axis, with `num_levels` levels in all."""

    norm: Norm
    down: Affine
    level: "Level"
    up: Affine
    dim: int = eqx.field(static=True)

    def __init__(
        self,
        width: int,
        dim: int,
        num_levels: int,
        *,
        growth: int = 2,
        num_blocks: int = 1,
        key: Key[Array, ""],
        **block,
    ):
        keys, wide = jax.random.split(key, 3), growth * width
        self.norm, self.dim = Norm(width), dim
        self.down, self.up = Affine(2**dim * width, wide, key=keys[0]), Affine(wide, 2**dim * width, key=keys[1])
        settings = {"growth": growth, "num_blocks": num_blocks, **block}
        self.level = Level(wide, dim, num_levels - 1, **settings, key=keys[2])

    def __call__(self, v: Float[Array, "*s c"]) -> Float[Array, "*s c"]:
        boxes = to_patches(self.norm(v), (2,) * self.dim)
        found = self.up(self.level(self.down(boxes.reshape(*boxes.shape[:-2], -1))))
        return from_patches(found.reshape(boxes.shape), (2,) * self.dim)


class Level(eqx.Module):
    """U_l: (*s, c) ↦ (*s, c) with `num_levels` coarser grids below; at the lowest only blocks."""

    before: tuple[Block, ...]
    coarse: Coarse | None
    join: Affine | None
    after: tuple[Block, ...]

    def __init__(
        self,
        width: int,
        dim: int,
        num_levels: int,
        *,
        growth: int = 2,
        num_blocks: int = 1,
        key: Key[Array, ""],
        **block,
    ):
        keys = iter(jax.random.split(key, 2 * num_blocks + 2))
        blocks = lambda: tuple(Block(width, dim, **block, key=next(keys)) for _ in range(num_blocks))
        self.before, self.coarse, self.join, self.after = blocks(), None, None, ()
        if num_levels > 0:
            settings = {"growth": growth, "num_blocks": num_blocks, **block}
            self.after, self.coarse = blocks(), Coarse(width, dim, num_levels, **settings, key=next(keys))
            self.join = Affine(2 * width, width, key=next(keys))

    def __call__(self, v: Float[Array, "*s c"]) -> Float[Array, "*s c"]:
        for block in self.before:
            v = block(v)
        if self.coarse is not None and self.join is not None:
            v = self.join(v, self.coarse(v))
        for block in self.after:
            v = block(v)
        return v


class UNet(eqx.Module):
    """An `Operator` of values on grids whose points are divisible by 2^num_levels: (c_in, *s) ↦ (c_out, *s).

    It serves other such grids, but its kernels are as wide in points, not in space. On periodic grids it commutes with
    translations by multiples of 2^num_levels points.
    """

    frame: Frame
    level: Level
    num_levels: int = eqx.field(static=True)

    def __init__(
        self,
        inputs: Sequence[int],
        outputs: Sequence[int],
        *,
        width: int = 32,
        num_levels: int = 3,
        num_blocks: int = 1,
        kernel: int = 7,
        boundary: str = "periodic",
        positions: bool = False,
        activation: str | Activation = "gelu",
        key: Key[Array, ""],
    ):
        """
        Args:
            inputs, outputs: shapes (c_in, *s) and (c_out, *s) on the grid of the training.
            width: channels on the finest grid.
            num_levels: coarser grids below it.
            num_blocks: blocks of every level, on the way down and again on the way up.
            kernel: points of the convolutions on every axis.
            boundary: periodic or zeros, what the convolutions see beyond the boundaries.
            positions: the place in the unit box is given to the first map.

        Raises:
            ValueError: for numbers below 1, a grid not divisible by 2^num_levels, an unknown boundary or activation.
        """
        check_sizes(num_levels=num_levels, num_blocks=num_blocks, kernel=kernel)
        if boundary not in ("periodic", "zeros"):
            raise ValueError(f"boundary={boundary!r} is unknown; choose periodic or zeros.")
        keys, settings = jax.random.split(key), {"width": width, "num_hidden": 2 * width, "activation": activation}
        self.frame = Frame(inputs, outputs, **settings, positions=positions, key=keys[0])
        check_halvings(inputs[1:], num_levels)
        block = {"num_blocks": num_blocks, "kernel": kernel, "boundary": boundary, "activation": activation}
        self.level, self.num_levels = Level(width, self.frame.dim, num_levels, **block, key=keys[1]), num_levels

    def __call__(self, v: Float[Array, "c *s"]) -> Float[Array, "k *s"]:
        """ValueError for other components or axes than it was made for, and a grid not divisible by 2^num_levels."""
        check_halvings(v.shape[1:], self.num_levels)
        return self.frame(v, [self.level])


def check_halvings(shape: Sequence[int], num_levels: int) -> None:
    """ValueError unless the grid can be halved so often on every axis."""
    check_stride(shape, (2**num_levels,) * len(shape))
