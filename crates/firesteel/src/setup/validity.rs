//! When a certificate ends: the one field that the TLS library checks but does not tell.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// Returns the end of a certificate in DER form, or `None` where it does not read.
pub(super) fn not_after(der: &[u8]) -> Option<Timestamp> {
    let (_, certificate, _) = element(der).filter(|(tag, ..)| *tag == SEQUENCE)?;
    let (_, mut fields, _) = element(certificate)?;
    if let Some((VERSION, _, rest)) = element(fields) {
        fields = rest;
    }
    for _skipped in ["serial number", "signature algorithm", "issuer"] {
        (_, _, fields) = element(fields)?;
    }
    let (_, validity, _) = element(fields)?;
    let (_, _, after) = element(validity)?;
    let (tag, time, _) = element(after)?;
    let time = std::str::from_utf8(time).ok()?;
    let time = match tag {
        GENERALIZED_TIME => time.to_owned(),
        // Two digits of the year: 50 and later are of the last century.
        UTC_TIME if time >= "50" => format!("19{time}"),
        UTC_TIME => format!("20{time}"),
        _ => return None,
    };
    let time = DateTime::strptime("%Y%m%d%H%M%SZ", time).ok()?;
    Some(time.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

/// Splits the first element off: its tag, its content and what follows it.
fn element(input: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, input) = input.split_first()?;
    let (&first, mut input) = input.split_first()?;
    let mut length = usize::from(first);
    if first & 0x80 != 0 {
        let (bytes, rest) = input.split_at_checked(usize::from(first & 0x7f))?;
        if bytes.len() > 4 {
            return None;
        }
        length = bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
        input = rest;
    }
    let (content, rest) = input.split_at_checked(length)?;
    Some((tag, content, rest))
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    #[test]
    fn both_forms_of_a_date_are_read_and_rubbish_is_not() {
        for (year, end) in [(2031, "2031-05-06T00:00:00Z"), (2150, "2150-05-06T00:00:00Z")] {
            let mut params = CertificateParams::default();
            params.not_after = date_time_ymd(year, 5, 6);
            let made = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
            let der = made.der();
            assert_eq!(not_after(der).unwrap().to_string(), end);
            for cut in 0..200 {
                assert_eq!(not_after(&der[..cut]), None, "{cut}");
            }
        }
        assert_eq!(not_after(b"\x30\x84\xff\xff\xff\xff"), None);
    }
}
