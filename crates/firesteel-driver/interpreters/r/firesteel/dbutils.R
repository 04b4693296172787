# `dbutils`: the part of it that has a meaning here. What cannot be done raises an error that says so.

make_dbutils <- function() {
  widgets <- make_widgets()
  structure(list(
    notebook = list(
      # Ends the command; its result is the value alone, without what was printed.
      exit = function(value = "") end_command(outcome_text(paste(as.character(value), collapse = "\n"), alone = TRUE)),
      run = unavailable("dbutils.notebook.run", "there are no notebooks behind this API")
    ),
    widgets = widgets,
    fs = unavailable_all("dbutils.fs", "use a Python or Scala command of this context", c(
      "cp", "head", "ls", "mkdirs", "mount", "mounts", "mv", "put", "refreshMounts", "rm", "unmount", "updateMount"
    )),
    secrets = unavailable_all("dbutils.secrets", "use a Python or Scala command of this context", c(
      "get", "getBytes", "list", "listScopes"
    )),
    library = c(
      list(restartPython = ask_python_restart),
      unavailable_all("dbutils.library", "use install.packages()", c("install", "installPyPI"))
    ),
    help = function(...) print_dbutils(NULL)
  ), class = "firesteel_dbutils")
}

print_dbutils <- function(x, ...) {
  cat(
    "dbutils$notebook$exit(value)   ends the command with `value` as its result",
    "dbutils$widgets                named values: text, dropdown, combobox, multiselect, get, getAll, remove, removeAll",
    "dbutils$library$restartPython()  a fresh Python for this context, from the next command on",
    "dbutils$fs and $secrets say what to use instead",
    sep = "\n"
  )
  invisible(x)
}

unavailable <- function(name, instead) {
  force(name)
  force(instead)
  function(...) stop(name, " is not available in R: ", instead, call. = FALSE)
}

unavailable_all <- function(group, instead, names) {
  structure(lapply(names, function(name) unavailable(paste0(group, ".", name), instead)), names = names)
}

# Named values. There is no page to show them on, so a widget holds its default until it is removed.
make_widgets <- function() {
  values <- list()
  text <- function(name, defaultValue = "", label = NULL) {
    if (is.null(values[[name]])) {
      values[[name]] <<- as.character(defaultValue)
    }
    invisible()
  }
  choice <- function(name, defaultValue, choices = character(), label = NULL) {
    if (length(choices) > 0L && !defaultValue %in% unlist(choices)) {
      stop("dbutils.widgets: `", defaultValue, "` is not one of the choices of `", name, "`", call. = FALSE)
    }
    text(name, defaultValue)
  }
  get <- function(name) {
    value <- values[[name]]
    if (is.null(value)) stop("dbutils.widgets: no widget is named `", name, "`", call. = FALSE) else value
  }
  list(
    text = text, dropdown = choice, combobox = choice, multiselect = choice, get = get,
    getAll = function() values,
    getArgument = function(name, defaultValue = NULL) {
      if (is.null(values[[name]]) && !is.null(defaultValue)) defaultValue else get(name)
    },
    remove = function(name) {
      values[[name]] <<- NULL
      invisible()
    },
    removeAll = function() {
      values <<- list()
      invisible()
    }
  )
}
