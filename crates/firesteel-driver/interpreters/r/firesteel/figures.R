# Plots: R's default device here makes PNG files in a folder of the session, one for each page; when the command is
# over they are its pictures.

FIGURE_WIDTH_IN <- 7
FIGURE_HEIGHT_IN <- 5
FIGURE_DPI <- 100

figures <- new.env(parent = emptyenv())
figures$opened <- 0L

figures_folder <- function() file.path(tempdir(), "firesteel-figures")

# Opens the device; R calls it when something is drawn and no device is open.
open_figures <- function(width = FIGURE_WIDTH_IN, height = FIGURE_HEIGHT_IN, ...) {
  if (!capabilities("cairo")) {
    stop("plots need an R that was built with cairo; this one cannot draw without a display", call. = FALSE)
  }
  dir.create(figures_folder(), showWarnings = FALSE, recursive = TRUE)
  figures$opened <- figures$opened + 1L
  pages <- file.path(figures_folder(), sprintf("%06d-%%06d.png", figures$opened))
  grDevices::png(pages, width = width, height = height, units = "in", res = FIGURE_DPI, type = "cairo")
}

# Whether anything may have been drawn since the last command.
has_figures <- function() figures$opened > 0L

# Closes the devices and returns the pages as raw vectors.
take_figures <- function() {
  if (!has_figures()) {
    return(list())
  }
  close_figures()
  pages <- sort(list.files(figures_folder(), full.names = TRUE))
  pictures <- lapply(pages, function(page) readBin(page, "raw", file.size(page)))
  drop_figures()
  pictures[lengths(pictures) > 0L]
}

# Forgets whatever was drawn.
drop_figures <- function() {
  if (has_figures()) {
    close_figures()
    unlink(figures_folder(), recursive = TRUE)
    figures$opened <- 0L
  }
}

# Devices that user code opened itself stay open: they write to files of its own.
close_figures <- function() {
  for (number in rev(grDevices::dev.list())) {
    path <- attr(get(".Devices", envir = baseenv())[[number]], "filepath")
    if (is.character(path) && startsWith(path, figures_folder())) {
      grDevices::dev.off(number)
    }
  }
}
