use std::fmt::Display;

use crate::panics;

/// The failure of a handler. Every error with a text converts into one, so that `?` works in a handler that returns
/// `Result<_, Failure>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub(crate) text: String,
    pub(crate) is_retryable: bool,
}

impl Failure {
    /// A failure after which another attempt may succeed: the run becomes PENDING again as long as attempts are left
    /// (`RunSpec::retry`), and ERROR otherwise.
    pub fn retryable(error: impl Display) -> Self {
        Self { is_retryable: true, ..error.into() }
    }
}

/// A failure with the text of the error, which is not retryable.
impl<E: Display> From<E> for Failure {
    fn from(error: E) -> Self {
        Self { text: panics::error_text(error), is_retryable: false }
    }
}
