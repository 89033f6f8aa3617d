"""Small vectors and matrices kept as separate component arrays, so that a formula for one particle serves millions.

A `Vector` holds d arrays and a `Matrix` d × d of them, all of one shape: `()` for one particle, `(p,)` for a cloud,
`(*s)` on a grid. XLA then sees plain element-wise loops over contiguous memory; arrays of shape (p, d, d) cost it about
1.5 times as much on a CPU. Formulas read as in the books: `mu * (F @ F.T - identity(d))`.
"""

from collections.abc import Callable, Iterable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Scalar = Any  # a number, or an array of the shape of the components


@jax.tree_util.register_pytree_node_class
class Vector:
    """d component arrays. `Vector.split(a)` takes them from the first axis of `a`, `.stack()` puts them back.

    A component may be a number. What multiplies the component 0.0 is not computed: a normal along an axis costs little.
    """

    __array_ufunc__ = None  # NumPy numbers on the left leave the operation to us

    def __init__(self, *components: Any):
        self.components = components

    @classmethod
    def split(cls, array: Float[Array, "d ..."], axis: int = 0) -> "Vector":
        return cls(*(jnp.take(array, i, axis) for i in range(array.shape[axis])))

    def stack(self, axis: int = 0) -> Float[Array, "..."]:
        return jnp.stack(self.components, axis)

    def map(self, fn: Callable[..., Any], *others: "Vector") -> "Vector":
        """`fn` of each component (and of those of `others`)."""
        return Vector(*(fn(*parts) for parts in zip(self.components, *(v.components for v in others), strict=True)))

    def dot(self, other: "Vector") -> Any:
        pairs = zip(self.components, other.components, strict=True)
        return sum_of(a * b for a, b in pairs if not (_is_zero(a) or _is_zero(b)))

    def outer(self, other: "Vector") -> "Matrix":
        """a bᵀ"""
        return Matrix(*(tuple(a * b for b in other.components) for a in self.components))

    def norm_squared(self) -> Any:
        return self.dot(self)

    def tree_flatten(self):
        return self.components, None

    @classmethod
    def tree_unflatten(cls, _, children):
        return cls(*children)

    def __getitem__(self, i: int) -> Any:
        return self.components[i]

    def __iter__(self):
        return iter(self.components)

    def __len__(self) -> int:
        return len(self.components)

    def __add__(self, other: "Vector") -> "Vector":
        return self.map(lambda a, b: a + b, other)

    def __sub__(self, other: "Vector") -> "Vector":
        return self.map(lambda a, b: a - b, other)

    def __neg__(self) -> "Vector":
        return self.map(lambda a: -a)

    def __mul__(self, scalar: Scalar) -> "Vector":
        return self.map(lambda a: a if _is_zero(a) else a * scalar)

    __rmul__ = __mul__

    def __truediv__(self, scalar: Scalar) -> "Vector":
        return self.map(lambda a: a / scalar)

    def __repr__(self) -> str:
        return f"Vector{self.components}"


@jax.tree_util.register_pytree_node_class
class Matrix:
    """d × d component arrays, by rows. `Matrix.split(a)` takes them from two axes of `a`, `.stack()` puts them back."""

    __array_ufunc__ = None

    def __init__(self, *rows: Iterable[Any]):
        self.rows = tuple(tuple(row) for row in rows)

    @classmethod
    def split(cls, array: Float[Array, "..."], axes: tuple[int, int] = (0, 1)) -> "Matrix":
        array = jnp.moveaxis(array, axes, (0, 1))
        return cls(*([array[i, j] for j in range(array.shape[1])] for i in range(array.shape[0])))

    def stack(self, axes: tuple[int, int] = (0, 1)) -> Float[Array, "..."]:
        return jnp.moveaxis(jnp.stack([jnp.stack(row) for row in self.rows]), (0, 1), axes)

    @property
    def T(self) -> "Matrix":
        return Matrix(*zip(*self.rows, strict=True))

    @property
    def trace(self) -> Any:
        return sum_of(row[i] for i, row in enumerate(self.rows))

    @property
    def det(self) -> Any:
        a = self.rows
        if len(a) == 2:
            return a[0][0] * a[1][1] - a[0][1] * a[1][0]
        if len(a) == 3:
            return sum_of(a[0][j] * self._cofactor(0, j) for j in range(3))
        return a[0][0]

    @property
    def cofactors(self) -> "Matrix":
        """∂det/∂A = det(A) A⁻ᵀ, finite for singular A too."""
        d = len(self)
        if d == 1:
            return Matrix((jnp.ones_like(self.rows[0][0]),))
        if d == 2:
            (a, b), (c, e) = self.rows
            return Matrix((e, -c), (-b, a))
        return Matrix(*([self._cofactor(i, j) for j in range(d)] for i in range(d)))

    def _cofactor(self, i, j):
        (k, m), (n, q) = ((i + 1) % 3, (i + 2) % 3), ((j + 1) % 3, (j + 2) % 3)
        return self.rows[k][n] * self.rows[m][q] - self.rows[k][q] * self.rows[m][n]

    def inverse(self) -> "Matrix":
        """A⁻¹ by cofactors; not finite where A is singular."""
        return self.cofactors.T / self.det

    def map(self, fn: Callable[..., Any], *others: "Matrix") -> "Matrix":
        """`fn` of each entry (and of those of `others`)."""
        rows = zip(self.rows, *(m.rows for m in others), strict=True)
        return Matrix(*([fn(*parts) for parts in zip(*row, strict=True)] for row in rows))

    def contract(self, other: "Matrix") -> Any:
        """A : B = Σ Aᵢⱼ Bᵢⱼ"""
        return sum_of(a * b for r, s in zip(self.rows, other.rows, strict=True) for a, b in zip(r, s, strict=True))

    def add_diagonal(self, scalar: Scalar) -> "Matrix":
        """A + s I"""
        return Matrix(*([a + scalar if i == j else a for j, a in enumerate(row)] for i, row in enumerate(self.rows)))

    def tree_flatten(self):
        return self.rows, None

    @classmethod
    def tree_unflatten(cls, _, children):
        new = object.__new__(cls)
        new.rows = tuple(children)
        return new

    def __getitem__(self, index: tuple[int, int]) -> Any:
        return self.rows[index[0]][index[1]]

    def __len__(self) -> int:
        return len(self.rows)

    def __add__(self, other: "Matrix") -> "Matrix":
        return self.map(lambda a, b: a + b, other)

    def __sub__(self, other: "Matrix") -> "Matrix":
        return self.map(lambda a, b: a - b, other)

    def __neg__(self) -> "Matrix":
        return self.map(lambda a: -a)

    def __mul__(self, scalar: Scalar) -> "Matrix":
        return self.map(lambda a: a * scalar)

    __rmul__ = __mul__

    def __truediv__(self, scalar: Scalar) -> "Matrix":
        return self.map(lambda a: a / scalar)

    def __matmul__(self, other: Any) -> Any:
        if isinstance(other, Vector):
            return Vector(*(Vector(*row).dot(other) for row in self.rows))
        columns = other.T.rows
        return Matrix(*([Vector(*row).dot(Vector(*column)) for column in columns] for row in self.rows))

    def __repr__(self) -> str:
        return f"Matrix{self.rows}"


def identity(d: int, like: Any = 1.0) -> Matrix:
    """I, its entries of the shape and type of `like`."""
    one, zero = jnp.ones_like(like), jnp.zeros_like(like)
    return Matrix(*([one if i == j else zero for j in range(d)] for i in range(d)))


def diagonal(v: Vector) -> Matrix:
    """The matrix with v on its diagonal."""
    zero = jnp.zeros_like(v[0])
    return Matrix(*([a if i == j else zero for j in range(len(v))] for i, a in enumerate(v)))


def _is_zero(component):
    return isinstance(component, float) and component == 0.0


def sum_of(terms: Any) -> Any:
    """a + b + …, without the 0 that `sum` begins with; 0.0 where there is nothing to add."""
    total = None
    for term in terms:
        total = term if total is None else total + term
    return 0.0 if total is None else total


def computed_once(tree: Any, like: Float[Array, "..."]) -> Any:
    """The tree itself; `like` is any finite array of the shape of its leaves, or a number.

    XLA on CPUs fuses a cheap producer into each of its consumers and computes it in all of them: for every node of a
    stencil, say. A division, here by a one that it does not know to be one, it computes once where it is used twice.
    """
    one = jax.lax.stop_gradient(1 + 0 * like)
    return jax.tree.map(lambda a: a / one, tree)
