"""What a careful SciPy user writes: ETDRK2 in float32, only the kept modes, the real transforms of `scipy.fft`.

Conservative forms, so a stage takes two transforms for a scalar law in 1-D and the four of Basdevant (1983) for 2-D
vorticity; coefficients are computed once, by the contour integrals of Kassam & Trefethen (2005).
"""

from collections.abc import Callable

import numpy as np
from scipy import fft


def steepening(symbol: Callable, n: int, length: float, dt: float, num_steps: int, workers: int) -> Callable:
    """u_t + (u²/2)_x = Lu on n points: values (…, n) to those after num_steps."""
    kept = -(-n // 3)
    k = 2 * np.pi / length * np.arange(kept)
    exp, *weights = _weights(symbol(k), dt)
    weights = [(-0.5j * k * weight).astype(np.complex64) for weight in weights]

    def square(modes):
        u = fft.irfft(modes, n, workers=workers)
        np.multiply(u, u, out=u)
        return fft.rfft(u, overwrite_x=True, workers=workers)[..., :kept]

    def solve(u):
        modes = fft.rfft(u, workers=workers)[..., :kept].copy()
        return fft.irfft(_march(modes, square, exp, weights, num_steps), n, workers=workers)

    return solve


def vorticity(symbol: Callable, n: int, length: float, dt: float, num_steps: int, workers: int) -> Callable:
    """ω_t + u·∇ω = Lω on n × n points: values (…, n, n) to those after num_steps."""
    kept = -(-n // 3)
    m = fft.fftfreq(n, 1 / n)
    kx, ky = 2 * np.pi / length * m[:, None], 2 * np.pi / length * np.arange(kept)
    square = kx**2 + ky**2
    exists = np.abs(m[:, None]) < kept
    exp, *weights = (np.where(exists, weight, 0) for weight in _weights(symbol(square), dt))
    over_square = exists / np.where(square == 0, np.inf, square)
    to_velocity = np.stack([1j * ky * over_square, -1j * kx * over_square]).astype(np.complex64)
    combine = np.stack([kx**2 - ky**2, kx * ky]).astype(np.float32)
    options = {"workers": workers, "overwrite_x": True}

    def transport(modes):
        velocity = np.empty((2, *modes.shape), np.complex64)
        for factor, out in zip(to_velocity, velocity):
            np.multiply(factor, modes, out=out)
        products = u, v = fft.irfft(fft.ifft(velocity, axis=-2, **options), n, **options)
        uv = u * v
        np.multiply(u, u, out=u)
        np.multiply(v, v, out=v)
        np.subtract(v, u, out=v)
        u[:] = uv
        modes = fft.fft(fft.rfft(products, **options)[..., :kept], axis=-2, **options)
        for factor, product in zip(combine, modes):
            product *= factor
        modes[0] += modes[1]
        return modes[0]

    def solve(values):
        modes = fft.fft(fft.rfft(values, workers=workers)[..., :kept], axis=-2, workers=workers) * exists
        modes = _march(modes, transport, exp, weights, num_steps)
        return fft.irfft(fft.ifft(modes, axis=-2, **options), n, **options)

    return solve


def _march(modes, nonlinear, exp, weights, num_steps):
    """ETDRK2, (22) of Cox & Matthews (2002), in place."""
    first, second = weights
    for _ in range(num_steps):
        n_u = nonlinear(modes)
        modes *= exp
        modes += first * n_u
        n_a = nonlinear(modes)
        n_a -= n_u
        n_a *= second
        modes += n_a
    return modes


def _weights(symbol, dt):
    """exp(L dt), dt φ₁(L dt) and dt φ₂(L dt)."""
    z = symbol * dt
    circle = z[..., None] + np.exp(2j * np.pi * (np.arange(32) + 0.5) / 32)
    phi1, phi2 = (np.exp(circle) - 1) / circle, (np.exp(circle) - 1 - circle) / circle**2
    return [a.astype(np.float32) for a in (np.exp(z), *(dt * np.mean(phi, axis=-1).real for phi in (phi1, phi2)))]
