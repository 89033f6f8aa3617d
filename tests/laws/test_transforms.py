"""Laws of spectral transforms: the back ends are one map, those of walls are SciPy's, derivatives are exact."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.fft

from lagrangian_ml.core import Grid
from lagrangian_ml.jets import SpectralJet
from lagrangian_ml.linalg import make_transform

SHAPES = [(12,), (15,), (10, 9), (6, 5, 8)]


def random(shape, key=0):
    return jnp.asarray(np.random.default_rng(key).normal(size=shape))


def filtered(values, dealias):
    """The modes |m| < dealias·n/2 of real values (c, *s), in NumPy; all if dealias = 1."""
    modes = np.fft.fftn(values, axes=range(1, values.ndim))
    for axis, n in enumerate(values.shape[1:], 1):
        keep = np.abs(np.fft.fftfreq(n, 1 / n)) < (dealias * n / 2 if dealias < 1 else n)
        modes = modes * keep.reshape([-1 if i == axis else 1 for i in range(values.ndim)])
    return np.fft.ifftn(modes, axes=range(1, values.ndim)).real


@pytest.mark.parametrize("dealias", [1.0, 2 / 3])
@pytest.mark.parametrize("shape", SHAPES)
def test_back_ends_are_one_map_with_one_gradient(shape, dealias):
    """The gradient is that of a quartic form of the kept part."""
    values, weights = random((3, *shape)), random((3, *shape), 1)
    full, projected = np.fft.fftn(values, axes=range(1, values.ndim)), filtered(np.asarray(values), dealias)
    slope = filtered(np.asarray(4 * weights * projected**3), dealias)
    for backend in ("fft", "pruned", "matrix"):
        transform = make_transform(shape, dealias, backend)

        def quartic(u, transform=transform):
            modes = transform.to_modes(u)
            kept = transform.to_values(modes)
            return jnp.sum(weights * kept**4), (modes, kept)

        (_, (modes, kept)), gradient = jax.jit(jax.value_and_grad(quartic, has_aux=True))(values)
        expected = np.where(transform.kept, full[(slice(None), *transform.mode_numbers.astype(int))], 0)
        np.testing.assert_allclose(modes, expected, atol=1e-15 * math.prod(shape) * np.max(np.abs(values)))
        np.testing.assert_allclose(kept, projected, atol=1e-14)
        np.testing.assert_allclose(gradient, slope, atol=1e-14 * np.max(np.abs(slope)))


@pytest.mark.parametrize("backend", ["fft", "pruned", "matrix"])
def test_walls_have_the_sine_and_cosine_transforms_of_scipy(backend):
    n = 12  # and 15: an even and an odd side
    values = random((2, n, n + 3))
    for walls, first, transform in (("dirichlet", 1, scipy.fft.dstn), ("neumann", 0, scipy.fft.dctn)):
        for dealias in (1.0, 2 / 3):
            basis = make_transform((n, n + 3), dealias, backend, walls=walls)
            modes, again, back = jax.jit(lambda u, b=basis: round_trip(b, u))(values)
            index = (slice(None), *(basis.mode_numbers.astype(int) - first))
            expected = np.where(basis.kept, transform(np.asarray(values), type=2, axes=(1, 2))[index], 0)
            np.testing.assert_allclose(modes, expected, atol=1e-12)
            np.testing.assert_allclose(again, modes, atol=1e-12)
            if dealias == 1:
                np.testing.assert_allclose(back, values, atol=1e-14)


def round_trip(basis, values):
    modes = basis.to_modes(values)
    back = basis.to_values(modes)
    return modes, basis.to_modes(back), back


@pytest.mark.parametrize("backend", ["fft", "pruned", "matrix"])
def test_walls_and_periodic_axes_mix(backend):
    """On the axes a sine, a wave and a cosine: one mode of three lengths, its derivatives of every parity, Δ⁻¹."""
    grid = Grid((8, 9, 10), (0.0, 0.0, 0.0), (1.0, 2.0, 3.0), centred=True)
    walls, k = ("dirichlet", "periodic", "neumann"), (2 * math.pi, 2 * math.pi, math.pi)
    basis = make_transform(grid.shape, 2 / 3, backend, walls=walls)
    x, y, z = grid.points
    field = lambda s, c, e: (s(k[0] * x) * c(k[1] * y + 0.3) * e(k[2] * z))[None]
    sin, cos = jnp.sin, jnp.cos
    flux = lambda u: jnp.stack([field(cos, cos, cos), 0 * u.value, field(sin, cos, sin)], axis=1)

    @jax.jit
    def derivatives(u):
        jet = SpectralJet(u, grid, basis=basis)
        return jet.d(0), jet.d(2), jet.d(0, 1, 2), jet.laplacian, jet.inverse_laplacian.value, jet.divergence(flux)

    u, square = field(sin, cos, cos), sum(a**2 for a in k)
    exact = (
        k[0] * field(cos, cos, cos),
        -k[2] * field(sin, cos, sin),
        k[0] * k[1] * k[2] * field(cos, sin, sin),
        -square * u,
        -u / square,
        (k[2] - k[0]) * u,
    )
    for ours, expected in zip(derivatives(u), exact, strict=True):
        np.testing.assert_allclose(ours, expected, atol=1e-13 * math.prod(k))


def test_derivatives_on_axes_of_different_lengths():
    """Of all the modes that a grid of odd and even sides holds, but Nyquist's; against NumPy."""
    grid = Grid((9, 8), (0.0, -1.0), (2.0, 4.0))
    values = np.asarray(random((2, 9, 8)))
    k = [2 * np.pi * np.fft.fftfreq(n, h) for n, h in zip(grid.shape, grid.spacings)]
    for backend in ("fft", "pruned", "matrix"):
        basis = make_transform(grid.shape, 1.0, backend)
        gradient = jax.jit(lambda u, basis=basis: SpectralJet(u, grid, basis=basis).gradient)(values)
        for i in (0, 1):
            factor = 1j * np.where(np.arange(grid.shape[i]) * 2 == grid.shape[i], 0, k[i])
            factor = factor.reshape(-1, 1) if i == 0 else factor.reshape(1, -1)
            expected = np.fft.ifft(factor[None] * np.fft.fft(values, axis=i + 1), axis=i + 1).real
            np.testing.assert_allclose(gradient[:, i], expected, atol=1e-12)


def test_single_precision_is_kept_by_every_back_end():
    with jax.enable_x64(False):
        for backend in ("fft", "pruned", "matrix"):
            transform = make_transform((8, 10), 2 / 3, backend)
            modes = transform.to_modes(jnp.ones((1, 8, 10)))
            assert (modes.dtype, transform.to_values(modes).dtype) == (jnp.complex64.dtype, jnp.float32.dtype)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dealias": 0.0}, "dealias=0.0 must lie"),
        ({"dealias": 1.1}, "dealias=1.1 must lie"),
        ({"backend": "fftw"}, "'fftw' is unknown"),
        ({"walls": "open"}, "name one of periodic, dirichlet, neumann"),
        ({"walls": ("neumann",)}, "2 axes"),
    ],
)
def test_wrong_settings_are_errors(options, message):
    with pytest.raises(ValueError, match=message):
        make_transform((8, 8), **options)
