# JSON, read strictly and written plainly. Texts are UTF-8.
#
# All tokens are found by one regular expression in one call, over bytes: a table of megabytes is taken apart in
# tens of milliseconds. What then remains is small, or is read by columns (see `dataframes.R`).

# White space; strings; numbers; words; marks. Possessive, so that a long string costs no stack.
JSON_TOKEN <- paste0(
  "[ \\t\\r\\n]++",
  "|\"(?:[^\"\\\\\\x00-\\x1f]++|\\\\(?:[\"\\\\/bfnrt]|u[0-9a-fA-F]{4}))*+\"",
  "|-?(?:0|[1-9][0-9]*+)(?:\\.[0-9]++)?(?:[eE][-+]?[0-9]++)?",
  "|true|false|null",
  "|[][{},:]"
)

# From here on not every integer is a double.
INTEGER_MAX <- 2^53

JSON_DEPTH_MAX <- 200L

# Reads one JSON value: objects become named lists, arrays unnamed ones, null `NULL`, integers that no double holds
# text. Raises an error on anything that is not JSON.
json_read <- function(text) {
  json_value(json_tokens(text))
}

# The tokens of a text, white space left out.
json_tokens <- function(text) {
  if (!validUTF8(text)) {
    json_refuse("it is not UTF-8")
  }
  Encoding(text) <- "bytes"
  found <- gregexpr(JSON_TOKEN, text, perl = TRUE, useBytes = TRUE)[[1L]]
  lengths <- attr(found, "match.length")
  # Matches do not overlap, so together they are the whole text or something is left over.
  if (found[1L] == -1L || sum(lengths) != nchar(text, "bytes")) {
    json_refuse("there is something that is no token")
  }
  start <- as.integer(found)
  tokens <- substring(text, start, start + lengths - 1L)
  tokens <- tokens[!substr(tokens, 1L, 1L) %in% c(" ", "\t", "\r", "\n")]
  Encoding(tokens) <- "UTF-8"
  tokens
}

# The value that a whole vector of tokens stands for.
json_value <- function(tokens) {
  at <- 0L
  take <- function() {
    at <<- at + 1L
    if (at > length(tokens)) json_refuse("it ends too early") else tokens[[at]]
  }
  value <- function(token, depth) {
    if (depth > JSON_DEPTH_MAX) {
      json_refuse("it is nested too deeply")
    }
    switch(substr(token, 1L, 1L),
      "{" = object(depth + 1L),
      "[" = array(depth + 1L),
      "\"" = json_unquote(token),
      t = TRUE,
      f = FALSE,
      n = NULL,
      "]" = , "}" = , "," = , ":" = json_refuse(paste0("`", token, "` where a value belongs")),
      json_number(token)
    )
  }
  object <- function(depth) {
    names <- character()
    values <- list()
    token <- take()
    while (token != "}") {
      if (!startsWith(token, "\"") || take() != ":") {
        json_refuse("a member of an object has no name")
      }
      names[[length(names) + 1L]] <- json_unquote(token)
      values[length(names)] <- list(value(take(), depth))
      token <- separator("}")
    }
    if (anyDuplicated(names)) {
      json_refuse("a name is there twice in one object")
    }
    structure(values, names = names)
  }
  array <- function(depth) {
    values <- list()
    token <- take()
    while (token != "]") {
      values[length(values) + 1L] <- list(value(token, depth))
      token <- separator("]")
    }
    values
  }
  # What follows a comma is returned; it may not be the end.
  separator <- function(end) {
    token <- take()
    if (token == end) {
      return(token)
    }
    if (token != ",") {
      json_refuse(paste0("`", token, "` where a comma or an end belongs"))
    }
    token <- take()
    if (token == end) json_refuse("a comma before the end") else token
  }
  result <- value(take(), 0L)
  if (at != length(tokens)) json_refuse("there is more behind its end") else result
}

json_number <- function(token) {
  number <- as.numeric(token)
  if (abs(number) >= INTEGER_MAX && !grepl("[.eE]", token) && sprintf("%.0f", number) != token) token else number
}

# The texts of string tokens, quotes and escapes taken away. Vectorised.
json_unquote <- function(tokens) {
  texts <- substr(tokens, 2L, nchar(tokens) - 1L)
  escaped <- grepl("\\", texts, fixed = TRUE)
  if (any(escaped)) {
    texts[escaped] <- json_unescape(texts[escaped])
  }
  texts
}

# Texts with escapes; those with codes are taken apart, in the others a raw control character stands for a backslash
# for a moment, as JSON has none.
json_unescape <- function(texts) {
  coded <- grepl("\\u", texts, fixed = TRUE)
  texts[coded] <- vapply(texts[coded], json_decode, "", USE.NAMES = FALSE)
  plain <- gsub("\\\\", "\x01", texts[!coded], fixed = TRUE)
  for (letter in c("\"", "/", "b", "f", "n", "r", "t")) {
    plain <- gsub(paste0("\\", letter), json_escape_meaning(paste0("\\", letter)), plain, fixed = TRUE)
  }
  texts[!coded] <- gsub("\x01", "\\", plain, fixed = TRUE)
  texts
}

JSON_PIECE <- "[^\\\\]++|\\\\u[dD][89abAB]..\\\\u[dD][c-fC-F]..|\\\\u....|\\\\."

json_decode <- function(text) {
  Encoding(text) <- "bytes"
  found <- gregexpr(JSON_PIECE, text, perl = TRUE, useBytes = TRUE)[[1L]]
  start <- as.integer(found)
  pieces <- substring(text, start, start + attr(found, "match.length") - 1L)
  Encoding(pieces) <- "UTF-8"
  escapes <- unique(pieces[startsWith(pieces, "\\")])
  meanings <- vapply(escapes, json_escape_meaning, "")
  known <- match(pieces, escapes)
  pieces[!is.na(known)] <- meanings[known[!is.na(known)]]
  paste0(pieces, collapse = "")
}

json_escape_meaning <- function(escape) {
  kind <- substr(escape, 2L, 2L)
  if (kind != "u") {
    return(switch(kind, b = "\b", f = "\f", n = "\n", r = "\r", t = "\t", kind))
  }
  code <- strtoi(substr(escape, 3L, 6L), 16L)
  if (nchar(escape) == 12L) {
    low <- strtoi(substr(escape, 9L, 12L), 16L)
    code <- 0x10000L + (code - 0xD800L) * 0x400L + (low - 0xDC00L)
  }
  # R's strings hold neither a NUL nor half a character.
  if (code == 0L || (code >= 0xD800L && code <= 0xDFFFL)) "\uFFFD" else intToUtf8(code)
}

json_refuse <- function(why) {
  stop("not JSON: ", why, call. = FALSE)
}

# One object of scalars and of what `json_raw` marks as JSON already.
json_object <- function(members) {
  texts <- vapply(members, json_scalar, "")
  paste0("{", paste0(json_quote(names(members)), ":", texts, collapse = ","), "}")
}

json_raw <- function(text) structure(text, class = "json")

json_scalar <- function(value) {
  if (is.null(value)) "null"
  else if (inherits(value, "json")) unclass(value)
  else if (is.character(value)) json_quote(value)
  else if (is.logical(value)) json_logicals(value)
  else json_doubles(value)
}

# Texts as JSON strings, without regard to NA. Vectorised.
json_quote <- function(texts) {
  texts <- to_utf8(texts)
  texts <- gsub("\\", "\\\\", texts, fixed = TRUE)
  texts <- gsub("\"", "\\\"", texts, fixed = TRUE)
  control <- grepl("[\x01-\x1f]", texts, perl = TRUE)
  if (any(control)) {
    texts[control] <- json_escape_controls(texts[control])
  }
  paste0("\"", texts, "\"")
}

json_escape_controls <- function(texts) {
  for (code in 1:31) {
    escape <- switch(as.character(code), "9" = "\\t", "10" = "\\n", "13" = "\\r", sprintf("\\u%04x", code))
    texts <- gsub(intToUtf8(code), escape, texts, fixed = TRUE)
  }
  texts
}

# Texts in UTF-8 whatever they were; bytes that mean nothing are shown as such.
to_utf8 <- function(texts) {
  marked <- Encoding(texts) == "bytes"
  Encoding(texts)[marked] <- "UTF-8"
  texts <- enc2utf8(texts)
  bad <- !validUTF8(texts)
  texts[bad] <- iconv(texts[bad], "UTF-8", "UTF-8", sub = "byte")
  texts
}

json_logicals <- function(values) {
  texts <- ifelse(values, "true", "false")
  texts[is.na(values)] <- "null"
  texts
}

# The shortest decimal that is the same double; NaN and the infinities, for which JSON has no number, as strings.
json_doubles <- function(values) {
  values <- as.double(values)
  texts <- sprintf("%.15g", values)
  longer <- is.finite(values) & as.numeric(texts) != values
  texts[longer] <- sprintf("%.17g", values[longer])
  texts[is.nan(values)] <- "\"NaN\""
  texts[is.infinite(values)] <- ifelse(values[is.infinite(values)] > 0, "\"Infinity\"", "\"-Infinity\"")
  texts[is.na(values) & !is.nan(values)] <- "null"
  texts
}
