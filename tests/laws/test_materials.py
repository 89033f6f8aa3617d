"""Laws of materials and of the polar and spectral decompositions under them. A new material joins MATERIALS.

All laws of a material are measured by one compiled function, for a cloud of deformations that holds the dangerous ones:
F = I, repeated stretches, crushed to a point, inverted.
"""

from functools import cache

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg

from lagrangian_ml.fields import MLP
from lagrangian_ml.linalg.components import Matrix
from lagrangian_ml.linalg.polar import eigen_symmetric, exp_symmetric, log_symmetric, polar
from lagrangian_ml.particles.materials import FixedCorotated, Fluid, Hencky, NeoHookean, lame
from lagrangian_ml.particles.neural_material import NeuralMaterial
from lagrangian_ml.particles.plasticity import DruckerPrager, VonMises

YOUNG, POISSON = 3.0, 0.3
NUM_SOUND, NUM = 8, 16  # deformations a body may have, and all of them


def network():
    return MLP(3, 1, width=4, depth=1, key=jax.random.key(1))


MATERIALS = {
    "neo-Hookean": lambda: NeoHookean(YOUNG, POISSON),
    "fixed corotated": lambda: FixedCorotated(YOUNG, POISSON),
    "Hencky": lambda: Hencky(YOUNG, POISSON),
    "water": lambda: Fluid(2.0),
    "gas": lambda: Fluid(2.0, gamma=1.0),
    "drops": lambda: Fluid(2.0, tension=False),
    "sand": lambda: DruckerPrager(YOUNG, POISSON, friction_angle=30.0),
    "metal": lambda: VonMises(YOUNG, POISSON, yield_stress=0.2, hardening=0.5),
    "neural": lambda: NeuralMaterial(network(), base=NeoHookean(YOUNG, POISSON)),
}
PLASTIC = ("sand", "metal")
SOLIDS = ("neo-Hookean", "fixed corotated", "Hencky")
both = pytest.mark.parametrize("d", [2, 3])
all_materials = pytest.mark.parametrize("name", MATERIALS)


def rotations(d, num, rng):
    q = np.linalg.qr(rng.normal(size=(num, d, d)))[0]
    return q * np.sign(np.linalg.det(q))[:, None, None] if d == 3 else q[:, :, :1] * [1, 0] + turned(q) * [0, 1]


def turned(q):
    return np.stack([-q[:, 1, :1], q[:, 0, :1]], axis=1)


@cache
def deformations(d, seed=0):
    """(F, plastic): eight with stretches between 0.7 and 1.4, then I, repeated stretches, and degenerate ones."""
    rng = np.random.default_rng(seed)
    a, b = rotations(d, NUM_SOUND, rng), rotations(d, NUM_SOUND, rng)
    sound = a * np.exp(rng.uniform(-0.35, 0.35, (NUM_SOUND, 1, d))) @ b
    one = np.eye(d)
    flip = np.diag([1.0] * (d - 1) + [-1.0])
    rest = [one, 0.8 * one, 1.1 * b[0], 1e-8 * sound[0], 0 * one, flip, a[0] @ flip, np.ones((d, d))]
    return np.concatenate([sound, rest]), np.where(np.arange(NUM) % 3 == 0, 0.05, 0.0)


@eqx.filter_jit
def measure(material, F, plastic, weight, with_energy):
    """Everything the laws need of a cloud F of matrices; `loss` is a scalar per particle, `slope` its gradient in F."""

    def loss(F):
        tau, new, history = material(F, plastic)
        return weight[0].contract(tau) + weight[1].contract(new) + history, (tau, new, history)

    def total(F):
        value, aux = loss(F)
        return value.sum(), (value, *aux)

    slope, (value, tau, new, history) = jax.grad(total, has_aux=True)(F)
    out = {"loss": value, "plastic": history, "tau": tau, "F": new, "slope": slope}
    if not with_energy:
        return out
    energy = lambda F: (material.energy(F).sum(), material.energy(F))
    dpsi, value = jax.grad(energy, has_aux=True)(F)
    return out | {"energy": value, "dpsi": dpsi}


def measured(name, F, plastic, dtype=np.float64):
    weight = tuple(map(split, np.random.default_rng(7).normal(size=(2, *np.shape(F))).astype(dtype)))
    cast = lambda a: a.astype(dtype) if eqx.is_array(a) else a
    with_energy = dtype == np.float64 and name not in PLASTIC  # theirs is that of `Hencky`
    material = jax.tree.map(cast, MATERIALS[name]())
    out = measure(material, split(F.astype(dtype)), jnp.asarray(plastic, dtype), weight, with_energy)
    return {k: stack(v) if isinstance(v, Matrix) else np.asarray(v) for k, v in out.items()}


def split(array):
    """The matrix of an array (p, d, d); outside `jit`, as XLA fuses badly across the two layouts."""
    return Matrix(*([jnp.asarray(array[:, i, j]) for j in range(array.shape[2])] for i in range(array.shape[1])))


def stack(matrix):
    return np.moveaxis(np.array(matrix.rows), 2, 0)


@cache
def laws(name, d):
    return measured(name, *deformations(d))


def transpose(a):
    return np.swapaxes(a, -1, -2)


# ---- All materials ----------------------------------------------------------------------------------------------


@both
@pytest.mark.parametrize("name", [name for name in MATERIALS if name not in PLASTIC])
def test_stress_is_the_derivative_of_the_energy(name, d):
    F, at = deformations(d)[0][:NUM_SOUND], laws(name, d)
    np.testing.assert_allclose(at["tau"][:NUM_SOUND], at["dpsi"][:NUM_SOUND] @ transpose(F), rtol=0, atol=2e-13)


@both
@all_materials
def test_a_body_at_rest_has_no_stress_and_no_energy(name, d):
    rest = laws(name, d)
    plastic = deformations(d)[1][NUM_SOUND]
    assert plastic == 0
    for key in {"tau", "energy", "plastic"} & rest.keys():
        np.testing.assert_allclose(rest[key][NUM_SOUND], 0, atol=2e-15)
    np.testing.assert_allclose(rest["F"][NUM_SOUND], np.eye(d), atol=1e-15)


@both
@all_materials
def test_laws_are_isotropic_and_do_not_see_rotations(name, d):
    F, plastic = deformations(d)
    rng = np.random.default_rng(3)
    Q, P = rotations(d, NUM, rng), rotations(d, NUM, rng)
    here, there = laws(name, d), measured(name, Q @ F @ P, plastic)
    sound = slice(0, NUM_SOUND + 3)
    np.testing.assert_allclose(here["tau"], transpose(here["tau"]), atol=1e-12)
    np.testing.assert_allclose(there["tau"][sound], (Q @ here["tau"] @ transpose(Q))[sound], rtol=0, atol=1e-13)
    np.testing.assert_allclose(there["plastic"][sound], here["plastic"][sound], atol=1e-14)
    if not isinstance(MATERIALS[name](), Fluid):
        np.testing.assert_allclose(there["F"][sound], (Q @ here["F"] @ P)[sound], atol=1e-13)


@both
@all_materials
def test_gradients_equal_central_differences(name, d):
    F, plastic = deformations(d)
    direction = np.random.default_rng(5).normal(size=F.shape)
    h = 1e-5
    plus, minus = (measured(name, F + s * h * direction, plastic)["loss"] for s in (1, -1))
    slope = np.einsum("pij,pij->p", laws(name, d)["slope"], direction)
    # Sand at rest and fluids at J = 1 stand on a kink; the degenerate ones have no derivative.
    sound = [i for i in range(NUM_SOUND + 3) if i != NUM_SOUND or name not in ("sand", "drops")]
    np.testing.assert_allclose(((plus - minus) / (2 * h))[sound], slope[sound], rtol=2e-7, atol=2e-8)


@both
@all_materials
def test_values_and_gradients_are_finite_at_every_deformation(name, d):
    assert all(np.isfinite(value).all() for value in laws(name, d).values())


@pytest.mark.usefixtures("float32")
@all_materials
def test_values_and_gradients_are_finite_in_single_precision(name):
    at = measured(name, *deformations(2), np.float32)
    assert all(value.dtype == np.float32 and np.isfinite(value).all() for value in at.values())


@both
@pytest.mark.parametrize("name", [*SOLIDS, *PLASTIC])
def test_small_strains_obey_hooke(name, d):
    h = 1e-6
    gradient = 0.1 * np.random.default_rng(2).normal(size=(NUM, d, d)) - np.eye(d)  # compressed: sand stays elastic
    strain = 0.5 * (gradient + transpose(gradient))
    lam, mu = YOUNG * POISSON / ((1 + POISSON) * (1 - 2 * POISSON)), YOUNG / (2 * (1 + POISSON))
    hooke = 2 * mu * strain + lam * np.trace(strain, axis1=1, axis2=2)[:, None, None] * np.eye(d)
    tau = measured(name, np.eye(d) + h * gradient, np.zeros(NUM))["tau"] / h
    np.testing.assert_allclose(tau, hooke, atol=1e-4)
    assert MATERIALS[name]().p_wave_modulus == pytest.approx(lam + 2 * mu)


@pytest.mark.parametrize("name", ["water", "gas", "drops", "neural"])
def test_p_wave_modulus_is_the_slope_of_the_stress_under_uniaxial_strain(name):
    h = 1e-6
    F = np.eye(2) - h * np.diag([1.0, 0.0]) + np.zeros((NUM, 1, 1))
    slope = -measured(name, F, np.zeros(NUM))["tau"][0, 0, 0] / h
    assert float(MATERIALS[name]().p_wave_modulus) == pytest.approx(slope, rel=1e-4)


def test_one_compilation_serves_all_deformations_and_parameters_and_one_particle_is_a_cloud_of_one():
    traces = []

    @eqx.filter_jit
    def stress(material, F, plastic):
        traces.append(F)
        return material(F, plastic)

    F, plastic = deformations(2)
    young = jnp.linspace(1.0, 2.0, NUM)
    make = lambda e: Hencky(e, jnp.asarray(POISSON))
    cloud, _, history = stress(make(young), Matrix.split(jnp.asarray(F), (1, 2)), jnp.asarray(plastic))
    for i in range(NUM):
        one = stress(make(young[i]), Matrix.split(jnp.asarray(F[i])), jnp.asarray(plastic[i]))
        np.testing.assert_allclose(one[0].stack(), cloud.stack((1, 2))[i], atol=1e-14)
        assert one[2] == history[i]
    assert len(traces) == 2


@pytest.mark.parametrize("name", SOLIDS)
def test_stress_is_proportional_to_youngs_modulus_which_may_be_trained(name):
    F = Matrix.split(jnp.asarray(deformations(2)[0][0]))
    material = type(MATERIALS[name]())
    tau = lambda young: material(young, POISSON)(F, None)[0].stack()
    value, slope = jax.jvp(tau, (jnp.asarray(YOUNG),), (jnp.ones(()),))
    np.testing.assert_allclose(YOUNG * slope, value, rtol=1e-12)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: NeoHookean(-1.0, 0.3), "young=-1.0"),
        (lambda: Hencky(1.0, 0.5), r"poisson=0.5.*\(-1, 0.5\)"),
        (lambda: Fluid(0.0), "bulk_modulus=0.0"),
        (lambda: Fluid(1.0, gamma=0.5), "gamma=0.5"),
        (lambda: VonMises(1.0, 0.3, yield_stress=0.0), "yield_stress=0.0"),
        (lambda: VonMises(1.0, 0.3, 1.0, hardening=-1.0), "hardening=-1.0"),
        (lambda: DruckerPrager(1.0, 0.3, friction_angle=90.0), "friction_angle=90.0"),
        (lambda: NeuralMaterial(network(), scale=0.0), "scale=0.0"),
        (lambda: polar(Matrix((1.0,))), "1 × 1"),
    ],
)
def test_parameters_are_checked(make, message):
    with pytest.raises(ValueError, match=message):
        make()


# ---- Yield ------------------------------------------------------------------------------------------------------


def norm(a):
    return np.sqrt((a**2).sum((1, 2)))


def deviator(a):
    return a - np.trace(a, axis1=1, axis2=2)[:, None, None] * np.eye(a.shape[-1]) / a.shape[-1]


@both
@pytest.mark.parametrize("name", PLASTIC)
def test_return_mapping_ends_on_the_yield_surface_and_is_idempotent(name, d):
    F, plastic = deformations(d)
    F = 0.8 * F if name == "sand" else F
    once = measured(name, F, plastic)
    twice = measured(name, once["F"], once["plastic"])
    sound = slice(0, NUM_SOUND + 3)
    for key in ("tau", "F", "plastic"):
        np.testing.assert_allclose(twice[key][sound], once[key][sound], atol=2e-14)
    tau, trace = once["tau"][sound], np.trace(once["tau"], axis1=1, axis2=2)[sound]
    elastic = norm(deviator(once["F"][sound] @ np.linalg.inv(F[sound]))) < 1e-14
    if name == "metal":
        limit = np.sqrt(2 / 3) * (0.2 + 0.5 * once["plastic"][sound])
        np.testing.assert_array_equal(elastic, once["plastic"][sound] == plastic[sound])
        np.testing.assert_allclose(np.linalg.det(once["F"])[sound], np.linalg.det(F)[sound])
    else:
        assert (trace <= 1e-14).all()
        limit = -float(MATERIALS[name]().slope(d)) * trace
        changed = np.linalg.slogdet(once["F"][sound])[1] - np.linalg.slogdet(F[sound])[1]
        np.testing.assert_allclose((once["plastic"] - plastic)[sound], -changed, atol=1e-14)
    assert elastic.any() and not elastic.all()
    size = norm(deviator(tau))
    assert (size[elastic] <= limit[elastic] + 1e-14).all()
    np.testing.assert_allclose(size[~elastic], limit[~elastic], atol=1e-13)


def test_metal_hardens_as_it_is_drawn():
    """Simple shear far beyond yield: the shear stress is (σ + H α)/√3."""
    F, plastic = np.tile(np.eye(2), (NUM, 1, 1)), np.zeros(NUM)
    step = np.array([[1.0, 0.01], [0.0, 1.0]])
    for _ in range(20):
        at = measured("metal", step @ F, plastic)
        F, plastic = at["F"], at["plastic"]
    shear = np.sqrt(0.5) * norm(deviator(at["tau"]))
    np.testing.assert_allclose(shear, (0.2 + 0.5 * plastic) / np.sqrt(3), rtol=1e-12)
    assert 0.02 < plastic[0] < 0.2 / np.sqrt(3)


def test_sand_obeys_coulomb_in_the_plane_and_gives_gained_volume_back_first():
    squeezed, sheared = (np.diag([0.8, a]) + np.zeros((NUM, 1, 1)) for a in (1.0, 1.1))
    low, high = np.linalg.eigvalsh(measured("sand", sheared, np.zeros(NUM))["tau"][0])
    assert (high - low) / -(high + low) == pytest.approx(np.sin(np.radians(30.0)))
    loose = measured("sand", 1.1 * squeezed / 0.8**0.5, np.zeros(NUM))
    assert loose["plastic"][0] == pytest.approx(2 * np.log(1.1))
    assert (loose["tau"] == 0).all()
    again = measured("sand", 0.95 * loose["F"], loose["plastic"])
    assert abs(again["tau"]).max() == 0 and again["plastic"][0] == pytest.approx(2 * np.log(1.1 * 0.95))
    dense = measured("sand", 0.9 * again["F"], again["plastic"])
    lam, mu = lame(YOUNG, POISSON)
    np.testing.assert_allclose(dense["tau"][0], 2 * (lam + mu) * np.log(1.1 * 0.95 * 0.9) * np.eye(2), atol=1e-14)
    assert dense["plastic"][0] == 0


def test_lame_parameters_give_the_moduli_back():
    lam, mu = lame(YOUNG, POISSON)
    assert mu * (3 * lam + 2 * mu) / (lam + mu) == pytest.approx(YOUNG)
    assert lam / (2 * (lam + mu)) == pytest.approx(POISSON)


# ---- Decompositions ---------------------------------------------------------------------------------------------


@eqx.filter_jit
def decompositions(F, dF):
    def all_of(F):
        b = F @ F.T
        values, Q = eigen_symmetric(b)
        return (*polar(F), log_symmetric(b, 1e-6), exp_symmetric(b), values[0] + values[1] * values[0]), (values, Q)

    value, dots, rest = jax.jvp(all_of, (F,), (dF,), has_aux=True)
    return value[:4], dots[:4], *rest


def decomposed(F, dF):
    """((R, S, log, exp), their derivatives along dF, λ, Q) as NumPy's arrays."""
    value, dots, eigenvalues, Q = decompositions(split(F), split(dF))
    return [stack(m) for m in value], [stack(m) for m in dots], np.stack(eigenvalues.components, 1), stack(Q)


@both
def test_decompositions_equal_lapacks(d):
    F, dF = deformations(d)[0], np.random.default_rng(4).normal(size=(NUM, d, d))
    (R, S, log, exp), dots, values, Q = decomposed(F, dF)
    np.testing.assert_allclose(R @ S, F, atol=1e-14)
    np.testing.assert_allclose(R @ transpose(R), np.eye(d) + 0 * F, atol=1e-14)
    np.testing.assert_allclose(np.linalg.det(R), 1)
    np.testing.assert_array_equal(S, transpose(S))
    np.testing.assert_allclose((Q * values[:, None]) @ transpose(Q), F @ transpose(F), atol=1e-14)
    for i in range(NUM_SOUND + 3):
        b = F[i] @ F[i].T
        np.testing.assert_allclose(R[i], scipy.linalg.polar(F[i])[0], atol=1e-14)
        np.testing.assert_allclose(log[i], scipy.linalg.logm(b), atol=1e-13)
        exact, slope = scipy.linalg.expm_frechet(b, dF[i] @ F[i].T + F[i] @ dF[i].T)
        np.testing.assert_allclose(exp[i], exact, rtol=1e-12, atol=1e-13)
        np.testing.assert_allclose(dots[3][i], slope, rtol=1e-11, atol=1e-12)
    h = 1e-5
    plus, minus = (decomposed(F + s * h * dF, dF)[0] for s in (1, -1))
    for a, b, dot in zip(plus, minus, dots, strict=True):
        np.testing.assert_allclose(((a - b) / (2 * h))[: NUM_SOUND + 3], dot[: NUM_SOUND + 3], rtol=1e-7, atol=1e-7)


@pytest.mark.usefixtures("float32")
def test_decompositions_are_finite_and_accurate_in_single_precision():
    everything = decomposed(*(a.astype(np.float32) for a in (deformations(3)[0], deformations(3, seed=1)[0])))
    assert all(np.isfinite(a).all() for a in jax.tree.leaves(everything))
    rng = np.random.default_rng(6)
    a, b = rotations(3, NUM, rng), rotations(3, NUM, rng)
    F = a * 10.0 ** rng.uniform(-2, 0, (NUM, 1, 3)) @ b
    (R, S, *_), *_ = decomposed(F.astype(np.float32), np.zeros_like(F, np.float32))
    np.testing.assert_allclose(R @ transpose(R), np.eye(3) + 0 * F, atol=2e-6)
    np.testing.assert_allclose(R @ S, F, atol=2e-6)
    np.testing.assert_allclose(R, a @ b, atol=1e-4)
