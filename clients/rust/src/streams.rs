//! The connections of a client's watches. A server limits the calls of one connection; more would wait.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use tonic::transport::Channel;

/// Watches on the connection of the other calls, which need room for themselves.
const SHARED: usize = 50;
/// Watches on each further connection.
const OWN: usize = 90;

type Connect = Box<dyn Fn() -> Channel + Send + Sync>;

/// Finds a connection for each watch: the client's, and further ones when that is full.
pub(crate) struct Streams {
    lines: Mutex<Vec<Line>>,
    /// None: the connection is the caller's own, and the only one.
    connect: Option<Connect>,
}

struct Line {
    channel: Channel,
    limit: usize,
    /// One reference for each open stream, beside this one.
    streams: Arc<()>,
}

/// The room of one stream on a connection, until it is dropped.
pub(crate) struct Place {
    pub(crate) channel: Channel,
    _stream: Arc<()>,
}

impl Streams {
    pub(crate) fn new(channel: Channel, connect: Option<Connect>) -> Self {
        let limit = if connect.is_some() { SHARED } else { usize::MAX };
        Self { lines: Mutex::new(vec![Line::new(channel, limit)]), connect }
    }

    /// Takes the room for a stream.
    pub(crate) fn place(&self) -> Place {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(line) = lines.iter().find(|line| line.has_room()) {
            return line.place();
        }
        let connect = self.connect.as_ref().expect("a connection without a limit has room");
        lines.push(Line::new(connect(), OWN));
        lines.last().expect("just added").place()
    }
}

impl Line {
    fn new(channel: Channel, limit: usize) -> Self {
        Self { channel, limit, streams: Arc::default() }
    }

    fn has_room(&self) -> bool {
        Arc::strong_count(&self.streams) <= self.limit
    }

    fn place(&self) -> Place {
        Place { channel: self.channel.clone(), _stream: self.streams.clone() }
    }
}

impl fmt::Debug for Streams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Streams(…)")
    }
}
