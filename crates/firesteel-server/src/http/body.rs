//! The parameters of a call, whatever way the client sent them.
//!
//! Real clients send the same parameters as JSON, form or multipart, often under another label, or in the query
//! string of a POST. The rules, in order: a body whose first byte that is not blank is `{` is JSON, whatever its
//! label; one labelled `multipart/form-data` gives its parts, a file part being its text; any other body is a form.
//! Then the query string fills in what is absent. Numbers and booleans count as the text they are written as; null
//! counts as absent; unknown names are ignored; when a name comes twice the last one counts. What cannot be read is
//! an error, never a guess.

use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use axum::body::HttpBody;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use firesteel_api::Language;
use futures_util::stream;
use http_body_util::BodyExt;
use serde::de::{DeserializeOwned, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::http::AppState;
use crate::http::error::{Failure, Style};
use crate::http::incoming::Stalled;

/// Bytes of any other parameter.
const FIELD_BYTES_MAX: usize = 64 * 1024;
/// Bytes of a file that is sent as a parameter in base64: 10 MiB of it, which is what the workspace takes.
const CONTENT_BYTES_MAX: usize = 14 * 1024 * 1024;
/// The parameters that hold a file, a part of one, or a secret; each call has a bound of its own below this one.
const CONTENTS: [&str; 5] = ["bytes_value", "content", "contents", "data", "string_value"];
/// Parameters of one call, unknown ones included.
const FIELDS_MAX: usize = 64;

/// The bounds that depend on how long a command may be.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    /// Bytes of the text of a command.
    command: usize,
    /// Bytes of a whole body: the largest command, each byte of it written as a form writes it, in three, and the
    /// rest.
    body: usize,
}

impl Bounds {
    fn of_commands(command: usize) -> Self {
        Self { command, body: command.saturating_mul(3).max(CONTENT_BYTES_MAX).saturating_add(256 * 1024) }
    }

    /// Refuses a parameter that is too long.
    fn check(&self, name: &str, bytes: usize) -> Result<(), Failure> {
        let max = match name {
            "command" => self.command,
            _ if CONTENTS.contains(&name) => CONTENT_BYTES_MAX,
            _ => FIELD_BYTES_MAX,
        };
        if bytes <= max {
            return Ok(());
        }
        let name: String = name.chars().take(80).collect();
        Err(Failure::too_large(format!("parameter `{name}` is larger than {max} bytes")))
    }

    fn body_too_large(&self) -> Failure {
        Failure::too_large(format!("the body is larger than {} bytes", self.body))
    }
}

/// The parameters of one call.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Params(HashMap<String, Value>);

#[derive(Debug, PartialEq)]
enum Value {
    Text(String),
    /// An array or an object of a JSON body, as it was written.
    Nested(String),
}

impl Params {
    /// Reads the parameters of a call whose body is something else.
    pub(crate) fn of_query(app: &AppState, query: Option<&str>) -> Result<Self, Failure> {
        Gathered::new(app).finish(query)
    }

    /// Returns a parameter that must be there and not be empty.
    pub(crate) fn need(&self, name: &str) -> Result<&str, Failure> {
        match self.text(name)? {
            Some(text) if !text.is_empty() => Ok(text),
            _ => Err(Failure::missing(name)),
        }
    }

    /// Takes out a parameter that must be there and may be empty.
    pub(crate) fn take(&mut self, name: &str) -> Result<String, Failure> {
        self.text(name)?;
        match self.0.remove(name) {
            Some(Value::Text(text)) => Ok(text),
            _ => Err(Failure::missing(name)),
        }
    }

    /// Returns a parameter that is yes or no; absent and empty are no.
    pub(crate) fn flag(&self, name: &str) -> Result<bool, Failure> {
        match self.text(name)?.unwrap_or_default() {
            "true" | "True" | "TRUE" | "1" => Ok(true),
            "" | "false" | "False" | "FALSE" | "0" => Ok(false),
            other => Err(Failure::bad_value(name, other, "true or false")),
        }
    }

    /// Returns the parameter `language`.
    pub(crate) fn language(&self) -> Result<Language, Failure> {
        Ok(self.need("language")?.parse::<Language>()?)
    }

    /// Returns a parameter that may be absent; an empty one counts as that.
    pub(crate) fn optional(&self, name: &str) -> Result<Option<&str>, Failure> {
        Ok(self.text(name)?.filter(|text| !text.is_empty()))
    }

    /// Returns a whole number that may be left out, within its bounds.
    pub(crate) fn number(&self, name: &str, bounds: RangeInclusive<u64>) -> Result<Option<u64>, Failure> {
        let number = self.count(name)?;
        if let Some(number) = number.filter(|number| !bounds.contains(number)) {
            let (least, most) = (bounds.start(), bounds.end());
            return Err(Failure::invalid(format!("`{name}` is `{number}`; it must be from {least} to {most}")));
        }
        Ok(number)
    }

    /// Returns a whole number that may be left out.
    pub(crate) fn count(&self, name: &str) -> Result<Option<u64>, Failure> {
        let Some(text) = self.text(name)?.map(str::trim).filter(|text| !text.is_empty()) else {
            return Ok(None);
        };
        let bad = |_| Failure::invalid(format!("`{name}` is `{}`; it must be a whole number", text.escape_debug()));
        text.parse().map(Some).map_err(bad)
    }

    /// Returns a parameter that may be absent or empty, which is the same.
    pub(crate) fn get(&self, name: &str) -> Result<Option<&str>, Failure> {
        Ok(self.text(name)?.filter(|text| !text.is_empty()))
    }

    /// Returns a parameter that may be absent, as what it is written as.
    pub(crate) fn parsed<T: FromStr>(&self, name: &str, noun: &str) -> Result<Option<T>, Failure> {
        let parse = |text: &str| text.parse().map_err(|_| Failure::invalid(format!("`{name}` must be {noun}")));
        self.get(name)?.map(parse).transpose()
    }

    /// Returns a parameter that may be absent and is an array or an object; a form writes it as text.
    pub(crate) fn nested<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Failure> {
        let Some(Value::Text(json) | Value::Nested(json)) = self.0.get(name) else { return Ok(None) };
        let read = serde_json::from_str(json).map(Some);
        read.map_err(|wrong| Failure::invalid(format!("`{name}` is not what it should be: {wrong}")))
    }

    /// Returns a parameter that may be absent.
    pub(crate) fn text(&self, name: &str) -> Result<Option<&str>, Failure> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(Value::Nested(_)) => {
                Err(Failure::malformed(format!("`{name}` is an array or an object; it must be a string")))
            }
        }
    }
}

impl FromRequest<AppState> for Params {
    type Rejection = Response;

    async fn from_request(request: Request, app: &AppState) -> Result<Self, Response> {
        let style = Style::of(request.uri().path());
        let bounds = Bounds::of_commands(app.settings.command_bytes_max);
        read(request, bounds).await.map_err(|failure| failure.respond(style))
    }
}

async fn read(request: Request, bounds: Bounds) -> Result<Params, Failure> {
    let (parts, body) = request.into_parts();
    refuse_compressed(&parts.headers)?;
    // Before the first read: a client that asked whether to send its body learns that it need not.
    let announced = body.size_hint().lower();
    if announced > bounds.body as u64 {
        return Err(bounds.body_too_large());
    }
    let body = collect(body, bounds).await?;
    let label = parts.headers.get(header::CONTENT_TYPE).and_then(|label| label.to_str().ok());
    bind(label, body, parts.uri.query(), bounds).await
}

pub(super) fn refuse_compressed(headers: &HeaderMap) -> Result<(), Failure> {
    let mut encodings = headers.get_all(header::CONTENT_ENCODING).iter();
    if encodings.all(|encoding| encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Ok(());
    }
    let message = "the body is compressed (Content-Encoding); send it uncompressed";
    Err(Failure::plain(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UNSUPPORTED_MEDIA_TYPE", message))
}

async fn collect(mut body: axum::body::Body, bounds: Bounds) -> Result<Bytes, Failure> {
    let mut collected = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|broken| broken_off(&broken))?;
        if let Ok(data) = frame.into_data() {
            if collected.len() + data.len() > bounds.body {
                return Err(bounds.body_too_large());
            }
            collected.extend_from_slice(&data);
        }
    }
    Ok(collected.into())
}

/// Tells why a body did not come to its end.
pub(super) fn broken_off(error: &(dyn Error + 'static)) -> Failure {
    match cause::<Stalled>(error) {
        Some(stalled) => Failure::plain(StatusCode::REQUEST_TIMEOUT, "REQUEST_TIMEOUT", stalled.to_string()),
        None => Failure::plain(StatusCode::BAD_REQUEST, "MALFORMED_REQUEST", "the body broke off"),
    }
}

fn cause<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    std::iter::successors(Some(error), |error| (*error).source()).find_map(|error| error.downcast_ref())
}

/// Puts together what a body and a query string hold.
async fn bind(label: Option<&str>, body: Bytes, query: Option<&str>, bounds: Bounds) -> Result<Params, Failure> {
    let label = Label::of(label);
    let start = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&body).trim_ascii_start();
    let mut fields = Fields::within(bounds);
    match (label, start.first()) {
        (_, None) => {}
        (_, Some(b'{')) => json(start, &mut fields)?,
        (Label::Multipart(boundary), _) => multipart(boundary?, body.clone(), &mut fields).await?,
        (Label::Json, Some(b'[' | b'"')) => {
            return Err(Failure::malformed("the body is JSON, but not an object with the parameters as keys"));
        }
        (Label::Json | Label::Other, _) => form(&body, &mut fields)?,
    }
    fill_in(&mut fields, query)?;
    Ok(Params(fields.found))
}

/// Takes from the query string what is absent.
fn fill_in(fields: &mut Fields, query: Option<&str>) -> Result<(), Failure> {
    if let Some(query) = query {
        let mut of_query = Fields::within(fields.bounds);
        form(query.as_bytes(), &mut of_query)?;
        for (name, value) in of_query.found {
            fields.found.entry(name).or_insert(value);
        }
    }
    Ok(())
}

enum Label {
    Json,
    Multipart(Result<String, Failure>),
    Other,
}

impl Label {
    fn of(label: Option<&str>) -> Self {
        let label = label.unwrap_or_default();
        let kind = label.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match kind.as_str() {
            "multipart/form-data" => {
                Self::Multipart(multer::parse_boundary(label).map_err(|_| {
                    Failure::malformed("the body is labelled multipart/form-data without a usable boundary")
                }))
            }
            "application/json" | "text/json" => Self::Json,
            _ => Self::Other,
        }
    }
}

/// Parameters as they are found, within the bounds.
struct Fields {
    found: HashMap<String, Value>,
    bounds: Bounds,
}

impl Fields {
    fn within(bounds: Bounds) -> Self {
        Self { found: HashMap::new(), bounds }
    }

    fn add(&mut self, name: String, value: Value) -> Result<(), Failure> {
        let (Value::Text(text) | Value::Nested(text)) = &value;
        self.bounds.check(&name, text.len())?;
        if self.found.len() >= FIELDS_MAX && !self.found.contains_key(&name) {
            return Err(Failure::too_large(format!("more than {FIELDS_MAX} parameters were sent")));
        }
        self.found.insert(name, value);
        Ok(())
    }
}

fn json(body: &[u8], fields: &mut Fields) -> Result<(), Failure> {
    /// Adds each entry of the object; says apart what is no JSON and what is beyond a bound.
    struct Object<'f> {
        fields: &'f mut Fields,
        refused: &'f mut Option<Failure>,
    }

    impl<'de> Visitor<'de> for Object<'_> {
        type Value = ();

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
            while let Some((name, raw)) = map.next_entry::<String, &RawValue>()? {
                let Some(value) = value(raw).map_err(serde::de::Error::custom)? else {
                    self.fields.found.remove(&name);
                    continue;
                };
                if let Err(failure) = self.fields.add(name, value) {
                    *self.refused = Some(failure);
                    return Err(serde::de::Error::custom("refused"));
                }
            }
            Ok(())
        }
    }

    let body = std::str::from_utf8(body).map_err(|_| Failure::malformed("the JSON body is not UTF-8"))?;
    let mut refused = None;
    let mut reader = serde_json::Deserializer::from_str(body);
    let read = reader
        .deserialize_map(Object { fields, refused: &mut refused })
        .and_then(|()| reader.end())
        .map_err(|wrong| Failure::malformed(format!("the body is not valid JSON: {wrong}")));
    refused.map_or(read, Err)
}

/// Reads one value; null is none. Numbers keep the digits they were written with: an id has more of them than a float
/// can hold.
fn value(raw: &RawValue) -> Result<Option<Value>, serde_json::Error> {
    Ok(match raw.get().as_bytes().first() {
        Some(b'"') => Some(Value::Text(serde_json::from_str(raw.get())?)),
        Some(b'{' | b'[') => Some(Value::Nested(raw.get().to_owned())),
        Some(b'n') => None,
        _ => Some(Value::Text(raw.get().to_owned())),
    })
}

async fn multipart(boundary: String, body: Bytes, fields: &mut Fields) -> Result<(), Failure> {
    let body = stream::iter([Ok::<_, std::convert::Infallible>(body)]);
    let mut parts = multer::Multipart::new(body, boundary);
    let mut count = 0;
    while let Some(part) = parts.next_field().await.map_err(broken_multipart)? {
        count += 1;
        if count > FIELDS_MAX {
            return Err(Failure::too_large(format!("more than {FIELDS_MAX} parts were sent")));
        }
        text_part(part, fields).await?;
    }
    Ok(())
}

/// Reads one part as the text of a parameter.
async fn text_part(mut part: multer::Field<'_>, fields: &mut Fields) -> Result<(), Failure> {
    let Some(name) = part.name().map(str::to_owned) else {
        return Ok(());
    };
    let latin1 = part
        .content_type()
        .and_then(|label| label.get_param("charset"))
        .is_some_and(|charset| charset.as_str().eq_ignore_ascii_case("iso-8859-1"));
    let mut bytes = Vec::new();
    while let Some(chunk) = part.chunk().await.map_err(broken_multipart)? {
        fields.bounds.check(&name, bytes.len() + chunk.len())?;
        bytes.extend_from_slice(&chunk);
    }
    let text = match String::from_utf8(bytes) {
        Ok(text) => text,
        // The stock label of a text part of one Java library, which means it.
        Err(not_utf8) if latin1 => not_utf8.into_bytes().into_iter().map(char::from).collect(),
        Err(_) => return Err(not_utf8(&name)),
    };
    fields.add(name, Value::Text(text))
}

/// Tells why a multipart body cannot be read.
pub(super) fn broken_multipart(error: multer::Error) -> Failure {
    match error {
        multer::Error::StreamReadFailed(cause) => broken_off(&*cause),
        other => Failure::malformed(format!("the multipart body cannot be read: {other}")),
    }
}

/// The parameters of a multipart body that is read part by part, because one of them is a file.
pub(super) struct Gathered {
    fields: Fields,
    count: usize,
}

impl Gathered {
    pub(super) fn new(app: &AppState) -> Self {
        Self { fields: Fields::within(Bounds::of_commands(app.settings.command_bytes_max)), count: 0 }
    }

    /// Reads one part that is no file.
    pub(super) async fn part(&mut self, part: multer::Field<'_>) -> Result<(), Failure> {
        self.count += 1;
        if self.count > FIELDS_MAX {
            return Err(Failure::too_large(format!("more than {FIELDS_MAX} parts were sent")));
        }
        text_part(part, &mut self.fields).await
    }

    /// Returns the parameters; the query string fills in what is absent.
    pub(super) fn finish(mut self, query: Option<&str>) -> Result<Params, Failure> {
        fill_in(&mut self.fields, query)?;
        Ok(Params(self.fields.found))
    }
}

fn not_utf8(name: &str) -> Failure {
    let name: String = name.chars().take(80).collect();
    Failure::malformed(format!("parameter `{name}` is not UTF-8 text"))
}

/// Reads a form or a query string.
fn form(body: &[u8], fields: &mut Fields) -> Result<(), Failure> {
    for pair in body.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
        let (name, value) = match pair.iter().position(|byte| *byte == b'=') {
            Some(at) => (&pair[..at], &pair[at + 1..]),
            None => (pair, &b""[..]),
        };
        let name = String::from_utf8(unescaped(name))
            .map_err(|_| Failure::malformed("the name of a parameter is not UTF-8 text"))?;
        let value = String::from_utf8(unescaped(value)).map_err(|_| not_utf8(&name))?;
        fields.add(name, Value::Text(value))?;
    }
    Ok(())
}

/// Undoes the escapes of a form. The standard keeps a `%` that no two hexadecimal digits follow as it is.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, after @ ..] = rest {
        rest = after;
        plain.push(match (first, after) {
            (b'+', _) => b' ',
            (b'%', [high, low, after @ ..]) => match (digit(high), digit(low)) {
                (Some(high), Some(low)) => {
                    rest = after;
                    high << 4 | low
                }
                _ => b'%',
            },
            (other, _) => *other,
        });
    }
    plain
}

#[cfg(test)]
mod tests;
