use std::fmt;

use super::*;

struct Unprintable;

impl Display for Unprintable {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("no text")
    }
}

/// A value whose `drop` panics.
struct Undroppable;

impl Drop for Undroppable {
    fn drop(&mut self) {
        panic!("not dropped")
    }
}

#[test]
fn every_error_has_a_text() {
    assert_eq!(error_text("broken"), "broken");
    assert!(error_text("").contains("&str"));
    let text = error_text(Unprintable);
    assert!(text.contains("Unprintable") && text.ends_with(": no text"), "{text}");
}

#[tokio::test]
async fn a_panic_is_caught_with_its_message() {
    assert_eq!(catch(async { 1 }).await.unwrap(), 1);
    let panic = catch(async { panic!("at {}", 7) }).await.unwrap_err();
    assert_eq!(panic_text(&*panic), "The handler panicked: at 7");
    let panic = catch(async { std::panic::panic_any(7) }).await.unwrap_err();
    assert_eq!(panic_text(&*panic), "The handler panicked: no message");
}

#[tokio::test]
async fn a_panic_while_the_handler_is_dropped_is_caught() {
    let panic = catch(Owner { _owned: Undroppable }).await.unwrap_err();
    assert_eq!(panic_text(&*panic), "The handler panicked: not dropped");
}

/// A future that is ready at once, and owns a value until it is dropped.
struct Owner {
    _owned: Undroppable,
}

impl Future for Owner {
    type Output = ();

    fn poll(self: std::pin::Pin<&mut Self>, _: &mut std::task::Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(())
    }
}
