# What a command came to: the fields and the payload of its `done` message.

# A payload frame is at most 64 MiB, and pictures grow by a third on their way into text.
IMAGE_BYTES_MAX <- 40 * 2^20
TEXT_BYTES_MAX <- 32 * 2^20

outcome_text <- function(text = "", ...) {
  payload <- charToRaw(to_utf8(text))
  if (length(payload) > TEXT_BYTES_MAX) {
    return(outcome_error(paste("Error: a result of", length(payload), "bytes is too long")))
  }
  outcome("text", payload, ...)
}

# `json` is the `results` object of a table.
outcome_table <- function(json) outcome("table", charToRaw(json))

# `pictures` are PNG files as raw vectors.
outcome_images <- function(pictures) {
  fits <- cumsum(lengths(pictures)) <= IMAGE_BYTES_MAX
  if (!all(fits)) {
    cat(sum(!fits), "pictures left out: together they are too large\n", file = stderr())
  }
  urls <- paste0("data:image/png;base64,", vapply(pictures[fits], base64_encode, ""))
  names <- json_raw(paste0("[", paste0(json_quote(urls), collapse = ","), "]"))
  json <- json_object(list(data = NULL, fileNames = names, resultType = "images"))
  outcome("images", charToRaw(json))
}

outcome_error <- function(summary, cause = summary) {
  json <- json_object(list(cause = cause, resultType = "error", summary = html_escape(summary)))
  outcome("error", charToRaw(json))
}

outcome_cancelled <- function() outcome("cancelled", NULL)

outcome <- function(kind, payload, ...) {
  list(fields = list(outcome = kind, ...), payload = payload)
}

# Clients read a summary as HTML: they strip tags and unescape.
html_escape <- function(text) {
  text <- gsub("&", "&amp;", text, fixed = TRUE)
  text <- gsub("<", "&lt;", text, fixed = TRUE)
  gsub(">", "&gt;", text, fixed = TRUE)
}
