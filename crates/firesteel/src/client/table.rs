//! Rows as text.

use firesteel_api::results::Column;
use serde_json::Value;

/// Renders rows under their column names, numbers to the right. What would break a line or move the cursor is shown
/// escaped.
pub(super) fn aligned(schema: &[Column], rows: &[Vec<Value>]) -> String {
    if schema.is_empty() {
        return String::new();
    }
    let header = schema.iter().map(|column| visible(&column.name)).collect::<Vec<_>>();
    let cells = rows.iter().map(|row| {
        let shown = |index: usize| row.get(index).map_or(String::new(), |value| visible(&text(value, "NULL")));
        (0..schema.len()).map(shown).collect::<Vec<_>>()
    });
    let cells = cells.collect::<Vec<_>>();
    let widest = |index: usize| {
        let column = cells.iter().map(|row| width(&row[index]));
        column.chain([width(&header[index])]).max().unwrap_or_default()
    };
    let widths = (0..schema.len()).map(widest).collect::<Vec<_>>();
    let line = |row: &[String]| {
        let padded = row.iter().enumerate().map(|(index, cell)| {
            let blanks = " ".repeat(widths[index] - width(cell));
            if is_number(&schema[index]) { format!(" {blanks}{cell} ") } else { format!(" {cell}{blanks} ") }
        });
        padded.collect::<Vec<_>>().join("|") + "\n"
    };
    let rule = widths.iter().map(|width| "-".repeat(width + 2)).collect::<Vec<_>>().join("+") + "\n";
    let mut shown = line(&header) + &rule;
    shown.extend(cells.iter().map(|row| line(row)));
    shown
}

/// A column of texts.
pub(super) fn text_column(name: &str) -> Column {
    Column { name: name.to_owned(), type_json: "\"string\"".to_owned(), metadata: "{}".to_owned() }
}

/// Renders rows as RFC 4180 has them, with plain line feeds. A null is an empty field, an empty string a quoted one.
pub(super) fn csv(schema: &[Column], rows: &[Vec<Value>]) -> String {
    if schema.is_empty() { String::new() } else { csv_header(schema) + &csv_rows(rows) }
}

/// Renders the line of names.
pub(super) fn csv_header(schema: &[Column]) -> String {
    let header = schema.iter().map(|column| csv_field(&column.name)).collect::<Vec<_>>();
    header.join(",") + "\n"
}

/// Renders rows alone.
pub(super) fn csv_rows(rows: &[Vec<Value>]) -> String {
    let mut shown = String::new();
    for row in rows {
        let fields = row.iter().map(|value| if value.is_null() { String::new() } else { csv_field(&text(value, "")) });
        shown += &fields.collect::<Vec<_>>().join(",");
        shown.push('\n');
    }
    shown
}

fn csv_field(text: &str) -> String {
    if text.is_empty() || text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

fn text(value: &Value, null: &str) -> String {
    match value {
        Value::Null => null.to_owned(),
        Value::String(text) => text.clone(),
        // Numbers and truth values, and arrays and objects as JSON.
        other => other.to_string(),
    }
}

fn is_number(column: &Column) -> bool {
    let kind = column.type_json.trim_matches('"');
    ["byte", "short", "integer", "long", "float", "double"].contains(&kind) || kind.starts_with("decimal")
}

fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// Returns the columns that a text takes on a terminal.
fn width(text: &str) -> usize {
    text.chars().map(columns).sum()
}

/// Returns the columns of one character: none for marks that join the one before, two for East Asian and pictures.
fn columns(c: char) -> usize {
    match u32::from(c) {
        0x0300..=0x036f | 0x1ab0..=0x1aff | 0x200b..=0x200f | 0x20d0..=0x20ff | 0xfe00..=0xfe0f | 0xfe20..=0xfe2f => 0,
        0x1100..=0x115f
        | 0x2e80..=0x303e
        | 0x3041..=0xa4cf
        | 0xac00..=0xd7a3
        | 0xf900..=0xfaff
        | 0xfe30..=0xfe6f
        | 0xff00..=0xff60
        | 0xffe0..=0xffe6
        | 0x1f300..=0x1f64f
        | 0x1f680..=0x1f6ff
        | 0x1f900..=0x1faff
        | 0x20000..=0x3fffd => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema(columns: &[(&str, &str)]) -> Vec<Column> {
        let column = |(name, kind): &(&str, &str)| Column {
            name: (*name).to_owned(),
            type_json: format!("\"{kind}\""),
            metadata: "{}".to_owned(),
        };
        columns.iter().map(column).collect()
    }

    #[test]
    fn columns_line_up_whatever_is_in_them() {
        let schema = schema(&[("id", "long"), ("name", "string"), ("price", "decimal(4,2)"), ("more", "string")]);
        let rows = [
            vec![json!(9_007_199_254_740_993_u64), json!("東京"), json!("2.50"), json!({"k": [1, null]})],
            vec![json!(-1), json!("e\u{301}\n\u{1b}[31m"), Value::Null, json!(true)],
        ];
        let expected = [
            "               id | name          | price | more           ",
            "------------------+---------------+-------+----------------",
            " 9007199254740993 | 東京          |  2.50 | {\"k\":[1,null]} ",
            "               -1 | e\u{301}\\n\\u{1b}[31m |  NULL | true           ",
        ];
        let shown = aligned(&schema, &rows);
        assert_eq!(shown.lines().collect::<Vec<_>>(), expected);
        assert_eq!(aligned(&[], &[]), "");
    }

    #[test]
    fn fields_are_quoted_when_they_must_be() {
        let schema = schema(&[("a", "string"), ("b,c", "string"), ("d", "integer")]);
        let rows = [vec![json!("x\"y"), json!(""), json!(1)], vec![json!("two\nlines"), Value::Null, json!([1, 2])]];
        assert_eq!(csv(&schema, &rows), "a,\"b,c\",d\n\"x\"\"y\",\"\",1\n\"two\nlines\",,\"[1,2]\"\n");
    }
}
