"""Reference files of others: layouts in one and two dimensions, steady and evolving, and where files are found."""

import jax.numpy as jnp
import numpy as np
import pytest

from lagrangian_ml.core import Problem
from lagrangian_ml.domains import Ball, Box
from lagrangian_ml.domains.files import find_file, read_samples
from lagrangian_ml.equations import Diffusion, Poisson, VectorBurgers


def problem(domain=None, equation=None, horizon=None):
    equation = equation or Poisson()
    domain = domain or Box([0.0, 0.0], [1.0, 2.0])
    initial = None if horizon is None else lambda x: jnp.zeros(equation.num_components)
    return Problem(equation, domain, initial, (), horizon)


X, Y, T = np.linspace(0, 1, 3), np.linspace(0, 2, 4), np.linspace(0, 1, 2)


def test_steady_grid_in_two_dimensions(tmp_path):
    np.savez(tmp_path / "a.npz", x=X, y=Y, u=X[:, None] + 10 * Y[None, :])
    samples = read_samples(tmp_path / "a.npz", problem())
    assert samples.grid == (3, 4) and samples.point.t is None and samples.u.shape == (12, 1)
    assert jnp.allclose(samples.u[:, 0], samples.point.x[:, 0] + 10 * samples.point.x[:, 1])


def test_evolving_grid_in_two_dimensions_with_components(tmp_path):
    u = np.stack(np.meshgrid(T, X, Y, indexing="ij")[:2], axis=-1)
    np.savez(tmp_path / "a.npz", t=T, x=X, y=Y, u=u.astype(np.float32))
    samples = read_samples(tmp_path / "a.npz", problem(equation=VectorBurgers(), horizon=1.0))
    assert samples.grid == (2, 3, 4) and samples.u.shape == (24, 2)
    assert jnp.allclose(samples.u, jnp.stack([samples.point.t, samples.point.x[:, 0]], axis=-1))
    assert samples.u.dtype == samples.point.x.dtype == jnp.result_type(float)


def test_scattered_points_in_two_dimensions(tmp_path):
    x = np.random.default_rng(0).uniform(size=(5, 2))
    np.savez(tmp_path / "a.npz", t=np.zeros(5), x=x, u=x[:, :1])
    samples = read_samples(tmp_path / "a.npz", problem(equation=Diffusion(), horizon=1.0))
    assert samples.grid is None and samples.point.x.shape == (5, 2)


def test_points_on_a_curved_boundary_are_inside_in_spite_of_rounding(tmp_path):
    angle = np.linspace(0, 6, 50)
    x = np.stack([np.cos(angle), np.sin(angle)], axis=-1).astype(np.float32)
    np.savez(tmp_path / "a.npz", x=x, u=np.ones(50))
    assert read_samples(tmp_path / "a.npz", problem(Ball([0.0, 0.0], 1.0))).u.shape == (50, 1)
    np.savez(tmp_path / "a.npz", x=1.01 * x, u=np.ones(50))
    with pytest.raises(ValueError, match="50 points outside the domain"):
        read_samples(tmp_path / "a.npz", problem(Ball([0.0, 0.0], 1.0)))


@pytest.mark.parametrize(
    "arrays, words",
    [
        ({"x": X, "u": np.ones((3, 4))}, "the array y is missing"),
        ({"x": X, "y": Y, "u": np.ones((4, 3))}, r"u has the shape \(4, 3\); expected \(3, 4\) = \(x, y\)"),
        ({"x": np.ones((5, 3)), "u": np.ones(5)}, r"x has the shape \(5, 3\); expected \(n, 2\)"),
        ({"x": np.ones((5, 2)), "u": np.ones((5, 2))}, r"u has the shape \(5, 2\); expected \(5, 1\)"),
        ({"x": np.zeros((0, 2)), "u": np.ones(0)}, "is empty"),
    ],
)
def test_wrong_shapes(tmp_path, arrays, words):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(ValueError, match=words):
        read_samples(tmp_path / "a.npz", problem())


def test_files_are_found_where_the_path_says_and_in_the_folder_of_references(tmp_path, monkeypatch):
    monkeypatch.delenv("LAGRANGIAN_ML_REFERENCE_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a.npz").touch()
    with pytest.raises(FileNotFoundError, match="LAGRANGIAN_ML_REFERENCE_DATA"):
        find_file("a.npz")
    assert find_file("folder/a.npz").is_file()
    monkeypatch.setenv("LAGRANGIAN_ML_REFERENCE_DATA", str(tmp_path / "folder"))
    assert find_file("a") == find_file("a.npz") == tmp_path / "folder" / "a.npz"


def test_one_array_or_an_empty_archive_is_no_reference(tmp_path):
    np.save(tmp_path / "a.npy", np.ones(3))
    with pytest.raises(ValueError, match="one array"):
        read_samples(tmp_path / "a.npy", problem())
    np.savez(tmp_path / "a.npz")
    with pytest.raises(ValueError, match="x, u is missing; it holds none"):
        read_samples(tmp_path / "a.npz", problem())
