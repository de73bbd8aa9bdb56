//! The Rust client of runsvc, the run service for agent platforms.
//!
//! [`RunClient`] makes typed calls with deadlines and safe retries, watches runs across lost connections, and executes
//! runs with a lease. A [`Worker`] claims runs and executes them. The
//! [README](https://github.com/runsvc/runsvc/tree/main/clients/rust) is a guide with a complete executor.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use runsvc_client::{RunClient, v1::RunSpec};
//!
//! let client = RunClient::connect()?;
//! let spec = RunSpec { thread_id: "chat-1".into(), ..Default::default() };
//! let run = client.create(spec).await?.run.unwrap_or_default();
//! let mut watch = client.watch(run.run_id);
//! while let Some(event) = watch.next().await? {
//!     println!("{:?} {:?}", event.event(), event.run.map(|run| run.status()));
//! }
//! # Ok(())
//! # }
//! ```
#![warn(missing_docs)]

mod attempts;
mod backoff;
mod bearer;
mod client;
mod connect;
mod credential;
mod error;
mod execute;
mod execution;
mod failure;
mod health;
mod lengths;
mod outcome;
mod pages;
mod panics;
mod perform;
mod reports;
mod requests;
mod settings;
mod shutdown;
mod streams;
mod supervision;
#[cfg(test)]
mod testing;
mod tls;
mod watch;
mod watch_source;
mod worker;
mod worker_ids;

/// The generated code: messages, enums and stubs.
#[allow(missing_docs, clippy::all, clippy::pedantic, rustdoc::all)]
pub mod v1 {
    include!("v1/runsvc.v1.rs");
}

pub use bearer::Bearer;
pub use client::{AdminStub, RunClient, RunStub};
pub use error::{Kind, RunError, Violation};
pub use execute::{ExecuteError, ExecuteOptions};
pub use execution::Execution;
pub use failure::Failure;
pub use health::{WorkerHealth, WorkerState};
pub use outcome::Outcome;
pub use pages::RunPages;
/// The crate of the types `Struct`, `Duration` and `Timestamp` in the generated code.
pub use prost_types;
pub use settings::{RunClientBuilder, SettingsError};
pub use tonic::Code;
pub use watch::Watch;
pub use worker::{OnEnd, Worker, WorkerHandle, WorkerOptions};

use reports::truncated;

/// Compiles the examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

#[cfg(test)]
mod readme {
    #[test]
    fn the_readme_contains_the_examples() {
        let executor = include_str!("../examples/executor.rs");
        assert!(include_str!("../README.md").contains(executor));
        let worker = include_str!("../examples/worker.rs");
        assert!(include_str!("../README.md").contains(worker));
    }
}
