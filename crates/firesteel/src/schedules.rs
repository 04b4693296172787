//! The schedules of the configuration.

use firesteel_model::schedule::{Action, CATCH_UP_MINUTES, own_zone};
use firesteel_store::{ScheduleOrigin, ScheduleRecord};
use serde::Deserialize;

/// One `[[schedules]]` of the configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ScheduleConfig {
    /// Its name, which no other has.
    name: String,
    /// The cluster, by its id or its name.
    #[serde(default = "default_cluster")]
    cluster: String,
    /// When, as a cron expression.
    cron: String,
    /// By the clock of this time zone; this machine's own unless given.
    time_zone: Option<String>,
    /// What to do.
    action: ActionConfig,
    /// The number of workers that a start or a resize sets.
    num_workers: Option<u32>,
    /// How late it is still done, where the server was down at its time.
    catch_up_minutes: Option<u32>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ActionConfig {
    Start,
    Resize,
    End,
}

fn default_cluster() -> String {
    "default".to_owned()
}

impl ScheduleConfig {
    /// The schedule, as the engine takes it.
    pub(crate) fn record(&self, now_ms: u64) -> anyhow::Result<ScheduleRecord> {
        let action = match (self.action, self.num_workers) {
            (ActionConfig::Start, num_workers) => Action::Start { num_workers },
            (ActionConfig::Resize, Some(num_workers)) => Action::Resize { num_workers },
            (ActionConfig::Resize, None) => anyhow::bail!("schedule `{}`: a resize needs `num_workers`", self.name),
            (ActionConfig::End, None) => Action::End,
            (ActionConfig::End, Some(_)) => anyhow::bail!("schedule `{}`: an end has no `num_workers`", self.name),
        };
        Ok(ScheduleRecord {
            name: self.name.clone(),
            cluster: self.cluster.clone(),
            cron: self.cron.clone(),
            time_zone: self.time_zone.clone().unwrap_or_else(own_zone),
            action,
            catch_up_minutes: self.catch_up_minutes.unwrap_or(CATCH_UP_MINUTES),
            origin: ScheduleOrigin::Config,
            created_ms: now_ms,
            checked_ms: now_ms,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(toml: &str) -> Result<ScheduleRecord, String> {
        let config: ScheduleConfig = toml::from_str(toml).map_err(|error| error.to_string())?;
        config.record(7).map_err(|error| error.to_string())
    }

    #[test]
    fn the_configuration_of_the_docs_is_one() {
        let page = include_str!("../../../docs/schedules.md");
        let toml = page.split("```toml").nth(1).unwrap().split("```").next().unwrap();
        let config: crate::config::Config = toml::from_str(toml).unwrap();
        let records: Vec<_> = config.schedules.iter().map(|schedule| schedule.record(7).unwrap()).collect();
        let told = |record: &ScheduleRecord| (record.name.clone(), record.action);
        let expected = [("morning".into(), Action::Start { num_workers: Some(4) }), ("night".into(), Action::End)];
        assert_eq!(records.iter().map(told).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_schedule_of_the_configuration_is_read_whole_or_refused() {
        let morning = record("name = 'up'\ncron = '0 7 * * mon-fri'\naction = 'start'\nnum_workers = 4").unwrap();
        assert_eq!((morning.cluster.as_str(), morning.action), ("default", Action::Start { num_workers: Some(4) }));
        assert_eq!((morning.catch_up_minutes, morning.checked_ms), (CATCH_UP_MINUTES, 7));
        let night =
            record("name = 'x'\ncron = '0 22 * * *'\naction = 'end'\ntime_zone = 'Asia/Tokyo'\ncluster = 'etl'")
                .unwrap();
        assert_eq!(
            (night.cluster.as_str(), night.time_zone.as_str(), night.action),
            ("etl", "Asia/Tokyo", Action::End)
        );
        for (toml, said) in [
            ("name = 'x'\ncron = '0 7 * * *'\naction = 'resize'", "needs `num_workers`"),
            ("name = 'x'\ncron = '0 7 * * *'\naction = 'end'\nnum_workers = 1", "has no `num_workers`"),
            ("name = 'x'\ncron = '0 7 * * *'\naction = 'stop'", "stop"),
            ("name = 'x'\ncorn = '0 7 * * *'\naction = 'end'", "corn"),
        ] {
            let refused = record(toml).unwrap_err();
            assert!(refused.contains(said), "{refused}");
        }
    }
}
