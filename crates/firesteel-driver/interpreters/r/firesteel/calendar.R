# Days and civil dates of the proleptic Gregorian calendar, as Spark counts them: any year, whole vectors at once. (R's own
# `as.Date` and `format` differ between systems for early years.)

# Days since 1970-01-01.
days_from_civil <- function(year, month, day) {
  year <- year - (month <= 2)
  era <- year %/% 400
  year_of_era <- year - era * 400
  day_of_year <- (153 * ((month + 9) %% 12) + 2) %/% 5 + day - 1
  era * 146097 + year_of_era * 365 + year_of_era %/% 4 - year_of_era %/% 100 + day_of_year - 719468
}

# Years, months and days of numbers of days since 1970-01-01.
civil_from_days <- function(days) {
  days <- days + 719468
  era <- days %/% 146097
  day_of_era <- days - era * 146097
  year_of_era <- (day_of_era - day_of_era %/% 1460 + day_of_era %/% 36524 - day_of_era %/% 146096) %/% 365
  day_of_year <- day_of_era - (365 * year_of_era + year_of_era %/% 4 - year_of_era %/% 100)
  shifted <- (5 * day_of_year + 2) %/% 153
  month <- (shifted + 2) %% 12 + 1
  list(
    year = year_of_era + era * 400 + (month <= 2),
    month = month,
    day = day_of_year - (153 * shifted + 2) %/% 5 + 1
  )
}

DATE_PATTERN <- "^([+-]?[0-9]+)-([0-9]{2})-([0-9]{2})"

# `Date`s of texts such as `2026-08-09`.
dates_of <- function(texts) {
  part <- function(number) as.numeric(sub(paste0(DATE_PATTERN, ".*"), paste0("\\", number), texts))
  structure(days_from_civil(part(1L), part(2L), part(3L)), class = "Date")
}

# `POSIXct`s in UTC of texts such as `2026-08-09T18:13:17.000Z`.
instants_of <- function(texts) {
  pattern <- paste0(DATE_PATTERN, "T([0-9]{2}):([0-9]{2}):([0-9.]+)Z?$")
  part <- function(number) as.numeric(sub(pattern, paste0("\\", number), texts))
  seconds <- days_from_civil(part(1L), part(2L), part(3L)) * 86400 + part(4L) * 3600 + part(5L) * 60 + part(6L)
  structure(seconds, class = c("POSIXct", "POSIXt"), tzone = "UTC")
}

# Texts such as `2026-08-09` of `Date`s; NA stays NA.
date_texts <- function(dates) {
  days <- floor(as.numeric(dates))
  civil <- civil_from_days(days)
  texts <- sprintf("%04.0f-%02.0f-%02.0f", civil$year, civil$month, civil$day)
  texts[!is.finite(days)] <- NA
  texts
}

# Texts such as `2026-08-09T18:13:17.000Z` of `POSIXct`s; NA stays NA.
instant_texts <- function(instants) {
  # To the nearest millisecond: as a double, .123 is a little less than .123.
  ms <- round(as.numeric(instants) * 1000)
  days <- ms %/% 86400000
  rest <- ms - days * 86400000
  texts <- sprintf(
    "%sT%02.0f:%02.0f:%02.0f.%03.0fZ", date_texts(days),
    rest %/% 3600000, rest %/% 60000 %% 60, rest %/% 1000 %% 60, rest %% 1000
  )
  texts[!is.finite(ms)] <- NA
  texts
}
