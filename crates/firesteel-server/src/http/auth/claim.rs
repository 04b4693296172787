//! What the `Authorization` header claims.

use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use secrecy::SecretString;

/// Padding is optional: some clients drop it.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What a request says about its sender. Its `Debug` form shows no secret.
#[derive(Debug)]
pub(super) enum Claim {
    /// Nothing, or a scheme that is not spoken here.
    None,
    /// Basic, but not as the standard has it.
    Unreadable,
    /// Basic.
    Password {
        /// The part before the first colon.
        user: String,
        /// The rest.
        password: SecretString,
    },
    /// Bearer.
    Bearer(SecretString),
}

impl Claim {
    /// Reads the header. Two of them claim nothing, since nobody can say which is meant.
    pub(super) fn read(headers: &HeaderMap) -> Self {
        let mut values = headers.get_all(header::AUTHORIZATION).iter();
        let (Some(value), None) = (values.next(), values.next()) else {
            return Self::None;
        };
        let value = value.as_bytes().trim_ascii();
        let end = value.iter().position(u8::is_ascii_whitespace).unwrap_or(value.len());
        let (scheme, rest) = value.split_at(end);
        let rest = rest.trim_ascii();
        if scheme.eq_ignore_ascii_case(b"basic") {
            Self::basic(rest).unwrap_or(Self::Unreadable)
        } else if scheme.eq_ignore_ascii_case(b"bearer") {
            Self::Bearer(text(rest.to_vec()).into())
        } else {
            Self::None
        }
    }

    fn basic(rest: &[u8]) -> Option<Self> {
        let decoded = text(BASE64.decode(rest).ok()?);
        let (user, password) = decoded.split_once(':')?;
        Some(Self::Password { user: user.to_owned(), password: password.into() })
    }
}

/// UTF-8 as `curl` sends it; else Latin-1, as `requests` does.
fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|not_utf8| not_utf8.into_bytes().into_iter().map(char::from).collect())
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn claim(values: &[&[u8]]) -> String {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::AUTHORIZATION, value.to_vec().try_into().unwrap());
        }
        match Claim::read(&headers) {
            Claim::Password { user, password } => format!("{user} / {}", password.expose_secret()),
            Claim::Bearer(token) => format!("bearer {}", token.expose_secret()),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn both_schemes_are_read_in_any_case() {
        assert_eq!(claim(&[b"Basic dTpw"]), "u / p");
        assert_eq!(claim(&[b"basic  dTpw "]), "u / p");
        assert_eq!(claim(&[b"BEARER x1"]), "bearer x1");
        assert_eq!(claim(&[b"Bearer"]), "bearer ");
    }

    #[test]
    fn the_password_may_hold_colons_and_letters_of_both_encodings() {
        assert_eq!(claim(&[b"Basic dTpwOnE6"]), "u / p:q:");
        assert_eq!(claim(&["Basic dTrDqQ==".as_bytes()]), "u / é");
        assert_eq!(claim(&["Basic dTrp".as_bytes()]), "u / é");
        assert_eq!(claim(&[b"Basic dTrDqQ"]), "u / é");
    }

    #[test]
    fn what_cannot_be_read_claims_nothing() {
        assert_eq!(claim(&[]), "None");
        assert_eq!(claim(&[b"Negotiate abc"]), "None");
        assert_eq!(claim(&[b"Basic dTpw", b"Basic dTpw"]), "None");
        assert_eq!(claim(&[b"Basic"]), "Unreadable");
        assert_eq!(claim(&[b"Basic !!!"]), "Unreadable");
        assert_eq!(claim(&[b"Basic dXA="]), "Unreadable");
    }

    #[test]
    fn the_debug_form_shows_no_secret() {
        let headers = HeaderMap::from_iter([(header::AUTHORIZATION, "Basic dTpodW50ZXIy".parse().unwrap())]);
        let shown = format!("{:?}", Claim::read(&headers));
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
