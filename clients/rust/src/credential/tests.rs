use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;

/// A file of one test.
fn new_file(content: &str) -> PathBuf {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("runsvc-{}-{number}", std::process::id()));
    fs::write(&path, content).unwrap();
    path
}

fn sent(credential: &Credential) -> String {
    credential.authorization().unwrap().unwrap().to_str().unwrap().to_owned()
}

#[test]
fn a_token_file_is_read_again_when_it_has_changed() {
    let path = new_file(" first\n");
    let credential = Credential::File(TokenFile::open(path.clone()).unwrap());
    assert_eq!(sent(&credential), "Bearer first");
    let other = new_file("second");
    fs::rename(other, &path).unwrap();
    assert_eq!(sent(&credential), "Bearer second");
    fs::write(&path, "third token").unwrap();
    assert_eq!(sent(&credential), "Bearer third token");
    fs::remove_file(path).unwrap();
}

#[test]
fn the_last_token_is_kept_while_the_file_cannot_be_read() {
    let path = new_file("first");
    let credential = Credential::File(TokenFile::open(path.clone()).unwrap());
    fs::write(&path, " \n").unwrap();
    assert_eq!(sent(&credential), "Bearer first");
    fs::remove_file(&path).unwrap();
    assert_eq!(sent(&credential), "Bearer first");
    fs::write(&path, "again").unwrap();
    assert_eq!(sent(&credential), "Bearer again");
    fs::remove_file(path).unwrap();
}

#[test]
fn the_first_read_fails_clearly() {
    let path = new_file("");
    assert!(TokenFile::open(path.clone()).is_err());
    fs::remove_file(&path).unwrap();
    assert!(TokenFile::open(path).is_err());
}

#[test]
fn a_refused_token_of_a_file_is_renewed_if_the_file_holds_another() {
    let path = new_file("first");
    let credential = Credential::File(TokenFile::open(path.clone()).unwrap());
    let used = credential.authorization().unwrap();
    assert!(!credential.is_renewed_after(&used));
    fs::write(&path, "other").unwrap();
    assert!(credential.is_renewed_after(&used));
    fs::remove_file(path).unwrap();
}

#[test]
fn a_token_that_a_header_cannot_carry_is_an_error() {
    let error = Credential::Fixed("a\nb".into()).authorization().unwrap_err();
    assert_eq!(error.code(), tonic::Code::Unauthenticated);
}
