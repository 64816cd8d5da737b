//! Why a database could not be opened, and what SQLite says of one that is damaged.

use rusqlite::ErrorCode;

/// Why a database could not be opened.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unopened {
    /// It is no database, a broken one, or holds something else than events. The text says which.
    #[error("{0}")]
    Useless(String),
    /// Anything that waiting or another version may solve.
    #[error("{0}")]
    Otherwise(String),
}

impl Unopened {
    pub(super) fn damaged() -> Self {
        Self::Useless("the database was damaged".to_owned())
    }

    /// For what only a database with other tables or values answers.
    pub(super) fn unlike_ours(error: &rusqlite::Error) -> Self {
        use ErrorCode::{ConstraintViolation, TypeMismatch, Unknown};
        match error.sqlite_error_code() {
            None | Some(ConstraintViolation | TypeMismatch | Unknown) => {
                Self::Useless(format!("the database was no event store of this monitor ({error})"))
            }
            Some(_) => Self::of(error),
        }
    }

    fn of(error: &rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            _ if is_damage(error) => Self::damaged(),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                Self::Otherwise(format!("another program holds it ({error}); end that program"))
            }
            _ => Self::Otherwise(error.to_string()),
        }
    }
}

impl From<rusqlite::Error> for Unopened {
    fn from(error: rusqlite::Error) -> Self {
        Self::of(&error)
    }
}

/// Whether an error says that the file itself is broken.
pub(super) fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt))
}
