use super::*;

#[test]
fn two_ids_differ() {
    assert_ne!(new_worker_id(), new_worker_id());
}

#[test]
fn every_host_name_makes_a_valid_id() {
    let id = process::id();
    let long = "x".repeat(LONGEST_HOST);
    for (host, prefix) in
        [("web-1.local", "web-1.local"), ("_-ü a", "a"), ("", "host"), (&"x".repeat(300), &long)]
    {
        assert!(id_of(host).starts_with(&format!("{prefix}-{id}-")), "{host}");
    }
}
