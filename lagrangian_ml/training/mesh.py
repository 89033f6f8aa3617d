"""Where a fit runs: the model on every device, the samples shared out over the mesh axis "batch"."""

import warnings
from typing import Any

import equinox as eqx
import jax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from ..core import Batch


def make_mesh(batch: int = -1) -> Mesh:
    """A mesh of `batch` devices (-1: all) with the one axis "batch". ValueError if there are fewer devices."""
    devices = jax.devices()
    if batch != -1 and not 1 <= batch <= len(devices):
        raise ValueError(f"mesh.batch={batch}: allowed are 1 to {len(devices)} devices (those found), or -1 for all.")
    devices = devices if batch == -1 else devices[:batch]
    return jax.make_mesh((len(devices),), ("batch",), axis_types=(AxisType.Auto,), devices=devices)


def check_mesh(mesh: Mesh) -> None:
    """ValueError unless the mesh has an axis "batch", and XLA lays out what a computation makes (axes of type Auto)."""
    if "batch" not in mesh.shape or any(kind != AxisType.Auto for kind in mesh.axis_types):
        axes = {name: kind.name for name, kind in zip(mesh.axis_names, mesh.axis_types, strict=True)}
        raise ValueError(
            f"the mesh has the axes {axes}; it needs an axis 'batch', and all of type Auto: take "
            "lagrangian_ml.training.make_mesh(), or jax.make_mesh with axis_types."
        )


def replicated(mesh: Mesh) -> NamedSharding:
    """The whole array on every device."""
    return NamedSharding(mesh, PartitionSpec())


def share_out(batch: Batch, mesh: Mesh) -> dict[str, Any]:
    """Lay the samples of every term over the axis "batch"; a term whose n it does not divide goes to all devices."""
    size = mesh.shape["batch"]

    def place(name, samples):
        lengths = {leaf.shape[0] for leaf in jax.tree.leaves(eqx.filter(samples, eqx.is_array))}
        divides = all(n % size == 0 for n in lengths)
        if not divides:
            warnings.warn(
                f"the {sorted(lengths)} samples of {name!r} do not divide over {size} devices: every device works "
                f"on all of them. Choose a multiple of {size} to share them out.",
                stacklevel=2,
            )
        sharding = NamedSharding(mesh, PartitionSpec("batch" if divides else None))
        constrain = lambda leaf: jax.lax.with_sharding_constraint(leaf, sharding) if eqx.is_array(leaf) else leaf
        return jax.tree.map(constrain, samples)

    return {name: place(name, samples) for name, samples in batch.items()}
