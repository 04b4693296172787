# What user code raised, worded as R's console does: `Error in f(x) : message`, behind it the calls that led there.

SUMMARY_CHARS_MAX <- 10000L
CAUSE_CHARS_MAX <- 50000L
CALLS_MAX <- 40L
# The width at which R moves a message to the next line.
LINE_CHARS <- 77L

# The outcome of an error. `calls` are the user's own, outermost first; `warnings` what was warned of before it.
outcome_of_error <- function(error, calls, warnings = list()) {
  call <- users_call(conditionCall(error))
  message <- paste(conditionMessage(error), collapse = "\n")
  cause <- paste(c(console_error(call, message), calls_text(calls), addition(warnings)), collapse = "\n")
  outcome_error(cut_middle(headline(call, message), SUMMARY_CHARS_MAX), cut_middle(cause, CAUSE_CHARS_MAX))
}

# An error whose description failed as well.
outcome_of_unprintable <- function(error) {
  outcome_error(paste0("Error: a condition of class `", class(error)[1L], "` whose message cannot be had"))
}

# One line.
headline <- function(call, message) {
  place <- if (is.null(call)) "Error: " else paste0("Error in ", call_text(call), " : ")
  lines <- strsplit(message, "\n", fixed = TRUE)[[1L]]
  paste0(place, c(lines[nzchar(trimws(lines))], "")[1L])
}

console_error <- function(call, message) {
  if (is.null(call)) {
    return(paste0("Error: ", message))
  }
  place <- paste0("Error in ", call_text(call), " : ")
  paste0(place, if (is_long(place, message)) "\n  ", message)
}

is_long <- function(place, message) {
  nchar(place, "width") + nchar(sub("\n.*", "", message), "width") > LINE_CHARS
}

addition <- function(warnings) {
  if (length(warnings) > 0L) c("", paste("In addition:", paste(warnings_text(warnings), collapse = "\n")))
}

# The first line of a call as code.
call_text <- function(call) {
  lines <- deparse(call, width.cutoff = 60L, nlines = 2L)
  if (length(lines) > 1L) paste(lines[1L], "...") else lines
}

# A call of ours, which stands where the console has none.
users_call <- function(call) if (is_evaluation(call)) NULL else call

# The calls of a stack, numbered, with the places they were made at.
calls_text <- function(calls) {
  if (length(calls) == 0L) {
    return(NULL)
  }
  texts <- vapply(calls, function(call) paste0(call_text(call), place_text(call)), "", USE.NAMES = FALSE)
  texts <- without_repeats(paste0(seq_along(texts), ": ", texts), texts)
  if (length(texts) > CALLS_MAX) {
    half <- CALLS_MAX %/% 2L
    skipped <- length(texts) - 2L * half
    texts <- c(head_of(texts, half), paste0("[... ", skipped, " calls left out]"), tail_of(texts, half))
  }
  c("", "Traceback:", texts)
}

# Of entries that stand in a row and say the same the first, and how many more there are.
without_repeats <- function(texts, sayings) {
  runs <- rle(sayings)$lengths
  first <- cumsum(runs) - runs + 1L
  more <- runs > 1L
  texts <- texts[first]
  texts[more] <- paste0(texts[more], "\n[... the same ", runs[more] - 1L, " more times]")
  texts
}

place_text <- function(call) {
  place <- attr(call, "srcref")
  file <- attr(place, "srcfile")$filename
  if (is.null(file)) "" else paste0(" at ", file, "#", place[1L])
}

# What the parser found wrong: its message begins with the place, `<command-1>:2:5: unexpected symbol`.
outcome_of_syntax <- function(error) {
  message <- conditionMessage(error)
  parts <- regmatches(message, regexec("^<[^>]*>:([0-9]+):([0-9]+): ([^\n]*)", message))[[1L]]
  if (length(parts) == 0L) {
    return(outcome_error(paste("Error:", message)))
  }
  # The end of the input has no place.
  place <- if (parts[3L] != "0") paste0(" at line ", parts[2L], ", column ", parts[3L])
  summary <- paste0("Error: ", parts[4L], place)
  outcome_error(cut_middle(summary, SUMMARY_CHARS_MAX), cut_middle(paste("Error:", message), CAUSE_CHARS_MAX))
}

# Both ends of an error matter.
cut_middle <- function(text, chars_max) {
  text <- to_utf8(text)
  chars <- nchar(text)
  if (chars <= chars_max) {
    return(text)
  }
  half <- chars_max %/% 2L
  left_out <- paste0("\n[... ", chars - 2L * half, " characters left out]\n")
  paste0(substr(text, 1L, half), left_out, substr(text, chars - half + 1L, chars))
}

head_of <- function(values, count) values[seq_len(min(count, length(values)))]
tail_of <- function(values, count) values[seq.int(to = length(values), length.out = min(count, length(values)))]
