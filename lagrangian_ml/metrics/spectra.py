"""The isotropic energy spectrum E(k) of a field on a periodic grid.

E(k) sums ½|û(κ)|² over the shell k − ½ ≤ |κ|/κ₀ < k + ½, with û the Fourier coefficients of the mean-one
convention, so Σ_k E(k) = ½⟨|u|²⟩ (Parseval): a sum over shells, not a density times 4πk². κ₀ = 2π/max(lengths).
Shells beyond half the coarsest resolution are incomplete (corners of the cube); cut them where a slope is read off.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


def energy_spectrum(
    u: Float[Array, "c *s"], lengths: tuple[float, ...] | None = None
) -> tuple[Float[Array, " k"], Float[Array, " k"]]:
    """(wavenumbers κ₀·(0, 1, 2, …), energy of each shell) of u on a uniform grid without its periodic end points.

    `lengths` are the periods along each axis, 2π unless given. Raises ValueError for a wrong number of them.
    """
    shape = u.shape[1:]
    lengths = (2 * np.pi,) * len(shape) if lengths is None else tuple(lengths)
    if not shape or len(lengths) != len(shape) or min(lengths) <= 0:
        raise ValueError(f"u {u.shape} is (c, *s) with {len(shape)} space axes; got lengths={lengths}, all > 0.")
    longest = max(lengths)
    modes = [np.fft.fftfreq(n, 1 / n) * longest / length for n, length in zip(shape, lengths, strict=True)]
    radius = np.sqrt(sum(np.square(m) for m in np.meshgrid(*modes, indexing="ij")))
    shell = np.floor(radius + 0.5).astype(int)
    coefficients = jnp.fft.fftn(u, axes=tuple(range(1, u.ndim))) / radius.size
    density = 0.5 * jnp.sum(jnp.square(jnp.abs(coefficients)), axis=0)
    energy = jnp.zeros(shell.max() + 1, density.dtype).at[shell.ravel()].add(density.ravel())
    return jnp.arange(energy.size, dtype=energy.dtype) * (2 * np.pi / longest), energy


def band_rmse(
    prediction: Float[Array, "c *s"], truth: Float[Array, "c *s"], edges: tuple[int, ...] = (5, 13)
) -> Float[Array, " b"]:
    """The root mean square error of each band of wave numbers |κ|/κ₀: below edges[0], …, from edges[-1] on.

    The squares add up to the mean square error (Parseval). The bands are those of PDEBench's fRMSE (arXiv 2210.07182):
    0 … 4, 5 … 12, and above. ValueError for different shapes and edges that do not rise.
    """
    if prediction.shape != truth.shape or list(edges) != sorted(set(edges)) or min(edges, default=0) < 1:
        raise ValueError(f"shapes {prediction.shape}, {truth.shape} must agree, and edges={edges} rise from 1.")
    shells = 2 * energy_spectrum(prediction - truth)[1] / truth.shape[0]
    parts = jnp.split(shells, [edge for edge in edges if edge < shells.size])
    parts += [jnp.zeros(1, shells.dtype)] * (len(edges) + 1 - len(parts))
    return jnp.sqrt(jnp.stack([jnp.sum(part) for part in parts]))
