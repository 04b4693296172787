//! How the types of the model are columns.

use std::error::Error;
use std::str::FromStr;

use rusqlite::Row;
use rusqlite::types::Type;

/// Reads a text column as an id or a language.
pub(crate) fn parsed<T>(row: &Row<'_>, column: &str) -> rusqlite::Result<T>
where
    T: FromStr,
    T::Err: Error + Send + Sync + 'static,
{
    let text: String = row.get(column)?;
    text.parse().map_err(unreadable)
}

/// Reads a state from its columns `state` and `reason`.
pub(crate) fn state<T, E>(row: &Row<'_>, from_parts: fn(&str, Option<String>) -> Result<T, E>) -> rusqlite::Result<T>
where
    E: Error + Send + Sync + 'static,
{
    let (name, reason): (String, _) = (row.get("state")?, row.get("reason")?);
    from_parts(&name, reason).map_err(unreadable)
}

/// Reports a column whose content this program did not write.
pub(crate) fn unreadable(error: impl Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, Type::Text, Box::new(error))
}

/// Reads a count or a time.
pub(crate) fn number(row: &Row<'_>, column: &str) -> rusqlite::Result<u64> {
    Ok(row.get::<_, i64>(column)?.try_into().unwrap_or_default())
}

/// Makes a count or a time a column.
pub(crate) fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Cuts the reason of a failure to what is kept of one. Drivers put the last lines of a log into it.
pub(crate) fn reason(text: &str) -> &str {
    const REASON_BYTES_MAX: usize = 16 * 1024;
    &text[..text.floor_char_boundary(REASON_BYTES_MAX)]
}
