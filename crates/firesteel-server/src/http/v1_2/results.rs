//! `/api/1.2/commands/result`: all rows of a table, in pages of JSON, or as CSV or Arrow in one stream. Not part of the original API.

use std::future::Future;
use std::io;
use std::ops::RangeInclusive;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use firesteel_api::results::{Column, TablePage};
use tokio::time::{Instant, timeout_at};

use super::held;
use crate::engine::{EngineError, Part, Reading, ResultEnd, ResultEnded, Table};
use crate::http::AppState;
use crate::http::auth::User;
use crate::http::body::Params;
use crate::http::error::{ApiError, Failure};
use crate::table::{ArrowText, CsvText, HeadTable, RecordBatch, Rows, TableError, columns, write_rows};

/// How long a driver may take for the next part of what it has, or a query for its next rows.
const PART_DEADLINE: Duration = Duration::from_secs(600);

/// What a number of rows may be.
const ROWS: RangeInclusive<u64> = 0..=i64::MAX as u64;

/// The forms of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Json,
    Csv,
    Arrow,
}

/// What is asked for.
struct Ask {
    format: Format,
    offset: u64,
    limit: Option<u64>,
}

/// `GET /api/1.2/commands/result`
pub(crate) async fn result(State(app): State<AppState>, _user: User, ask: Params) -> Result<Response, ApiError> {
    let (context, cluster) = (ask.need("contextId")?, ask.need("clusterId")?);
    let command = ask.need("commandId")?;
    let wanted = Ask::of(&ask)?;
    let table = held(&app, |hold| app.engine.table(cluster, context, command, hold)).await?;
    match wanted.format {
        Format::Json => page(&app, &table, &wanted).await,
        Format::Csv | Format::Arrow => download(&table, &wanted).await,
    }
}

impl Ask {
    fn of(ask: &Params) -> Result<Self, Failure> {
        let format = match ask.optional("format")?.unwrap_or("json") {
            "json" => Format::Json,
            "csv" => Format::Csv,
            "arrow" => Format::Arrow,
            other => {
                let other: String = other.chars().take(40).collect();
                return Err(Failure::invalid(format!("unknown format `{other}`; there are json, csv and arrow")));
            }
        };
        Ok(Self { format, offset: ask.number("offset", ROWS)?.unwrap_or(0), limit: ask.number("limit", ROWS)? })
    }

    fn rows(&self) -> Rows {
        Rows::new(self.offset, self.limit.unwrap_or(u64::MAX))
    }
}

// ---- pages ----

async fn page(app: &AppState, table: &Table, wanted: &Ask) -> Result<Response, ApiError> {
    let most = app.settings.page_rows_max;
    let limit = usize::try_from(wanted.limit.unwrap_or(u64::MAX)).unwrap_or(usize::MAX).min(most);
    let page = match table.read(wanted.offset).await {
        Ok(reading) => {
            let rows = Rows::new(wanted.offset, limit as u64);
            Page { reading, rows, text: Vec::new(), count: 0, full: false }.fill(app, wanted.offset).await?
        }
        Err(why) => head_page(table, wanted.offset, limit, &why.to_string())?,
    };
    Ok(Json(page).into_response())
}

/// A page that is being filled.
struct Page {
    reading: Reading,
    rows: Rows,
    text: Vec<u8>,
    count: usize,
    /// It has as many bytes as it may have.
    full: bool,
}

impl Page {
    async fn fill(mut self, app: &AppState, offset: u64) -> Result<TablePage, Failure> {
        let mut ended = self.reading.ended().cloned();
        let mut until = Instant::now() + PART_DEADLINE;
        while !self.full && (self.rows.left() > 0 || self.rows.schema().is_none()) {
            let part = tokio::select! {
                part = timeout_at(until, self.reading.next()) => part,
                () = app.stop.cancelled() => break,
            };
            match part {
                // Nothing came while the call was held; the caller asks again.
                Err(_) => break,
                Ok(Err(error)) => return Err(broken(&error)),
                Ok(Ok(Part::Bytes(bytes))) => {
                    let batches = self.rows.push(bytes).map_err(|e| unreadable(&e))?;
                    self.take(&batches, app.settings.page_bytes_max)?;
                }
                Ok(Ok(Part::At(row))) => self.rows.at(row),
                Ok(Ok(Part::SoFar)) if self.count > 0 => break,
                Ok(Ok(Part::SoFar)) => until = Instant::now() + app.settings.hold,
                Ok(Ok(Part::Ended(end))) => {
                    let batches = self.rows.end().map_err(|e| unreadable(&e))?;
                    self.take(&batches, app.settings.page_bytes_max)?;
                    ended = Some(end);
                    break;
                }
            }
        }
        let columns = self.rows.schema().map(|schema| columns(&schema)).transpose().map_err(|e| unreadable(&e))?;
        let next = offset.saturating_add(self.count as u64);
        Ok(finished(self.text, columns.unwrap_or_default(), offset, next, ended.as_ref()))
    }

    fn take(&mut self, batches: &[RecordBatch], bytes_max: usize) -> Result<(), Failure> {
        for batch in batches {
            if !self.full {
                let count = write_rows(&mut self.text, batch, bytes_max).map_err(|e| unreadable(&e))?;
                self.count += count;
                self.full = count < batch.num_rows();
            }
        }
        Ok(())
    }
}

fn finished(rows: Vec<u8>, schema: Vec<Column>, offset: u64, next: u64, ended: Option<&ResultEnded>) -> TablePage {
    let is_last = ended.is_some_and(|ended| next >= ended.rows);
    let cut = ended.filter(|ended| ended.end != ResultEnd::Whole);
    TablePage::new(rows, schema, offset, (!is_last).then_some(next), ended.map(|ended| ended.rows))
        .cut(cut.map(|ended| ended.reason.clone()))
}

/// A page out of the rows that the store has.
fn head_page(table: &Table, offset: u64, limit: usize, why: &str) -> Result<TablePage, ApiError> {
    let head = stored(table)?;
    let from = usize::try_from(offset).unwrap_or(usize::MAX);
    if head.truncated && from >= head.rows.len() {
        return Err(gone(table, &head, why).into());
    }
    let rows: Vec<_> = head.rows.iter().skip(from).take(limit).collect();
    let text = serde_json::to_vec(&rows).expect("values are JSON");
    let next = offset.saturating_add(rows.len() as u64);
    let kept = head.rows.len() as u64;
    let total = (!head.truncated).then_some(kept);
    let page = TablePage::new(
        text[1..text.len() - 1].to_vec(),
        head.columns.clone(),
        offset,
        (next < kept).then_some(next),
        total,
    );
    Ok(page.cut(head.truncated.then(|| why.to_owned())))
}

// ---- streams ----

async fn download(table: &Table, wanted: &Ask) -> Result<Response, ApiError> {
    let reading = match table.read(wanted.offset).await {
        Ok(reading) => reading,
        Err(why) => return head_download(table, wanted, &why.to_string()),
    };
    let ended = reading.ended().cloned();
    let writer = Writer { rows: wanted.rows(), format: wanted.format, arrow: None, begun: false };
    let mut stream = Download { reading, writer: Some(writer), ends_cut: ended.is_some(), over: false };
    // The first piece is awaited: what cannot be begun is an error, and not a broken stream.
    let first = stream.next().await.map_err(|error| broken(&error))?.unwrap_or_default();
    let rest = futures_util::stream::try_unfold(stream, |mut stream| async move {
        let next = stream.next().await;
        if let Err(error) = &next {
            // The connection is closed in the middle: the client sees that it has not everything.
            tracing::warn!("a download was broken off: {error}");
        }
        Ok::<_, io::Error>(next?.map(|bytes| (bytes, stream)))
    });
    let first = futures_util::stream::once(std::future::ready(Ok(first)));
    let body = Body::from_stream(futures_util::StreamExt::chain(first, rest));
    let mut response = respond(wanted.format, body);
    if let Some(ended) = ended {
        let count = ended.rows.saturating_sub(wanted.offset).min(wanted.limit.unwrap_or(u64::MAX));
        response.headers_mut().insert("x-firesteel-rows", count.into());
        if ended.end != ResultEnd::Whole {
            response.headers_mut().insert("x-firesteel-truncated", HeaderValue::from_static("true"));
        }
    }
    Ok(response)
}

fn respond(format: Format, body: Body) -> Response {
    let kind = match format {
        Format::Arrow => "application/vnd.apache.arrow.stream",
        _ => "text/csv; charset=utf-8; header=present",
    };
    ([(header::CONTENT_TYPE, kind)], body).into_response()
}

fn head_download(table: &Table, wanted: &Ask, why: &str) -> Result<Response, ApiError> {
    let head = stored(table)?;
    let from = usize::try_from(wanted.offset).unwrap_or(usize::MAX);
    let count = usize::try_from(wanted.limit.unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
    let is_there = !head.truncated || from.saturating_add(count) <= head.rows.len();
    let bytes = match wanted.format {
        Format::Arrow => head.arrow().map_err(|e| unreadable(&e))?,
        _ => is_there.then(|| head.csv(from, count)),
    };
    let bytes = bytes.ok_or_else(|| gone(table, &head, why))?;
    Ok(respond(wanted.format, bytes.into()))
}

/// A stream to one client: nothing is read ahead of what it takes.
struct Download {
    reading: Reading,
    /// Absent only while it writes.
    writer: Option<Writer>,
    /// That rows are missing was said in the head of the answer, so their absence is no failure.
    ends_cut: bool,
    over: bool,
}

impl Download {
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        while !self.over {
            let part = timeout_at(Instant::now() + PART_DEADLINE, self.reading.next()).await??;
            let bytes = match part {
                Part::SoFar => continue,
                Part::At(row) => {
                    self.write(move |writer| {
                        writer.rows.at(row);
                        Ok(Vec::new())
                    })
                    .await?
                }
                Part::Bytes(bytes) => self.write(move |writer| writer.push(bytes)).await?,
                Part::Ended(ended) if ended.end == ResultEnd::Whole || self.ends_cut => {
                    self.over = true;
                    self.write(Writer::end).await?
                }
                Part::Ended(ended) => return Err(io::Error::other(ended.reason)),
            };
            if !bytes.is_empty() {
                return Ok(Some(bytes.into()));
            }
        }
        Ok(None)
    }

    /// Writes on a thread that may be busy: a batch takes milliseconds.
    async fn write<F>(&mut self, write: F) -> io::Result<Vec<u8>>
    where
        F: FnOnce(&mut Writer) -> Result<Vec<u8>, TableError> + Send + 'static,
    {
        let mut writer = self.writer.take().ok_or_else(|| io::Error::other("an earlier piece failed"))?;
        let is_over = self.over; // this is its end
        let written = aside(move || {
            let mut bytes = write(&mut writer).map_err(io::Error::other)?;
            let full = writer.begun && writer.rows.left() == 0 && !is_over;
            if full {
                bytes.extend(writer.finish().map_err(io::Error::other)?);
            }
            Ok((writer, bytes, full))
        });
        let (writer, bytes, full) = written.await?;
        self.writer = Some(writer);
        self.over |= full;
        Ok(bytes)
    }
}

fn aside<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> impl Future<Output = io::Result<T>> {
    let done = tokio::task::spawn_blocking(work);
    async { done.await.map_err(io::Error::other)? }
}

/// What becomes of the rows.
struct Writer {
    rows: Rows,
    format: Format,
    arrow: Option<ArrowText>,
    begun: bool,
}

impl Writer {
    fn push(&mut self, bytes: Bytes) -> Result<Vec<u8>, TableError> {
        let batches = self.rows.push(bytes)?;
        self.write(&batches)
    }

    fn write(&mut self, batches: &[RecordBatch]) -> Result<Vec<u8>, TableError> {
        let mut out = self.begin()?;
        for batch in batches {
            match &mut self.arrow {
                Some(arrow) => arrow.write(batch)?,
                None => out.extend(CsvText::batch(batch)?),
            }
        }
        out.extend(self.arrow.as_mut().map(ArrowText::take).unwrap_or_default());
        Ok(out)
    }

    /// Writes what stands before the first row, once the columns are known.
    fn begin(&mut self) -> Result<Vec<u8>, TableError> {
        let Some(schema) = self.rows.schema().filter(|_| !self.begun) else {
            return Ok(Vec::new());
        };
        self.begun = true;
        match self.format {
            Format::Arrow => self.arrow = Some(ArrowText::new(&schema)?),
            _ => return Ok(CsvText::head(&schema)),
        }
        Ok(Vec::new())
    }

    /// Nothing more comes.
    fn end(&mut self) -> Result<Vec<u8>, TableError> {
        let batches = self.rows.end()?;
        Ok([self.write(&batches)?, self.finish()?].concat())
    }

    /// Nothing more is wanted.
    fn finish(&mut self) -> Result<Vec<u8>, TableError> {
        let mut out = Vec::new();
        if let Some(arrow) = &mut self.arrow {
            arrow.finish()?;
            out.extend(arrow.take());
        }
        Ok(out)
    }
}

// ---- what can be wrong ----

fn stored(table: &Table) -> Result<HeadTable, Failure> {
    HeadTable::of(&table.head).ok_or_else(|| Failure::server("the stored table cannot be read".to_owned()))
}

fn gone(table: &Table, head: &HeadTable, why: &str) -> EngineError {
    EngineError::RowsGone { command: table.command(), kept: head.rows.len(), reason: why.to_owned() }
}

fn broken(error: &io::Error) -> Failure {
    Failure::server(format!("the rows could not be read from the driver: {error}; try again"))
}

fn unreadable(error: &TableError) -> Failure {
    Failure::server(error.to_string())
}
