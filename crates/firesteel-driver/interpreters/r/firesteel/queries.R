# `sql`: queries of the running command, which the driver has answered by the context's own SQL interpreter.

queries <- new.env(parent = emptyenv())
queries$driver <- NULL

# Queries can be asked from now on; and no more.
open_queries <- function(driver) queries$driver <- driver
close_queries <- function() queries$driver <- NULL

# A query's rows as a data frame. An error of the query is one in R.
sql <- function(query) {
  if (!is.character(query) || length(query) != 1L || is.na(query)) {
    stop("sql() takes one text: the query")
  }
  answer <- ask_query(query)
  if (answer$outcome == "cancelled") {
    raise_interrupt()
  }
  results <- rawToChar(answer$payload)
  if (answer$outcome != "table") {
    stop(query_error(results), call. = FALSE)
  }
  frame <- frame_of_results(results)
  if (isTRUE(attr(frame, "truncated"))) {
    warning("the result has more rows: only the first ", nrow(frame), " are here; filter or aggregate in the query")
  }
  if (length(frame) > 0L) frame else invisible(frame)
}

# Asks and waits. An interrupt waits too: the driver answers when the query has stopped.
ask_query <- function(query) {
  driver <- queries$driver
  if (is.null(driver)) {
    stop("sql() works while a command runs only", call. = FALSE)
  }
  if (is_forked_copy(driver)) {
    stop("sql() does not work in a forked process", call. = FALSE)
  }
  suspendInterrupts({
    send(driver, list(type = "sql"), charToRaw(to_utf8(query)))
    answer <- receive(driver)
    if (!identical(answer$type, "sql_result") || !is.character(answer$outcome)) {
      broken("another message than the query's answer")
    }
    answer
  })
}

# The summary of an error result, without its HTML.
query_error <- function(results) {
  results <- json_read(results)
  if (!is.character(results$summary)) {
    return("the query gave no table")
  }
  text <- gsub("<[^>]*>", "", results$summary)
  text <- gsub("&lt;", "<", text, fixed = TRUE)
  text <- gsub("&gt;", ">", text, fixed = TRUE)
  gsub("&amp;", "&", text, fixed = TRUE)
}
