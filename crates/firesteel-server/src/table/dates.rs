//! Days and moments as ISO text. Spark's years go from -290 000 to 5 800 000, further than libraries do.

use std::io::Write;

const MICROS_PER_DAY: i64 = 86_400_000_000;

/// How many digits of a second's fraction are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fraction {
    /// Three, as the reference has them.
    Millis,
    /// Three, or six where there is more to say.
    AsNeeded,
}

/// Writes a day, counted from 1970-01-01.
pub(crate) fn write_date(out: &mut Vec<u8>, days: i64) {
    let (year, month, day) = civil(days);
    write_year(out, year);
    let _ = write!(out, "-{month:02}-{day:02}");
}

/// Writes a moment, counted in microseconds from 1970-01-01 in UTC.
pub(crate) fn write_moment(out: &mut Vec<u8>, micros: i64, fraction: Fraction) {
    write_date(out, micros.div_euclid(MICROS_PER_DAY));
    let of_day = micros.rem_euclid(MICROS_PER_DAY);
    let (seconds, micros) = (of_day / 1_000_000, of_day % 1_000_000);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let _ = write!(out, "T{hour:02}:{minute:02}:{second:02}");
    let _ = match fraction {
        Fraction::AsNeeded if micros % 1000 != 0 => write!(out, ".{micros:06}"),
        _ => write!(out, ".{:03}", micros / 1000),
    };
}

/// Four digits, and a sign where those are not enough, as ISO 8601 has it.
fn write_year(out: &mut Vec<u8>, year: i64) {
    let _ = match year {
        10_000.. => write!(out, "+{year}"),
        0.. => write!(out, "{year:04}"),
        _ => write!(out, "-{:04}", -year),
    };
}

/// Year, month and day in the proleptic Gregorian calendar: whole 400-year cycles, counted from 1 March of year 0.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let (cycle, of_cycle) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year = (of_cycle - of_cycle / 1460 + of_cycle / 36_524 - of_cycle / 146_096) / 365;
    let of_year = of_cycle - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (cycle * 400 + year + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn date(days: i64) -> String {
        let mut out = Vec::new();
        write_date(&mut out, days);
        String::from_utf8(out).unwrap()
    }

    fn moment(micros: i64, fraction: Fraction) -> String {
        let mut out = Vec::new();
        write_moment(&mut out, micros, fraction);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn days_of_every_age() {
        // As java.time.LocalDate.ofEpochDay(days).toString has them.
        let known = [
            (0, "1970-01-01"),
            (-1, "1969-12-31"),
            (20_674, "2026-08-09"),
            (-719_162, "0001-01-01"),
            (-719_163, "0000-12-31"),
            (-719_529, "-0001-12-31"),
            (2_932_897, "+10000-01-01"),
            (11_016, "2000-02-29"),
            (-25_509, "1900-02-28"),
            (-25_508, "1900-03-01"),
        ];
        for (days, text) in known {
            assert_eq!(date(days), text);
        }
    }

    #[test]
    fn moments_have_three_digits_or_six() {
        assert_eq!(moment(1_786_299_197_000_000, Fraction::Millis), "2026-08-09T18:13:17.000");
        assert_eq!(moment(-1, Fraction::Millis), "1969-12-31T23:59:59.999");
        assert_eq!(moment(-1, Fraction::AsNeeded), "1969-12-31T23:59:59.999999");
        assert_eq!(moment(1_000, Fraction::AsNeeded), "1970-01-01T00:00:00.001");
    }

    proptest! {
        #[test]
        fn the_next_day_is_the_next_day(days in -2_000_000_000i64..2_000_000_000) {
            let ((y, m, d), next) = (civil(days), civil(days + 1));
            let follows = next == (y, m, d + 1) || (next.2 == 1 && (next == (y, m + 1, 1) || next == (y + 1, 1, 1)));
            prop_assert!(follows && (1..=12).contains(&m) && (1..=31).contains(&d), "{:?} {:?}", (y, m, d), next);
        }
    }
}
