use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};
use tonic::{Request, Response, Status};

use crate::backoff::Backoff;
use crate::{Kind, RunError};

const MOST: u32 = 4;
/// Longer than any call, and what a clock can still count.
const FOREVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// Makes a call until it is answered, within the timeout.
///
/// `repeatable`: whether making it twice does what making it once does; otherwise there is one attempt.
pub(crate) async fn call<Q: Clone, A, F>(
    timeout: Duration,
    repeatable: bool,
    message: Q,
    send: impl Fn(Request<Q>) -> F,
) -> Result<A, RunError>
where
    F: Future<Output = Result<Response<A>, Status>>,
{
    let end = Instant::now() + timeout.min(FOREVER);
    let mut backoff = Backoff::new();
    let mut made = 0;
    loop {
        let failure = match once(end, message.clone(), &send).await {
            Ok(answer) => return Ok(answer),
            Err(failure) => failure,
        };
        made += 1;
        let pause = backoff.pause(&failure);
        let is_last = !repeatable || made == MOST || failure.kind() != Kind::Unavailable;
        if is_last || Instant::now() + pause >= end {
            return Err(failure);
        }
        sleep(pause).await;
    }
}

async fn once<Q, A, F>(
    end: Instant,
    message: Q,
    send: &impl Fn(Request<Q>) -> F,
) -> Result<A, RunError>
where
    F: Future<Output = Result<Response<A>, Status>>,
{
    let mut request = Request::new(message);
    request.set_timeout(end - Instant::now());
    match timeout_at(end, send(request)).await {
        Ok(answer) => Ok(answer?.into_inner()),
        Err(_) => Err(Status::deadline_exceeded("No answer within the timeout").into()),
    }
}

#[cfg(test)]
mod tests;
