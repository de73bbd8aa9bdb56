//! Keeps panics of a handler, and of the values that it returns, away from the report of the end.

use std::any::{Any, type_name};
use std::fmt::Display;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Poll;

/// The payload of a panic.
pub(crate) type Panic = Box<dyn Any + Send>;

/// Polls the future until it is ready or panics. The future is dropped when this returns.
pub(crate) async fn catch<F: Future>(future: F) -> Result<F::Output, Panic> {
    let mut future = Some(Box::pin(future));
    poll_fn(|context| {
        let Some(pending) = &mut future else { return Poll::Pending };
        let output = match catch_unwind(AssertUnwindSafe(|| pending.as_mut().poll(context))) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(output)) => Ok(output),
            Err(panic) => Err(panic),
        };
        // Dropping what the handler owns can panic too.
        let dropped = catch_unwind(AssertUnwindSafe(|| future = None));
        Poll::Ready(output.and_then(|output| dropped.map(|()| output)))
    })
    .await
}

/// Returns the text of an error, or a description of the error if it has no text.
pub(crate) fn error_text<E: Display>(error: E) -> String {
    let name = type_name::<E>();
    match catch_unwind(AssertUnwindSafe(move || error.to_string())) {
        Ok(text) if text.is_empty() => format!("The handler failed with {name}, which has no text"),
        Ok(text) => text,
        Err(panic) => {
            format!("The handler failed with {name}, which has no text: {}", message(&*panic))
        }
    }
}

/// Returns the text of a panic, for the report of the end.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> String {
    format!("The handler panicked: {}", message(panic))
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message")
}

#[cfg(test)]
mod tests;
