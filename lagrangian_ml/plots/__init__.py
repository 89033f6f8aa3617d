"""Figures for a paper, drawn without pyplot and its global state; the only room that imports matplotlib."""

from .animation import animate
from .density import density_figure, save_density_figures
from .frame import characteristics_figure, save_characteristics
from .ftle import ftle_figure, save_ftle_figure
from .history import history_figure
from .run import png, save_run_figures
from .samples import samples_figure
from .slices import slices_figure
from .solution import solution_figure
from .style import style

__all__ = [
    "animate",
    "characteristics_figure",
    "density_figure",
    "ftle_figure",
    "history_figure",
    "png",
    "samples_figure",
    "save_characteristics",
    "save_density_figures",
    "save_ftle_figure",
    "save_run_figures",
    "slices_figure",
    "solution_figure",
    "style",
]
