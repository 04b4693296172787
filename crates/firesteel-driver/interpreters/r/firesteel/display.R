# `display` and `displayHTML`, and what a command has shown when it is over. The last rich thing wins; pictures collect.

shown <- new.env(parent = emptyenv())
shown$kind <- "text"
shown$content <- ""
shown$limits <- list(rows_max = 10000, table_bytes_max = 2000000, result_bytes_max = 2147483648)
# The file for all rows of a table, or NULL where none is wanted.
shown$result <- NULL

# Takes over the driver's limits on results.
limit_display <- function(limits) shown$limits <- limits

# Takes over the file for all rows of a table that the next command shows.
keep_rows_in <- function(path) shown$result <- path

begin_display <- function() show_as("text", "")

show_as <- function(kind, content) {
  shown$kind <- kind
  shown$content <- content
}

# Shows data frames as tables, everything else as it is printed; a plot's object is drawn by that.
display <- function(x, ...) {
  if (is.data.frame(x) || is.matrix(x)) {
    frame <- if (is.data.frame(x)) x else as.data.frame(x, stringsAsFactors = FALSE)
    show_as("table", table_json(frame, shown$limits, shown$result))
  } else {
    show_value(x)
  }
  invisible()
}

# The text is the command's result.
displayHTML <- function(html) {
  show_as("html", paste(as.character(html), collapse = "\n"))
  invisible()
}

# The outcome of a command that ran to its end. What it printed is in the pipe already.
displayed_outcome <- function() {
  pictures <- take_figures()
  if (shown$kind == "table") outcome_table(shown$content)
  else if (length(pictures) > 0L) outcome_images(pictures)
  else outcome_text(shown$content)
}
