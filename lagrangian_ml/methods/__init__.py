"""Methods: one paper, one file, where fields, jets, equations and sources meet."""

from .pinn import PINN, pinn, strong_form

__all__ = ["PINN", "pinn", "strong_form"]
