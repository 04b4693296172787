//! What a command prints, shown while it runs, and how far its Spark jobs are.
//!
//! Where the server has no such events nothing is shown, and the result at the end has all.

use std::time::Duration;

use firesteel_api::{ClusterId, CommandId, ContextId};
use tokio::time::sleep;

use super::api::Api;
use super::events::Event;
use super::output::Output;

/// The pause before a stream that was lost is asked for again.
const PAUSE: Duration = Duration::from_millis(500);

/// Shows a command until it is over. Returns at once where the server has no events; never fails: the result tells all.
pub(super) async fn show(api: &Api, cluster: &ClusterId, context: ContextId, command: CommandId, output: &mut Output) {
    let mut offset = 0;
    loop {
        match api.events(cluster, context, command, offset).await {
            Ok(mut events) => {
                while let Some(event) = events.next().await {
                    match event {
                        Event::Output { data, next_offset, skipped } => {
                            offset = next_offset;
                            output.live(&data, skipped);
                        }
                        Event::Progress(progress) => output.progress(&progress),
                        Event::End => return,
                    }
                }
            }
            Err(error) if error.is_passing() => {}
            Err(_) => return,
        }
        sleep(PAUSE).await;
    }
}
