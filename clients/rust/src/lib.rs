//! A client of runsvc, the run service for agent platforms.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use runsvc_client::{RunClient, v1::RunSpec};
//!
//! let runs = RunClient::connect()?;
//! let spec = RunSpec { thread_id: "chat-1".into(), ..Default::default() };
//! let run = runs.create(spec).await?.run.unwrap_or_default();
//! let mut watch = runs.watch(run.run_id);
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
mod error;
mod execution;
mod pages;
mod reports;
mod settings;
mod supervision;
mod watch;

/// The generated code: messages, and the stubs below the client.
#[allow(missing_docs, clippy::all, clippy::pedantic, rustdoc::all)]
pub mod v1 {
    include!("v1/runsvc.v1.rs");
}

pub use bearer::Bearer;
pub use client::{AdminStub, RunClient, RunStub};
pub use error::{Kind, RunError, Violation};
pub use execution::{Execution, WorkError, Worker};
pub use pages::RunPages;
pub use settings::{RunClientBuilder, SettingsError};
pub use tonic::Code;
pub use watch::Watch;
