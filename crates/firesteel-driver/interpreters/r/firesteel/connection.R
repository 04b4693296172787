# Length-prefixed frames over a pair of named pipes: one JSON message, then an optional payload of raw bytes.
#
# User code can close any of R's connections and the number may then belong to a file of its own, so both are looked at
# before they are used. A process that user code forked has copies, and may not use them.

PROTOCOL_VERSION <- 2L
JSON_BYTES_MAX <- 2^20
PAYLOAD_BYTES_MAX <- 64 * 2^20

# How many descriptors are taken while the pipes are opened, so that theirs are above what user code normally meets.
DESCRIPTORS_BELOW <- 60L

# Opens the pipe of requests and the pipe of answers.
open_driver_connection <- function(requests, answers) {
  below <- lapply(seq_len(DESCRIPTORS_BELOW), function(n) file("/dev/null", "rb", raw = TRUE))
  on.exit(for (connection in below) close(connection))
  list(
    requests = file(requests, "rb", raw = TRUE),
    answers = file(answers, "wb", raw = TRUE),
    paths = c(requests = requests, answers = answers),
    pid = Sys.getpid()
  )
}

# The numbers that R knows the two pipes by.
driver_connection_numbers <- function(driver) c(as.integer(driver$requests), as.integer(driver$answers))

# The next message as a list, its payload as raw bytes in `payload`. NULL at the end of the connection.
receive <- function(driver) {
  header <- receive_length(driver)
  if (is.null(header)) {
    return(NULL)
  }
  text <- rawToChar(receive_bytes(driver, header, JSON_BYTES_MAX))
  message <- tryCatch(json_read(text), error = function(error) broken(conditionMessage(error)))
  if (!is.character(message$type)) {
    broken("a message has no type")
  }
  if (isTRUE(message$payload)) {
    length <- receive_length(driver)
    message$payload <- if (is.null(length)) broken("it ended in a message") else receive_bytes(driver, length, PAYLOAD_BYTES_MAX)
  }
  message
}

receive_length <- function(driver) {
  check_connection(driver, "requests")
  length <- readBin(driver$requests, "integer", 1L, 4L, endian = "big")
  if (length(length) == 0L) NULL else length
}

receive_bytes <- function(driver, length, max) {
  if (length < 0L || length > max) {
    broken("a frame is too long")
  }
  bytes <- readBin(driver$requests, "raw", length)
  if (length(bytes) < length) broken("it ended in a frame") else bytes
}

# Sends a message, a list of scalars; with a payload, both frames.
send <- function(driver, message, payload = NULL) {
  check_connection(driver, "answers")
  if (!is.null(payload)) {
    message$payload <- TRUE
  }
  text <- charToRaw(json_object(message))
  writeBin(length(text), driver$answers, 4L, endian = "big")
  writeBin(text, driver$answers)
  if (!is.null(payload)) {
    writeBin(length(payload), driver$answers, 4L, endian = "big")
    writeBin(payload, driver$answers)
  }
  flush(driver$answers)
}

is_forked_copy <- function(driver) Sys.getpid() != driver$pid

check_connection <- function(driver, which) {
  if (is_forked_copy(driver)) {
    broken("this is a forked copy of the interpreter")
  }
  own <- tryCatch(summary.connection(driver[[which]])$description, error = function(error) "")
  if (own != driver$paths[[which]]) {
    broken("user code closed it")
  }
}

broken <- function(why) {
  stop(errorCondition(paste("the connection to the driver cannot be used:", why), class = "firesteel_broken"))
}
