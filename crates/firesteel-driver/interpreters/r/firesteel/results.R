# All rows of a data frame, in the file that the driver named: rows as JSON, and an index beside it. `docs/protocol.md` has the form.

RESULT_BLOCK_ROWS <- 10000L
RESULT_BLOCK_BYTES <- 2^20
# No reader has to hold more at once.
RESULT_BLOCK_BYTES_MAX <- 48 * 2^20

RESULT_WHOLE <- 0L
RESULT_BOUND <- 1L
RESULT_FAILED <- 2L

# Writes a table of `height` rows. A table is shown also where its rows cannot be kept.
write_result <- function(path, columns, height, schema, bytes_max) {
  tryCatch(
    {
      file <- open_result(path)
      on.exit(file$close())
      end <- append_rows(file, columns, height, schema, bytes_max)
      file$end(end$kind, end$reason)
    },
    error = function(error) unlink(c(path, paste0(path, ".index")))
  )
}

append_rows <- function(file, columns, height, schema, bytes_max) {
  file$append(charToRaw(schema), 0)
  rows <- 0L
  block <- 100L
  while (rows < height) {
    count <- min(block, height - rows)
    encoded <- lapply(columns, function(column) kept_column(column[rows + seq_len(count)]))
    bytes <- charToRaw(to_utf8(paste0(json_rows(encoded, count), collapse = ",")))
    if (length(bytes) > RESULT_BLOCK_BYTES_MAX) {
      return(list(kind = RESULT_FAILED, reason = paste("rows are larger than", RESULT_BLOCK_BYTES_MAX / 2^20, "MiB")))
    }
    if (file$bytes() + length(bytes) > bytes_max) {
      reason <- sprintf("one result is kept up to %.0f bytes (limits.result_bytes_max)", bytes_max)
      return(list(kind = RESULT_BOUND, reason = reason))
    }
    rows <- rows + count
    file$append(bytes, rows)
    # The next one has about as many bytes as a block should.
    block <- as.integer(max(1, min(RESULT_BLOCK_ROWS, count * RESULT_BLOCK_BYTES / length(bytes))))
  }
  list(kind = RESULT_WHOLE, reason = "")
}

# A column's cells as JSON: as those that are shown, but dates are days, and timestamps microseconds since 1970.
kept_column <- function(column) {
  numbers <- function(values, format) list(cells = ifelse(is.finite(values), sprintf(format, values), "null"))
  if (inherits(column, "Date")) numbers(floor(as.numeric(column)), "%.0f")
  else if (inherits(column, "POSIXt")) numbers(round(as.numeric(as.POSIXct(column)) * 1000), "%.0f000")
  else encoded_column(column)
}

# A new result, readable by nobody else.
open_result <- function(path) {
  before <- Sys.umask("077")
  on.exit(Sys.umask(before))
  unlink(c(path, paste0(path, ".index"))) # a command that shows several tables keeps the last
  data <- base::file(path, "wb", raw = TRUE)
  index <- base::file(paste0(path, ".index"), "wb", raw = TRUE)
  written <- 0
  entry <- function(...) {
    writeBin(as.raw(c(...)), index)
    flush(index)
  }
  list(
    bytes = function() written,
    append = function(bytes, rows) {
      writeBin(bytes, data)
      flush(data)
      written <<- written + length(bytes)
      entry(big_endian(written), big_endian(rows))
    },
    end = function(kind, reason) {
      reason <- charToRaw(to_utf8(reason))
      entry(rep(255L, 8L), big_endian(kind * 2^32 + length(reason)), as.integer(reason))
    },
    close = function() {
      close(data)
      close(index)
    }
  )
}

# A number below 2^53 as eight bytes.
big_endian <- function(number) (number %/% 256^(7:0)) %% 256
