# Table results as data frames: the `results` object that a SQL statement gives, read by columns.

# The data frame of a `results` object, with `truncated` as an attribute where rows were cut.
frame_of_results <- function(text) {
  tokens <- json_tokens(text)
  members <- json_members(tokens)
  schema <- json_value(members$schema)
  if (length(schema) == 0L) {
    return(data.frame())
  }
  cells <- table_cells(members$data, length(schema))
  columns <- lapply(seq_along(schema), function(number) {
    column_of(schema_type(schema[[number]]$type), cells$tokens, cells$first[number, ], cells$last[number, ])
  })
  names(columns) <- vapply(schema, function(field) field$name, "")
  frame <- structure(columns, class = "data.frame", row.names = .set_row_names(ncol(cells$first)))
  if (isTRUE(json_value(members$truncated))) {
    attr(frame, "truncated") <- TRUE
  }
  frame
}

# A type is JSON: a word in quotes, or an object for a nested one.
schema_type <- function(text) json_read(text)

# +1 where a bracket opens, -1 where one closes.
bracket_steps <- function(tokens) {
  (tokens %in% c("[", "{")) - (tokens %in% c("]", "}"))
}

# The first and last tokens of the values that stand directly inside `level` brackets.
inner_values <- function(tokens, level) {
  step <- bracket_steps(tokens)
  depth <- cumsum(step)
  is_name <- c(tokens[-1L], "") == ":"
  first <- which((step == 0L & depth == level & !tokens %in% c(",", ":") & !is_name) | (step == 1L & depth == level + 1L))
  last <- first
  last[step[first] == 1L] <- which(step == -1L & depth == level)
  list(first = first, last = last)
}

# The members of an object: for each name the tokens of its value.
json_members <- function(tokens) {
  inner <- inner_values(tokens, 1L)
  members <- Map(function(first, last) tokens[first:last], inner$first, inner$last)
  names(members) <- json_unquote(tokens[inner$first - 2L])
  members
}

# The cells of rows of scalars and nested values: the numbers of their tokens, a row per column.
table_cells <- function(tokens, width) {
  inner <- inner_values(tokens, 2L)
  if (length(inner$first) %% width != 0L) {
    stop("the table has rows of different lengths", call. = FALSE)
  }
  list(tokens = tokens, first = matrix(inner$first, nrow = width), last = matrix(inner$last, nrow = width))
}

column_of <- function(type, tokens, first, last) {
  if (is.character(type) && type != "binary") {
    return(scalars_of(type, tokens[first]))
  }
  lapply(seq_along(first), function(row) nested_of(type, tokens[first[row]:last[row]]))
}

# Scalar tokens as a vector of what their Spark type is in R.
scalars_of <- function(type, tokens) {
  quoted <- startsWith(tokens, "\"")
  tokens[tokens == "null"] <- NA
  tokens[quoted] <- json_unquote(tokens[quoted])
  switch(sub("\\(.*", "", type),
    integer = , short = , byte = as.integer(tokens),
    long = , float = , double = , decimal = as.numeric(tokens),
    boolean = tokens == "true",
    date = dates_of(tokens),
    timestamp = , timestamp_ntz = instants_of(tokens),
    void = rep(NA, length(tokens)),
    tokens
  )
}

# One nested value: arrays become vectors or lists, structs and maps named lists, binaries raw vectors.
nested_of <- function(type, tokens) {
  if (tokens[1L] == "null") {
    return(if (is.character(type) && type != "binary") scalars_of(type, tokens))
  }
  if (is.character(type)) {
    return(if (type == "binary") base64_decode(json_unquote(tokens)) else scalars_of(type, tokens))
  }
  inner <- inner_values(tokens, 1L)
  value <- function(number, type) nested_of(type, tokens[inner$first[number]:inner$last[number]])
  numbers <- seq_along(inner$first)
  switch(type$type,
    array = if (is.character(type$elementType) && type$elementType != "binary") {
      scalars_of(type$elementType, tokens[inner$first])
    } else {
      lapply(numbers, value, type$elementType)
    },
    map = structure(lapply(numbers, value, type$valueType), names = json_unquote(tokens[inner$first - 2L])),
    struct = {
      types <- lapply(type$fields, function(field) field$type)
      structure(Map(value, numbers, types), names = vapply(type$fields, function(field) field$name, ""))
    },
    paste(tokens, collapse = "")
  )
}
