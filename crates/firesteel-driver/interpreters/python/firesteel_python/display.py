"""`display`, `displayHTML`, and what a trailing expression looks like."""

import base64

from IPython.core.display import DisplayObject

from . import figures, tables
from .outcomes import Shown

# What is asked of an object that is shown, beside its plain text.
KINDS = ("image/png", "image/jpeg", "image/svg+xml", "text/html", "text/markdown")

LIMITS = {"rows_max": 10_000, "table_bytes_max": 2_000_000, "text_chars_max": 50_000}


class Display:
    """The callable that user code knows as `display`."""

    def __init__(self, shell):
        self.limits = LIMITS
        self.result = None
        self.spark = None
        self.shown = Shown()
        self._formatters = shell.display_formatter.formatters
        shell.display = self
        figures.show_with(self.figure)

    def __call__(self, *objects, **_options):
        """Shows DataFrames as tables, figures and images as images, HTML as HTML, everything else as text."""
        for shown in objects:
            self._show(shown)

    def __repr__(self):
        return "<function display>"

    def html(self, text):
        """`displayHTML`: the text is the command's result."""
        self.shown.html(str(text))

    def figure(self, figure):
        """Shows a matplotlib figure, unless there is nothing in it."""
        png = figures.png(figure)
        if png is not None:
            self.shown.image(png)

    def publish(self, data):
        """Shows what IPython's formatters made of an object: texts and images by their media types."""
        if "image/png" in data:
            self.shown.image(_bytes(data["image/png"]))
        elif "image/jpeg" in data:
            self.shown.html(f'<img src="data:image/jpeg;base64,{base64.b64encode(_bytes(data["image/jpeg"])).decode()}">')
        elif "image/svg+xml" in data:
            self.shown.html(data["image/svg+xml"])
        elif "text/html" in data:
            self.shown.html(data["text/html"])
        else:
            print(data.get("text/markdown") or data.get("text/plain") or "")

    def echo(self, value):
        """Returns the text of a trailing expression, or `None` when it was shown as something else."""
        if isinstance(value, DisplayObject) or figures.is_figure(value) or hasattr(type(value), "_repr_png_"):
            self._show(value)
            return None
        return self._plain(value)

    def begin(self):
        """Forgets what the last command showed, and figures that a failed one left open."""
        self.shown = Shown()
        figures.close_all()

    def open_figures(self):
        """Shows the figures that user code left open, and closes them."""
        for figure in figures.take_open():
            self.figure(figure)

    def _show(self, value):
        table = tables.encode(value, self.spark, self.limits, self.result)
        if table is not None:
            self.shown.table(table)
        elif figures.is_figure(value):
            self.figure(value)
            figures.close(value)
        elif hasattr(type(value), "_ipython_display_"):
            value._ipython_display_()
        else:
            self.publish(self._formats(value))

    def _formats(self, value):
        data = {}
        if isinstance(value, DisplayObject) or hasattr(type(value), "_repr_mimebundle_"):
            bundle = _unguarded(self._formatters.get("mimebundle"), value) or self._bundle(value)
            data.update(bundle[0] if isinstance(bundle, tuple) else bundle or {})
        for kind in KINDS:
            found = data.get(kind) or _unguarded(self._formatters[kind], value)
            if found:
                data[kind] = found[0] if isinstance(found, tuple) else found
        data.setdefault("text/plain", self._plain(value))
        return data

    @staticmethod
    def _bundle(value):
        make = getattr(value, "_repr_mimebundle_", None)
        return make() if make is not None else None

    def _plain(self, value):
        return _unguarded(self._formatters["text/plain"], value)


def _unguarded(formatter, value):
    # A formatter prints an exception of the object's own methods and carries on. Here it is the command's error.
    if formatter is None:
        return None
    call = type(formatter).__call__
    return getattr(call, "__wrapped__", call)(formatter, value)


def _bytes(png):
    if isinstance(png, str):  # IPython's objects come in base64
        return base64.b64decode(png)
    return png
