use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};
use tonic::{Code, Request, Response, Status};

use crate::backoff::Backoff;
use crate::credential::Authorization;
use crate::{Bearer, RunError};

const MAX_ATTEMPTS: u32 = 4;
/// Longer than any call takes, and short enough to be added to an `Instant`.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(365 * 24 * 3600);

/// Makes a call, within the timeout. A repeatable call is retried while the server is unavailable or overloaded. Any
/// call is repeated once with a new token if the server refused the one before: then nothing was done.
///
/// `repeatable`: making the call twice has the same effect as making it once.
pub(crate) async fn call<Q: Clone, A, F>(
    timeout: Duration,
    repeatable: bool,
    bearer: &Bearer,
    message: Q,
    send: impl Fn(Request<Q>) -> F,
) -> Result<A, RunError>
where
    F: Future<Output = Result<Response<A>, Status>>,
{
    let deadline = Instant::now() + timeout.min(LONGEST_TIMEOUT);
    let mut backoff = Backoff::new();
    let (mut attempts, mut has_renewed_token) = (0, false);
    loop {
        let mut request = Request::new(message.clone());
        let used = bearer.sign(&mut request)?;
        let error = match attempt(deadline, request, &send).await {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        if !has_renewed_token && is_renewed_after(&error, bearer, &used) {
            has_renewed_token = true;
            continue;
        }
        attempts += 1;
        let pause = backoff.pause(&error);
        let is_last = !repeatable || attempts == MAX_ATTEMPTS || !error.is_unavailable();
        if is_last || Instant::now() + pause >= deadline {
            return Err(error);
        }
        sleep(pause).await;
    }
}

/// Returns true if the server refused the token, and there is another.
fn is_renewed_after(error: &RunError, bearer: &Bearer, used: &Authorization) -> bool {
    error.code() == Code::Unauthenticated && bearer.is_renewed_after(used)
}

async fn attempt<Q, A, F>(
    deadline: Instant,
    mut request: Request<Q>,
    send: &impl Fn(Request<Q>) -> F,
) -> Result<A, RunError>
where
    F: Future<Output = Result<Response<A>, Status>>,
{
    request.set_timeout(deadline - Instant::now());
    match timeout_at(deadline, send(request)).await {
        Ok(answer) => Ok(answer?.into_inner()),
        Err(_) => Err(Status::deadline_exceeded("The server did not answer in time").into()),
    }
}

#[cfg(test)]
mod tests;
