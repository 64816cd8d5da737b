//! What goes wrong behind the doors, as an answer: what the sender did with 4xx, what the store did with 503.

use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;

use crate::gate::bodies::Unread;
use crate::gate::error::{ApiError, OVERLOADED};
use crate::intake::ingest::Rejected;
use crate::record::store::StoreError;

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        let status =
            if error.is_askers() { StatusCode::BAD_REQUEST } else { StatusCode::SERVICE_UNAVAILABLE };
        Self::new(status, error.code(), error.to_string())
    }
}

impl From<Rejected> for ApiError {
    fn from(rejected: Rejected) -> Self {
        match rejected {
            Rejected::Refused(refusal) => refusal.into(),
            Rejected::Store(error) => error.into(),
        }
    }
}

impl From<Unread> for ApiError {
    fn from(unread: Unread) -> Self {
        match unread {
            Unread::TooLarge => Self::too_large(),
            Unread::GivenUp(given_up) => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, OVERLOADED, given_up.to_string())
            }
            Unread::Broken(error) => {
                Self::bad_request("unreadable_body", format!("the body did not come whole: {error}"))
            }
        }
    }
}

impl From<BytesRejection> for ApiError {
    fn from(rejection: BytesRejection) -> Self {
        match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Self::too_large(),
            _ => Self::bad_request("unreadable_body", rejection.body_text()),
        }
    }
}
