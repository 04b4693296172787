//! How long ended clusters stay listed. Pinned ones stay until they are deleted.

use firesteel_model::Cause;

use super::Engine;
use super::clusters::now_ms;

/// Ended clusters that are kept: the service keeps 70 of the last month.
const ENDED_MAX: usize = 70;

/// How long an ended cluster is kept: 30 days, as at the service.
const ENDED_MS_MAX: u64 = 30 * 24 * 60 * 60 * 1000;

/// Deletes the ended clusters that are beyond the bounds.
pub(super) async fn drop_ended(engine: &Engine) {
    let oldest = now_ms().saturating_sub(ENDED_MS_MAX);
    for (id, _) in beyond(ended(engine), oldest) {
        tracing::info!("cluster `{id}` ended long ago; it is deleted");
        if let Err(error) = engine.delete_cluster(&id, Cause::Server).await {
            tracing::warn!("cluster `{id}`, ended long ago, could not be deleted: {error}");
        }
    }
}

/// The clusters that have ended and are not pinned, and when each of them did.
fn ended(engine: &Engine) -> Vec<(String, u64)> {
    let records = engine.cluster_records();
    let ended = records.iter().filter(|record| !record.state.has_driver() && !record.pinned);
    ended.filter_map(|record| Some((record.id.to_string(), record.terminated_ms?))).collect()
}

/// Those that ended before `oldest` or are not among the last [`ENDED_MAX`].
fn beyond(mut ended: Vec<(String, u64)>, oldest: u64) -> Vec<(String, u64)> {
    ended.sort_by_key(|(_, ended_ms)| std::cmp::Reverse(*ended_ms));
    let kept = ended.iter().take(ENDED_MAX).take_while(|(_, ended_ms)| *ended_ms >= oldest).count();
    ended.split_off(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_are_kept_for_a_time() {
        let ended: Vec<(String, u64)> = (0..100).map(|number| (number.to_string(), 1_000 + number)).collect();
        assert_eq!(beyond(ended.clone(), 0).len(), 100 - ENDED_MAX);
        assert!(beyond(ended.clone(), 0).iter().all(|(_, ended_ms)| *ended_ms < 1_030));
        assert_eq!(beyond(ended, 1_090).len(), 90);
    }
}
