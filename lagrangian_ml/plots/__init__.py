"""Figures for a paper, drawn without pyplot and its global state; the only room that imports matplotlib."""

from .animation import animate
from .density import density_figure, save_density_figures
from .frame import characteristics_figure, save_characteristics
from .ftle import ftle_figure, save_ftle_figure
from .history import history_figure
from .operators import operator_figure, save_operator_figures
from .particles import animate_particles, particles_figure, save_particle_stills
from .run import png, save_run_figures
from .samples import samples_figure
from .slices import slices_figure
from .solution import solution_figure
from .style import style

__all__ = [
    "animate",
    "animate_particles",
    "characteristics_figure",
    "density_figure",
    "ftle_figure",
    "history_figure",
    "operator_figure",
    "particles_figure",
    "png",
    "samples_figure",
    "save_characteristics",
    "save_density_figures",
    "save_ftle_figure",
    "save_operator_figures",
    "save_particle_stills",
    "save_run_figures",
    "slices_figure",
    "solution_figure",
    "style",
]
