"""An operator as a `Stepper`: from the last frames of a trajectory to the next ones, and so on from its own.

With h frames seen and b predicted at once (temporal bundling: Brandstetter, Worrall & Welling 2022, arXiv 2202.03376,
sec. 3.1) the operator maps (h c, *s) to (b c, *s), the frames one after the other as components.
"""

from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from ..core import Fixed, rollout
from .normalised import Scale


class Emulator(eqx.Module):
    """`emulator(frames (h, c, *s)) -> (b, c, *s)`; `advance` is the same as a step of a state of max(h, b) frames.

    Frames are normalised by their mean and deviation. With `increments` the operator gives what is to be added to the
    last frame, in units of its deviation over the training trajectories; else it gives the frames themselves.
    """

    operator: Any
    scales: Fixed  # (of frames, of what the operator gives)
    history: int = eqx.field(static=True)
    bundle: int = eqx.field(static=True)
    increments: bool = eqx.field(static=True)

    def __init__(
        self,
        model: Callable[..., Any],
        frames: Float[Array, "n t c *s"],
        *,
        history: int = 1,
        bundle: int = 1,
        increments: bool = True,
        key: Key[Array, ""],
    ):
        """
        Args:
            model: the operator's constructor, `model(inputs, outputs, *, key)`.
            frames: training trajectories, of which the scales are taken.

        Raises:
            ValueError: for numbers below 1, and trajectories that are too short.
        """
        n, t, c, *shape = frames.shape
        if history < 1 or bundle < 1 or t < history + bundle:
            raise ValueError(f"history={history}, bundle={bundle} must be at least 1, and together at most {t} frames.")
        self.operator = model((history * c, *shape), (bundle * c, *shape), key=key)
        flat = frames.reshape(n * t, c, *shape)
        given = Scale.of(flat)
        if increments:
            changes = [frames[:, k:] - frames[:, : t - k] for k in range(1, bundle + 1)]
            flat = jnp.concatenate([change.reshape(-1, c, *shape) for change in changes])
            scale = Scale.of(flat)
            given_out = Scale(jnp.zeros_like(scale.mean), scale.std)
        self.scales = Fixed((given, given_out if increments else given))
        self.history, self.bundle, self.increments = history, bundle, increments
        if hasattr(self.operator, "fitted"):
            self.operator = self.operator.fitted(*self._pairs(frames))

    def _pairs(self, frames):
        """What the operator sees and what it should give, of all windows of the trajectories."""
        h, b, (t, c, *shape) = self.history, self.bundle, frames.shape[1:]
        windows = jnp.concatenate([frames[:, k : k + h + b] for k in range(t - h - b + 1)])
        seen, future = windows[:, :h], windows[:, h:]
        scale_in, scale_out = self.scales.value
        given = scale_out.normalise(future - seen[:, -1:] if self.increments else future, 2)
        flat = lambda a, m: a.reshape(len(windows), m * c, *shape)
        return flat(scale_in.normalise(seen, 2), h), flat(given, b)

    def __call__(self, frames: Float[Array, "h c *s"]) -> Float[Array, "b c *s"]:
        scale_in, scale_out = self.scales.value
        _, c, *shape = frames.shape
        seen = scale_in.normalise(frames, 1).reshape(-1, *shape)
        given = self.operator(seen).reshape(self.bundle, c, *shape)
        values = scale_out.restore(given, axis=1)
        return values + frames[-1:] if self.increments else values

    def advance(self, frames: Float[Array, "m c *s"]) -> Float[Array, "m c *s"]:
        """The last max(h, b) frames after b more."""
        return jnp.concatenate([frames, self(frames[-self.history :])])[-frames.shape[0] :]

    def unroll(self, frames: Float[Array, "h c *s"], num_steps: int) -> Float[Array, "t c *s"]:
        """The num_steps · b frames that follow."""
        state = self.begin(frames)
        saved = rollout(self.advance, state, num_steps, save=lambda frames: frames[-self.bundle :])
        return saved.reshape(-1, *saved.shape[2:])

    def begin(self, frames: Float[Array, "h c *s"]) -> Float[Array, "m c *s"]:
        """A state of max(h, b) frames; what is in front of the given ones is not read."""
        missing: Sequence[Any] = [frames[:1]] * (max(self.history, self.bundle) - self.history)
        return jnp.concatenate([*missing, frames])
