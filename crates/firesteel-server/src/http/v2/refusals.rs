//! How 2.x words what `files` and the store refuse: the table of `docs/api.md`, each way once.

use axum::http::StatusCode;
use firesteel_model::BadPath;
use firesteel_store::StoreError;
use firesteel_store::files::FilesError;
use tracing::error;

use crate::files::{HandleError, LibraryFileError};
use crate::http::error::Failure;

impl From<BadPath> for Failure {
    fn from(bad: BadPath) -> Self {
        Self::call(StatusCode::BAD_REQUEST, "INVALID_PARAMETER_VALUE", bad.to_string())
    }
}

impl From<FilesError> for Failure {
    fn from(refusal: FilesError) -> Self {
        use FilesError as Why;
        let (status, code) = match &refusal {
            Why::Missing(_) => (StatusCode::NOT_FOUND, "RESOURCE_DOES_NOT_EXIST"),
            Why::Exists(_) => (StatusCode::BAD_REQUEST, "RESOURCE_ALREADY_EXISTS"),
            Why::NotEmpty(_) => (StatusCode::BAD_REQUEST, "IO_ERROR"),
            Why::IsFolder(_)
            | Why::NotFolder(_)
            | Why::Special(_)
            | Why::IsRoot
            | Why::IntoItself(_)
            | Why::Outside(_)
            | Why::TooMany { .. } => (StatusCode::BAD_REQUEST, "INVALID_PARAMETER_VALUE"),
            Why::TooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, "MAX_FILE_SIZE_EXCEEDED"),
            Why::NoRoom => (StatusCode::INSUFFICIENT_STORAGE, "INSUFFICIENT_STORAGE"),
            Why::Stopped => (StatusCode::INTERNAL_SERVER_ERROR, "TEMPORARILY_UNAVAILABLE"),
            Why::Root { .. } | Why::Io { .. } | Why::Upload(_) => {
                let cause = std::error::Error::source(&refusal).map(ToString::to_string).unwrap_or_default();
                error!(error = %refusal, cause, "a call on files failed on the server's side: {refusal}: {cause}");
                return Self::call(StatusCode::INTERNAL_SERVER_ERROR, "IO_ERROR", format!("{refusal}: {cause}"));
            }
        };
        Self::call(status, code, refusal.to_string())
    }
}

/// What the store refuses of the workspace and of secrets.
impl From<StoreError> for Failure {
    fn from(refusal: StoreError) -> Self {
        use StoreError as Why;
        let (status, code) = match &refusal {
            Why::Missing { .. } => (StatusCode::NOT_FOUND, "RESOURCE_DOES_NOT_EXIST"),
            Why::Exists { .. } => (StatusCode::BAD_REQUEST, "RESOURCE_ALREADY_EXISTS"),
            Why::Full { .. } => (StatusCode::BAD_REQUEST, "RESOURCE_LIMIT_EXCEEDED"),
            Why::NotEmpty(_) => (StatusCode::BAD_REQUEST, "DIRECTORY_NOT_EMPTY"),
            Why::BadName { .. } | Why::TooLarge { .. } | Why::Kept(_) | Why::HoldsLibrary(_) => {
                (StatusCode::BAD_REQUEST, "INVALID_PARAMETER_VALUE")
            }
            _ => {
                error!(error = %refusal, "a call failed on the server's side: {refusal}");
                (StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL_ERROR")
            }
        };
        Self::call(status, code, refusal.to_string())
    }
}

impl From<LibraryFileError> for Failure {
    fn from(refusal: LibraryFileError) -> Self {
        match refusal {
            LibraryFileError::Files(refusal) => refusal.into(),
            LibraryFileError::Store(refusal) => refusal.into(),
            LibraryFileError::Name(text) => Self::invalid(text),
        }
    }
}

impl From<HandleError> for Failure {
    fn from(refusal: HandleError) -> Self {
        let (status, code) = match refusal {
            HandleError::Files(refusal) => return refusal.into(),
            HandleError::Unknown(_) => (StatusCode::NOT_FOUND, "RESOURCE_DOES_NOT_EXIST"),
            HandleError::TooMany => (StatusCode::BAD_REQUEST, "QUOTA_EXCEEDED"),
            HandleError::Broken(_) => (StatusCode::BAD_REQUEST, "INVALID_STATE"),
        };
        Self::call(status, code, refusal.to_string())
    }
}
