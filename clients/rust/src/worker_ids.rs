//! Default worker ids.

use std::process;

const LONGEST_HOST: usize = 64;

/// Returns a worker id that no other execution has: host name, process id and a random number.
pub(crate) fn new_worker_id() -> String {
    let host = hostname::get().unwrap_or_default();
    id_of(&host.to_string_lossy())
}

fn id_of(host: &str) -> String {
    // An id begins with a letter or a digit, and has few other characters.
    let allowed = |c: &char| c.is_ascii_alphanumeric() || ['.', '-'].contains(c);
    let host: String = host
        .chars()
        .filter(allowed)
        .skip_while(|c| !c.is_ascii_alphanumeric())
        .take(LONGEST_HOST)
        .collect();
    let host = if host.is_empty() { "host" } else { &host };
    format!("{host}-{}-{:08x}", process::id(), fastrand::u32(..))
}

#[cfg(test)]
mod tests;
