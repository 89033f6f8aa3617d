"""Figures for a paper, drawn without pyplot and its global state; the only room that imports matplotlib."""

from .history import history_figure
from .run import png, save_run_figures
from .samples import samples_figure
from .slices import slices_figure
from .solution import solution_figure
from .style import style

__all__ = [
    "history_figure",
    "png",
    "samples_figure",
    "save_run_figures",
    "slices_figure",
    "solution_figure",
    "style",
]
