//! Lengths of time in requests.

use std::time::Duration;

/// The longest length that a message can hold: some 10,000 years.
const LONGEST: Duration = Duration::from_secs(315_576_000_000);

/// Converts a length of time. A longer one than a message can hold becomes the longest: the server rejects it, instead
/// of receiving none.
pub(crate) fn to_message(length: Duration) -> prost_types::Duration {
    let length = length.min(LONGEST);
    let seconds = i64::try_from(length.as_secs()).unwrap_or(i64::MAX);
    let nanos = i32::try_from(length.subsec_nanos()).unwrap_or_default();
    prost_types::Duration { seconds, nanos }
}
