"""Laws of initial conditions: one key is one function on every grid, periodic where it says so, of the stated law."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.fft

from data_gen.initial import (
    Either,
    GaussianRandomField,
    InterpolatedNoise,
    SineWaves,
    Threshold,
    TruncatedFourier,
    UniformLevel,
    WhiteNoise,
)
from data_gen.initial_systems import (
    DamBreak,
    FilteredFlow,
    GasWaves,
    GaussianClusters,
    GrayScottClusters,
    GrayScottNoise,
    RiemannProblem,
)
from lagrangian_ml.core import Grid
from lagrangian_ml.domains import PowerLaw
from lagrangian_ml.equations.euler import Euler
from lagrangian_ml.equations.gray_scott import GrayScott

KEY = jax.random.key(3, impl="threefry2x32")
SMOOTH = PowerLaw(7.0, 5.0, 2.0)
WAVES = SineWaves(num_waves=3, modes=(1, 6), absolute=0.3, flip=True, window=0.5)

# name: (law, dimensions)
LAWS = {
    "random field": (GaussianRandomField(SMOOTH, max_mode=5), 1),
    "random field 2-D": (GaussianRandomField(SMOOTH, max_mode=5, zero_mean=True), 2),
    "cosine field": (GaussianRandomField(SMOOTH, "neumann", max_mode=5), 1),
    "cosine field 2-D": (GaussianRandomField(SMOOTH, "neumann", max_mode=5, zero_mean=True), 2),
    "threshold": (Threshold(GaussianRandomField(SMOOTH, "neumann", max_mode=5), 12.0, 4.0), 2),
    "sine waves": (WAVES, 1),
    "sine waves and constants": (replace(WAVES, constants=True), 1),
    "truncated Fourier": (TruncatedFourier(), 1),
    "truncated Fourier in [0, 1]": (TruncatedFourier(offset=(-0.5, 0.5), scale="unit"), 1),
    "truncated Fourier 2-D": (TruncatedFourier(cutoff=3), 2),
    "interpolated noise": (InterpolatedNoise(9, components=2), 1),
    "interpolated noise 2-D": (InterpolatedNoise(8), 2),
    "level": (UniformLevel((0.0, 0.2)), 1),
    "either": (Either(TruncatedFourier(), UniformLevel()), 1),
    "dam": (DamBreak((0.1, 0.9)), 2),
    "gas waves": (GasWaves(waves=WAVES), 1),
    "Riemann problem": (RiemannProblem(), 1),
    "clusters": (GaussianClusters(), 2),
    "Gray–Scott clusters": (GrayScottClusters(GaussianClusters((3, 7))), 2),
    "Gray–Scott noise": (GrayScottNoise(feed=0.098, kill=0.057, num_points=6), 2),
    "filtered flow": (FilteredFlow(max_mode=9), 2),
}
ANY = [pytest.param(*entry, id=name) for name, entry in LAWS.items()]


def grid(n, dim, centred=False):
    """A box whose sides differ, and whose lower end is not 0."""
    return Grid((n,) * dim, (-1.0,) * dim, tuple(1.0 + i for i in range(dim)), centred)


# Most of the time here would go into the compiler's optimizations of random numbers that are drawn once.
compiled = partial(jax.jit, compiler_options={"xla_backend_optimization_level": 1})


def draw(law, grid, num_samples):
    return np.asarray(compiled(jax.vmap(lambda key: law(grid, key=key)))(jax.random.split(KEY, num_samples)))


@pytest.mark.parametrize(("law", "dim"), ANY)
def test_one_key_is_one_function_on_every_grid(law, dim):
    """Nodes of a grid, of the coarser one, and the centres of its cells. Measured: 2e-14 of the largest value."""
    grids, keys = (grid(48, dim), grid(24, dim), grid(24, dim, centred=True)), jax.random.split(KEY, 3)
    on_all = compiled(jax.vmap(lambda key: [law(g, key=key) for g in grids]))
    fine, coarse, centres = samples = on_all(keys)
    bound = 1e-12 * np.abs(fine).max()
    for start, values in enumerate((coarse, centres)):
        there = fine[(slice(None), slice(None), *(slice(start, None, 2),) * dim)]
        np.testing.assert_allclose(values, there, rtol=0, atol=bound)
    jax.tree.map(np.testing.assert_array_equal, on_all(keys), samples)  # the key decides all of it …
    turned = on_all(keys[::-1])[0][::-1]  # … whatever the place in a batch
    np.testing.assert_allclose(turned, fine, rtol=0, atol=bound)
    assert len(np.unique(fine.round(9), axis=0)) == len(keys)
    assert coarse.shape == (3, coarse.shape[1], *grids[1].shape) and coarse.dtype == jnp.float64
    assert hash(law) == hash(replace(law))


def test_white_noise_belongs_to_its_grid():
    law, where = WhiteNoise(2), grid(24, 2)
    np.testing.assert_array_equal(law(where, key=KEY), law(where, key=KEY))
    assert not np.allclose(law(grid(48, 2), key=KEY)[:, ::2, ::2], law(where, key=KEY))


# name: (law, dimensions, points, highest mode that may be there)
BAND_LIMITED = {
    "random field": (GaussianRandomField(SMOOTH, max_mode=9), 1, 64, 9),
    "random field 2-D": (GaussianRandomField(SMOOTH, max_mode=9), 2, 32, 9),
    "sine waves": (SineWaves(modes=(1, 6)), 1, 64, 6),
    "truncated Fourier": (TruncatedFourier(), 1, 64, 5),
    "truncated Fourier 2-D": (TruncatedFourier(), 2, 32, 5),
    "interpolated noise": (InterpolatedNoise(16), 2, 64, 8),
    "clusters": (GaussianClusters(), 2, 128, 61),  # exp(−(πk)²/4s) is 7e-14 at k = 62, s = 300, on a side of 2
    "filtered flow": (FilteredFlow(max_mode=15), 2, 48, 15),
}


@pytest.mark.parametrize(("law", "dim", "n", "highest"), BAND_LIMITED.values(), ids=BAND_LIMITED)
def test_fields_are_periodic_in_the_box(law, dim, n, highest):
    """A function that jumps at the seam, or has the period L − h, would have modes beyond its highest."""
    box = Grid((n,) * dim, (-1.0,) * dim, (1.0,) * dim)
    modes = np.fft.fftn(draw(law, box, 1)[0, 0], norm="forward")
    number = np.abs(np.fft.fftfreq(n, 1 / n))
    beyond = np.max(np.stack(np.meshgrid(*[number] * dim)), axis=0) > highest
    assert np.abs(modes[beyond]).max() <= 1e-12 * np.abs(modes).max()


def near(measured, expected, num_samples, relative_variance):
    """Within 5 standard deviations of the mean of `num_samples` independent draws."""
    bound = 5 * np.sqrt(np.asarray(relative_variance) / num_samples) * np.asarray(expected)
    np.testing.assert_array_less(np.abs(np.asarray(measured) - expected), bound + 1e-14)


def test_variance_of_periodic_modes():
    n, num, length = 16, 4000, 2.0
    u = draw(GaussianRandomField(SMOOTH), Grid((n,), (0.0,), (length,)), num)[:, 0]
    energy = np.mean(np.abs(np.fft.fft(u, norm="forward")) ** 2, axis=0)
    k = np.fft.fftfreq(n, 1 / n)
    expected = 49.0 * ((2 * np.pi * k / length) ** 2 + 25.0) ** -2.0 * (np.abs(k) < n / 2)
    near(energy, expected, num, np.where(k == 0, 2.0, 1.0))  # |c|² is exponential, at k = 0 that of one normal number


def test_variance_of_cosine_modes():
    n, num, lengths = 8, 4000, np.array([2.0, 3.0])
    box = Grid((n, n), (0.0, 1.0), (2.0, 4.0), centred=True)
    u = draw(GaussianRandomField(SMOOTH, "neumann", zero_mean=True), box, num)[:, 0]
    coefficients = scipy.fft.dctn(u, axes=(1, 2), norm="ortho") / n  # of modes with mean square 1
    kappa = np.stack(np.meshgrid(*(np.pi * np.arange(n) / length for length in lengths), indexing="ij"))
    expected = 49.0 * (np.sum(kappa**2, axis=0) + 25.0) ** -2.0
    expected[0, 0] = 0.0
    near(np.mean(coefficients**2, axis=0), expected, num, 2.0)


def test_fno_field_has_the_variance_of_its_text():
    """Σ_k 625 ((2πk)² + 25)⁻², over all k: 1.356, of which 1 is the mean."""
    num = 1000
    u = draw(GaussianRandomField(PowerLaw(25.0, 5.0, 2.0)), Grid((256,), (0.0,), (1.0,)), num)
    k = np.arange(-127, 128)
    expected = np.sum(625.0 / ((2 * np.pi * k) ** 2 + 25.0) ** 2)
    weights = 625.0 / ((2 * np.pi * k) ** 2 + 25.0) ** 2 / expected
    near(np.mean(u**2), expected, num, 2 * np.sum(weights**2))


def test_thresholded_field_takes_two_values_equally_often():
    num = 600
    law = Threshold(GaussianRandomField(PowerLaw(1.0, 3.0, 2.0), "neumann", zero_mean=True), 12.0, 3.0)
    a = draw(law, Grid((16, 16), (0.0, 0.0), (1.0, 1.0), centred=True), num)
    assert set(np.unique(a)) == {3.0, 12.0}
    share = np.mean(a == 12.0, axis=(1, 2, 3))
    near(np.mean(share), 0.5, num, np.var(share) / 0.25)


def test_sine_waves_are_drawn_as_stated():
    num, n = 4000, 64
    modes = np.abs(np.fft.fft(draw(SineWaves(modes=(1, 4)), grid(n, 1), num)[:, 0], norm="forward")) ** 2
    # Two waves of E A²/2 = 1/6, at one of four numbers each: E|c_k|² = (1/6)/2 · 2 · 1/4; a variance of A⁴ and picks.
    energy = np.mean(modes[:, 1:5], axis=0)
    near(energy, 1 / 24, num, 24**2 * np.var(modes[:, 1:5], axis=0))
    assert np.abs(modes[:, 5:32]).max() < 1e-24 and modes[:, 0].max() < 1e-24


def test_the_generator_of_pdebench_keeps_waves_that_were_not_picked_as_constants():
    num, n = 4000, 64
    u = draw(SineWaves(modes=(1, 4), constants=True), grid(n, 1), num)[:, 0]
    modes = np.abs(np.fft.fft(u, norm="forward")) ** 2
    # E (A sin φ)² = 1/6: two constants, and a third where both picks are equal (1 in 4).
    near(np.mean(modes[:, 0]), 2.25 / 6, num, np.var(modes[:, 0]) * (6 / 2.25) ** 2)
    assert np.abs(modes[:, [5, 7, *range(9, 32)]]).max() < 1e-24  # a number picked twice is doubled
    near(np.mean(modes[:, 6] > 1e-20), 1 / 16, num, 15.0)


def test_changes_of_sine_waves_have_their_probabilities():
    num, box = 4000, Grid((256,), (0.0,), (1.0,))
    u = draw(SineWaves(absolute=0.1, window=0.1), box, num)[:, 0]
    windowed = np.abs(u[:, 2]) + np.abs(u[:, -2]) < 1e-6  # 0.1 − 2/256 is 9 widths of the window away
    near(np.mean(windowed), 0.1, num, 9.0)
    positive = np.min(u, axis=1) >= -1e-12
    near(np.mean(positive), 0.1, num, 9.0)
    flipped = draw(SineWaves(absolute=1.0, flip=True), box, num)[:, 0]
    near(np.mean(np.max(flipped, axis=1) <= 1e-12), 0.5, num, 1.0)


def test_truncated_fourier_has_uniform_amplitudes_and_extremes():
    num, box = 3000, Grid((160,), (0.0,), (1.0,))
    modes = np.abs(np.fft.fft(draw(TruncatedFourier(scale=None), box, num)[:, 0], norm="forward")) ** 2
    near(np.mean(modes[:, 1:6], axis=0), 1 / 12, num, 4 / 5)  # E a²/4; Var a² = 4/45
    assert modes[:, 0].max() < 1e-24
    np.testing.assert_allclose(np.abs(draw(TruncatedFourier(), box, 200)).max(axis=(1, 2)), 1.0, atol=1e-12)
    unit = draw(TruncatedFourier(offset=(-0.5, 0.5), scale="unit"), box, 200)
    np.testing.assert_allclose([unit.min(axis=(1, 2)), unit.max(axis=(1, 2))], [[0.0] * 200, [1.0] * 200], atol=1e-12)


def test_noise_has_its_variance():
    num = 200
    noise = draw(InterpolatedNoise(8, components=2), grid(16, 2), num)[:, :, ::2, ::2]  # at its own nodes
    assert -0.5 <= noise.min() < -0.49 and 0.49 < noise.max() <= 0.5
    near(np.mean(noise**2), 1 / 12, noise.size, 4 / 5)
    white = draw(WhiteNoise(2, std=3.0), grid(16, 2), num)
    near(np.mean(white**2), 9.0, white.size, 2.0)
    near(np.mean(white[:, :, 1:] * white[:, :, :-1]) + 9.0, 9.0, white.size, 1.0)


def test_either_and_level():
    num = 4000
    u = draw(Either(UniformLevel((2.0, 3.0)), UniformLevel((4.0, 6.0)), share=0.25), grid(2, 1), num)[:, 0, 0]
    near(np.mean(u < 3.5), 0.25, num, 3.0)
    near(np.mean(u[u > 3.5]), 5.0, np.sum(u > 3.5), 1 / 75)
    assert 2.0 <= u.min() and u.max() <= 6.0


def test_dam_break_is_water_at_rest_in_a_circle():
    box = Grid((64, 64), (-2.5, -2.5), (2.5, 2.5), centred=True)
    u = draw(DamBreak(), box, 300)
    assert set(np.unique(u[:, 0])) == {1.0, 2.0} and np.all(u[:, 1:] == 0)
    np.testing.assert_array_equal(u, u[:, :, ::-1, ::-1])
    radius = np.sqrt(np.sum(u[:, 0] > 1.5, axis=(1, 2)) * (5 / 64) ** 2 / np.pi)
    assert 0.27 < radius.min() < 0.35 and 0.65 < radius.max() < 0.73


def test_gases_have_their_ranges():
    box = Grid((128,), (-1.0,), (1.0,), centred=True)
    primitive = lambda u: np.asarray(jax.vmap(Euler(5 / 3).primitive)(jnp.asarray(u)))
    density, velocity, pressure = np.moveaxis(primitive(draw(GasWaves(), box, 500)), 1, 0)
    for values, low, high in ((density, 1.0, 10.0), (pressure, 10.0, 100.0)):
        assert low <= values.min() < 1.1 * low and 1.5 * high < values.max() <= 2 * high
        assert np.all(values.max(axis=1) - values.min(axis=1) >= 0.99 * low)
    assert np.abs(velocity).max() <= 2.0
    states = primitive(draw(RiemannProblem(), box, 500))
    jump = np.argmax(np.abs(np.diff(states, axis=2)), axis=2)
    assert np.all(jump == jump[:, :1])  # one place for all
    assert np.all(states[:, :, :32] == states[:, :, :1]) and np.all(states[:, :, 96:] == states[:, :, -1:])
    for values, (low, high) in zip(np.moveaxis(states, 1, 0), ((1, 10), (-0.5, 0.5), (10, 100)), strict=True):
        ends = values[:, [0, -1]]
        assert low - 1e-12 <= ends.min() and ends.max() <= high + 1e-12
        centre = 0.5 * (low + high) if low < 0 else np.sqrt(low * high)  # uniform, or log-uniform
        near(np.mean(ends < centre), 0.5, ends.size, 1.0)


def test_reacting_substances_start_as_stated():
    box = Grid((128, 128), (-1.0, -1.0), (1.0, 1.0))
    u, v = np.moveaxis(draw(GrayScottClusters(), box, 4), 1, 0)
    assert u.min() >= 0 and u.max() > 0.99 and v.max() <= 1 and v.min() < 0.01
    steady = np.asarray(GrayScott(feed=0.098, kill=0.057).uniform_states())
    noisy = draw(GrayScottNoise(feed=0.098, kill=0.057), box, 40)
    np.testing.assert_allclose(noisy.mean(axis=(0, 2, 3)), steady[1], atol=5 * 0.225 * 0.29 / np.sqrt(40 * 32**2))
    np.testing.assert_allclose(
        draw(GrayScottNoise(feed=0.014, kill=0.054), box, 40).mean(axis=(0, 2, 3)), [1.0, 0.0], atol=4e-3
    )


def test_filtered_flow_has_its_speed_and_scale():
    box = Grid((128, 128), (0.0, 0.0), (2 * np.pi, 2 * np.pi))
    omega = draw(FilteredFlow(peak=4.0, max_speed=7.0), box, 32)[:, 0]
    kx, ky = np.meshgrid(*[np.fft.fftfreq(128, 1 / 128)] * 2, indexing="ij")
    square = np.where(kx**2 + ky**2 > 0, kx**2 + ky**2, 1)
    stream = np.fft.fft2(omega) / square
    u, v = np.fft.ifft2(1j * ky * stream).real, np.fft.ifft2(-1j * kx * stream).real
    speed = np.sqrt(u**2 + v**2).max(axis=(1, 2))
    np.testing.assert_allclose(speed, 7.0, rtol=0.02)
    assert np.all(speed >= 7.0 - 1e-9)  # the 64² points of the scale are among these
    energy = np.mean(np.abs(np.fft.fft2(u)) ** 2 + np.abs(np.fft.fft2(v)) ** 2, axis=0)
    shells = [np.sum(energy[np.round(np.sqrt(kx**2 + ky**2)) == k]) for k in range(1, 12)]
    assert 3 <= 1 + np.argmax(shells) <= 5


MISTAKES = {
    "range": (lambda: SineWaves(amplitude=(1.0, 0.0)), "amplitude"),
    "share": (lambda: SineWaves(window=1.5), "probability"),
    "walls": (lambda: GaussianRandomField(SMOOTH, walls="dirichlet"), "walls"),
    "scale": (lambda: TruncatedFourier(scale="std"), "scale"),
    "cutoff": (lambda: TruncatedFourier(cutoff=0), "cutoff"),
    "count": (lambda: SineWaves(num_waves=0), "num_waves"),
    "positive": (lambda: RiemannProblem(density=(0.0, 1.0)), "density"),
    "dimension": (lambda: SineWaves()(grid(8, 2), key=KEY), "interval"),
}


@pytest.mark.parametrize(("make", "message"), MISTAKES.values(), ids=MISTAKES)
def test_mistakes_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
