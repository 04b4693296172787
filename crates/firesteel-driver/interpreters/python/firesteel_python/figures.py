"""matplotlib's figures: this module is its backend, draws with Agg, and shows a figure by making it an image.

matplotlib is optional. Nothing here costs anything while user code does not draw.
"""

import io
import sys

_show = None

try:
    from matplotlib.backend_bases import FigureManagerBase as FigureManager
    from matplotlib.backends.backend_agg import FigureCanvasAgg as FigureCanvas
except Exception:  # not there, or broken by what was installed; who imports it sees how
    FigureManager = FigureCanvas = None


def prepare():
    """Makes this the backend, if matplotlib is there."""
    if FigureCanvas is None:
        return
    import matplotlib

    matplotlib.use(f"module://{__name__}")
    import matplotlib.pyplot  # noqa: F401


def show_with(function):
    """`plt.show()` will hand each figure to this function."""
    global _show
    _show = function


def show(*_arguments, **_options):
    """`plt.show()`, as matplotlib calls it."""
    for figure in take_open():
        _show(figure)


def take_open():
    """Closes the open figures and returns them, oldest first."""
    managers = _managers()
    if managers is None or not managers.figs:
        return []
    figures = [managers.figs[number].canvas.figure for number in sorted(managers.figs)]
    managers.destroy_all()
    return figures


def close_all():
    managers = _managers()
    if managers is not None and managers.figs:
        managers.destroy_all()


def close(figure):
    """Closes one figure that was shown by name, so that it is not shown again as an open one."""
    managers = _managers()
    if managers is not None:
        managers.destroy_fig(figure)


def is_figure(value):
    module = sys.modules.get("matplotlib.figure")
    return module is not None and isinstance(value, module.Figure)


def png(figure):
    """Draws a figure; `None` when it is empty."""
    if not figure.axes and not figure.lines and not figure.texts and not figure.images:
        return None
    target = io.BytesIO()
    figure.savefig(target, format="png", bbox_inches="tight")
    return target.getvalue()


def _managers():
    module = sys.modules.get("matplotlib._pylab_helpers")
    return None if module is None else module.Gcf
