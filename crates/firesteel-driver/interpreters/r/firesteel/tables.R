# Data frames as table results: the `results` object with Spark's type names, first rows first.

# The JSON text of a data frame's first rows that fit into both limits. All rows go to the file `result`, unless it is NULL.
table_json <- function(frame, limits, result = NULL) {
  columns <- flat_columns(frame)
  height <- if (length(columns) > 0L) nrow(frame) else 0L
  shown <- seq_len(min(height, limits$rows_max))
  encoded <- lapply(columns, function(column) encoded_column(column[shown]))
  rows <- json_rows(encoded, length(shown))
  fits <- cumsum(nchar(rows, "bytes") + 1) <= limits$table_bytes_max
  schema <- mapply(column_json, names(columns), vapply(encoded, `[[`, "", "type"))
  schema <- json_raw(paste0("[", paste0(schema, collapse = ","), "]"))
  if (!is.null(result) && limits$result_bytes_max > 0 && height > 0L) {
    write_result(result, columns, height, schema, limits$result_bytes_max)
  }
  json_object(list(
    data = json_raw(paste0("[", paste0(rows[fits], collapse = ","), "]")),
    isJsonSchema = TRUE,
    resultType = "table",
    schema = schema,
    truncated = sum(fits) < height
  ))
}

# Rows as JSON arrays.
json_rows <- function(encoded, count) {
  rows <- do.call(paste, c(unname(lapply(encoded, `[[`, "cells")), sep = ","))
  paste0("[", rows, "]")[seq_len(count)]
}

column_json <- function(name, type) {
  json_object(list(name = name, type = json_quote(type), metadata = "{}"))
}

# The columns as vectors and lists: a column that is itself a matrix or a data frame becomes several.
flat_columns <- function(frame) {
  columns <- as.list(frame)
  if (any(vapply(columns, function(column) length(dim(column)) == 2L, NA))) {
    columns <- as.list(do.call(data.frame, c(columns, list(check.names = FALSE, stringsAsFactors = FALSE))))
  }
  columns
}

# A column's Spark type and its cells as JSON.
encoded_column <- function(column) {
  encoded <- function(type, cells) list(type = type, cells = cells)
  if (inherits(column, "Date")) encoded("date", texts_or_null(date_texts(column)))
  else if (inherits(column, "POSIXt")) encoded("timestamp", texts_or_null(instant_texts(as.POSIXct(column))))
  else if (inherits(column, "integer64")) encoded("long", ifelse(is.na(column), "null", as.character(column)))
  else if (is.factor(column)) encoded("string", texts_or_null(as.character(column)))
  else if (is.logical(column)) encoded("boolean", json_logicals(column))
  else if (is.integer(column)) encoded("integer", ifelse(is.na(column), "null", as.character(column)))
  else if (is.double(column)) encoded("double", json_doubles(column))
  else if (is.character(column)) encoded("string", texts_or_null(column))
  else if (is.list(column)) encoded("string", json_quote(vapply(column, list_cell_text, "")))
  else encoded("string", texts_or_null(as.character(column)))
}

texts_or_null <- function(texts) ifelse(is.na(texts), "null", json_quote(texts))

# A cell of a list column, as short code.
list_cell_text <- function(cell) {
  if (is.character(cell) && length(cell) == 1L) cell
  else if (is.atomic(cell) && is.null(names(cell))) paste(format(cell, trim = TRUE), collapse = ", ")
  else paste(deparse(cell, width.cutoff = 500L), collapse = " ")
}
