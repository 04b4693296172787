//! The events of one command as they come: lines of `name: value`, an event for each group of them.
//!
//! What is read here is what `commands/events` sends, not all of what the format allows.

use std::time::Duration;

use firesteel_api::commands::Progress;
use serde::Deserialize;

/// How long nothing may come: the server says every 15 s that it is there.
const SILENCE: Duration = Duration::from_secs(45);

/// The most bytes of one event.
const EVENT_BYTES_MAX: usize = 16 << 20;

/// What happened to a command.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Event {
    /// It printed something.
    #[serde(rename_all = "camelCase")]
    Output {
        /// The text.
        data: String,
        /// Where to go on after a lost connection.
        next_offset: u64,
        /// How many bytes before it are not kept.
        skipped: u64,
    },
    /// Its Spark jobs are further.
    Progress(Progress),
    /// It is over, or gone.
    End,
}

/// A stream of events.
pub(super) struct Events {
    response: reqwest::Response,
    unread: Vec<u8>,
}

impl Events {
    pub(super) fn of(response: reqwest::Response) -> Self {
        Self { response, unread: Vec::new() }
    }

    /// Waits for the next event; `None` when the stream ended or broke.
    pub(super) async fn next(&mut self) -> Option<Event> {
        loop {
            while let Some(length) = self.unread.windows(2).position(|two| two == b"\n\n") {
                let group: Vec<u8> = self.unread.drain(..length + 2).collect();
                if let Some(event) = parse(&String::from_utf8_lossy(&group)) {
                    return Some(event);
                }
            }
            if self.unread.len() > EVENT_BYTES_MAX {
                return None;
            }
            let read = tokio::time::timeout(SILENCE, self.response.chunk()).await;
            self.unread.extend_from_slice(&read.ok()?.ok()??);
        }
    }
}

/// Reads one event; `None` for one that says nothing to us.
fn parse(group: &str) -> Option<Event> {
    let field = |name: &str| {
        group.lines().find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(':')?.trim_start().to_owned()))
    };
    let data = field("data").unwrap_or_default();
    match field("event")?.as_str() {
        "output" => serde_json::from_str(&format!(r#"{{"output":{data}}}"#)).ok(),
        "progress" => serde_json::from_str(&data).ok().map(Event::Progress),
        "status" => field("id").filter(|id| id.ends_with("-end")).map(|_| Event::End),
        "gone" => Some(Event::End),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use firesteel_api::commands::Count;

    use super::*;

    #[test]
    fn each_event_is_read_and_all_else_passed_over() {
        let output = Event::Output { data: "a\nb".into(), next_offset: 12, skipped: 0 };
        let count = |done, all| Count { done, all };
        let progress = Progress { jobs: count(0, 1), stages: count(1, 2), tasks: count(3, 4) };
        for (text, expected) in [
            (
                r#"event: output
data: {"data":"a\nb","offset":9,"nextOffset":12,"skipped":0}
id: 12
"#,
                Some(output),
            ),
            (
                r#"event: progress
data: {"jobs":{"done":0,"all":1},"stages":{"done":1,"all":2},"tasks":{"done":3,"all":4}}
"#,
                Some(Event::Progress(progress)),
            ),
            ("event: status\ndata: {\"status\":\"Running\"}\nretry: 1000\n", None),
            ("event: status\ndata: {\"status\":\"Finished\"}\nid: 12-end\n", Some(Event::End)),
            ("event: gone\ndata: {}\n", Some(Event::End)),
            (":\n", None),
            ("event: output\ndata: nonsense\n", None),
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
    }
}
