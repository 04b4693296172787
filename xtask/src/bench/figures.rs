//! Medians, percentiles and the table they stand in. Pure.

use std::fmt;
use std::time::Duration;

/// One thing, measured many times.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sample(Vec<Duration>);

impl Sample {
    /// Adds one measurement.
    pub(crate) fn push(&mut self, duration: Duration) {
        self.0.push(duration);
    }

    /// Returns the middle one, zero where there is none.
    pub(crate) fn median(&self) -> Duration {
        self.percentile(50)
    }

    /// Returns the smallest that `percent` of the measurements do not exceed.
    pub(crate) fn percentile(&self, percent: usize) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let rank = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
        sorted.get(rank).copied().unwrap_or_default()
    }
}

impl FromIterator<Duration> for Sample {
    fn from_iter<T: IntoIterator<Item = Duration>>(durations: T) -> Self {
        Self(durations.into_iter().collect())
    }
}

/// The rows of a run.
#[derive(Debug, Default)]
pub(crate) struct Table(Vec<[String; 7]>);

/// What a row should reach.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Aim {
    /// None: the row is there to explain others.
    Information,
    /// The median, or its difference to the raw thing's, is at most this.
    AtMost(Duration),
}

impl Table {
    /// Adds a row without a raw thing beside it.
    pub(crate) fn alone(&mut self, name: &str, ours: &Sample, aim: Aim) {
        let aim = aim.judge(ours.median());
        self.0.push([name.into(), ms(ours.median()), ms(ours.percentile(99)), "–".into(), "–".into(), "–".into(), aim]);
    }

    /// Adds a row whose aim is for what ours takes longer than the raw thing.
    pub(crate) fn beside(&mut self, name: &str, ours: &Sample, raw: &Sample, aim: Aim) {
        let (our, its) = (ours.median(), raw.median());
        let sign = if our < its { "−" } else { "+" };
        let (added, aim) = (format!("{sign}{}", ms(our.abs_diff(its))), aim.judge(our.saturating_sub(its)));
        self.0.push([name.into(), ms(our), ms(ours.percentile(99)), ms(its), ms(raw.percentile(99)), added, aim]);
    }

    /// Adds a row whose aim is a share of the raw thing.
    pub(crate) fn ratio(&mut self, name: &str, ours: &Sample, raw: &Sample, at_most: f64) {
        let (our, its) = (ours.median(), raw.median());
        let ratio = our.as_secs_f64() / its.as_secs_f64().max(f64::MIN_POSITIVE);
        let aim = format!("≤ {at_most} × {}", met(ratio <= at_most));
        let added = format!("{ratio:.2} ×");
        self.0.push([name.into(), ms(our), ms(ours.percentile(100)), ms(its), ms(raw.percentile(100)), added, aim]);
    }

    /// Adds a row of memory, in KiB.
    pub(crate) fn memory(&mut self, name: &str, kib: u64, at_most_mib: Option<u64>) {
        #[expect(clippy::cast_precision_loss, reason = "memory in KiB is far below 2^52")]
        let mib = format!("{:.1} MiB", kib as f64 / 1024.0);
        let aim = at_most_mib.map_or("–".into(), |most| format!("≤ {most} MiB {}", met(kib <= most * 1024)));
        self.0.push([name.into(), mib, "–".into(), "–".into(), "–".into(), "–".into(), aim]);
    }
}

impl Aim {
    fn judge(self, measured: Duration) -> String {
        match self {
            Self::Information => "–".to_owned(),
            Self::AtMost(most) => format!("≤ {} {}", ms(most), met(measured <= most)),
        }
    }
}

fn met(met: bool) -> &'static str {
    if met { "✓" } else { "✗" }
}

/// Milliseconds, with as many digits as say something.
fn ms(duration: Duration) -> String {
    let ms = duration.as_secs_f64() * 1000.0;
    match ms {
        ..10.0 => format!("{ms:.2} ms"),
        ..100.0 => format!("{ms:.1} ms"),
        _ => format!("{ms:.0} ms"),
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let heads = ["measured", "ours", "p99", "raw", "p99", "ours − raw", "aim"].map(str::to_owned);
        let lines = || std::iter::once(&heads).chain(&self.0);
        let mut widths = [3; 7];
        for line in lines() {
            for (width, cell) in widths.iter_mut().zip(line) {
                *width = (*width).max(cell.chars().count());
            }
        }
        for (number, line) in lines().enumerate() {
            let [name, figures @ ..] = line;
            write!(f, "| {name:<0$} |", widths[0])?;
            for (cell, width) in figures.iter().zip(&widths[1..]) {
                write!(f, " {cell:>width$} |")?;
            }
            writeln!(f)?;
            if number == 0 {
                write!(f, "|{}|", "-".repeat(widths[0] + 2))?;
                widths[1..].iter().try_for_each(|width| write!(f, "{}:|", "-".repeat(width + 1)))?;
                writeln!(f)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(ms: impl IntoIterator<Item = u64>) -> Sample {
        ms.into_iter().map(Duration::from_millis).collect()
    }

    #[test]
    fn percentiles_are_measurements_by_nearest_rank() {
        let hundred = sample((1..=100).rev());
        assert_eq!(hundred.median(), Duration::from_millis(50));
        assert_eq!(hundred.percentile(99), Duration::from_millis(99));
        assert_eq!(sample([3, 1, 2]).median(), Duration::from_millis(2));
        assert_eq!(sample([7]).percentile(99), Duration::from_millis(7));
        assert_eq!(sample([]).median(), Duration::ZERO);
    }

    #[test]
    fn a_row_says_whether_its_aim_is_met() {
        let mut table = Table::default();
        let aim = Aim::AtMost(Duration::from_millis(3));
        table.beside("near", &sample([5]), &sample([2]), aim);
        table.beside("far", &sample([500]), &sample([20]), aim);
        table.beside("faster", &sample([2]), &sample([20]), aim);
        table.ratio("half", &sample([50]), &sample([100]), 0.6);
        table.alone("seen", &sample([1]), Aim::Information);
        table.memory("server", 41 * 1024, Some(40));
        let printed = table.to_string();
        let rows: Vec<Vec<&str>> =
            printed.lines().map(|line| line.trim_matches('|').split('|').map(str::trim).collect()).collect();
        let last = |row: usize| (rows[row][5], rows[row][6]);
        assert!(rows.iter().all(|row| row.len() == 7), "{printed}");
        assert_eq!(last(2), ("+3.00 ms", "≤ 3.00 ms ✓"));
        assert_eq!(last(3), ("+480 ms", "≤ 3.00 ms ✗"));
        assert_eq!(last(4), ("−18.0 ms", "≤ 3.00 ms ✓"));
        assert_eq!(last(5), ("0.50 ×", "≤ 0.6 × ✓"));
        assert_eq!(last(6), ("–", "–"));
        assert_eq!((rows[7][1], rows[7][6]), ("41.0 MiB", "≤ 40 MiB ✗"));
    }
}
