use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};
use tonic::{Request, Response, Status};

use crate::RunError;
use crate::backoff::Backoff;

const MAX_ATTEMPTS: u32 = 4;
/// Longer than any call takes, and short enough to be added to an `Instant`.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(365 * 24 * 3600);

/// Makes a call, within the timeout. A repeatable call is retried while the server is unavailable or overloaded.
///
/// `repeatable`: making the call twice has the same effect as making it once.
pub(crate) async fn call<Q: Clone, A, F>(
    timeout: Duration,
    repeatable: bool,
    message: Q,
    send: impl Fn(Request<Q>) -> F,
) -> Result<A, RunError>
where
    F: Future<Output = Result<Response<A>, Status>>,
{
    let deadline = Instant::now() + timeout.min(LONGEST_TIMEOUT);
    let mut backoff = Backoff::new();
    let mut attempts = 0;
    loop {
        let error = match attempt(deadline, message.clone(), &send).await {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        attempts += 1;
        let pause = backoff.pause(&error);
        let is_last = !repeatable || attempts == MAX_ATTEMPTS || !error.is_unavailable();
        if is_last || Instant::now() + pause >= deadline {
            return Err(error);
        }
        sleep(pause).await;
    }
}

async fn attempt<Q, A, F>(
    deadline: Instant,
    message: Q,
    send: &impl Fn(Request<Q>) -> F,
) -> Result<A, RunError>
where
    F: Future<Output = Result<Response<A>, Status>>,
{
    let mut request = Request::new(message);
    request.set_timeout(deadline - Instant::now());
    match timeout_at(deadline, send(request)).await {
        Ok(answer) => Ok(answer?.into_inner()),
        Err(_) => Err(Status::deadline_exceeded("The server did not answer in time").into()),
    }
}

#[cfg(test)]
mod tests;
