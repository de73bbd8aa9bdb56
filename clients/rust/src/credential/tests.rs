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
    let credential = Credential::File(TokenFile::new(path.clone()));
    assert_eq!(sent(&credential), "Bearer first");
    let other = new_file("second");
    fs::rename(other, &path).unwrap();
    assert_eq!(sent(&credential), "Bearer second");
    fs::write(&path, "third-token").unwrap();
    assert_eq!(sent(&credential), "Bearer third-token");
    fs::remove_file(path).unwrap();
}

#[test]
fn the_last_token_is_kept_while_the_file_cannot_be_read() {
    let path = new_file("first");
    let credential = Credential::File(TokenFile::new(path.clone()));
    assert_eq!(sent(&credential), "Bearer first");
    fs::write(&path, "two tokens").unwrap();
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
    let credential = Credential::File(TokenFile::new(path.clone()));
    for _ in 0..2 {
        let error = credential.authorization().unwrap_err();
        assert_eq!(error.code(), tonic::Code::Unauthenticated);
        assert!(error.message().contains(&path.display().to_string()), "{error}");
        let _ = fs::remove_file(&path);
    }
    fs::write(&path, "later").unwrap();
    assert_eq!(sent(&credential), "Bearer later");
    fs::remove_file(path).unwrap();
}

#[test]
fn an_empty_token_is_not_sent() {
    assert!(
        Credential::Function(TokenFunction::new(String::new)).authorization().unwrap().is_none()
    );
}

#[test]
fn a_refused_token_of_a_file_is_renewed_if_the_file_holds_another() {
    let path = new_file("first");
    let credential = Credential::File(TokenFile::new(path.clone()));
    let used = credential.authorization().unwrap();
    assert!(!credential.is_renewed_after(&used));
    fs::write(&path, "other").unwrap();
    assert!(credential.is_renewed_after(&used));
    fs::remove_file(path).unwrap();
}

#[test]
fn a_refused_token_of_a_function_is_renewed_if_the_next_is_another() {
    let number = AtomicU32::new(0);
    let next = move || (number.fetch_add(1, Ordering::Relaxed) / 2).to_string();
    let credential = Credential::Function(TokenFunction::new(next));
    let used = credential.authorization().unwrap();
    assert!(!credential.is_renewed_after(&used));
    assert!(credential.is_renewed_after(&used));
    assert_eq!([sent(&credential), sent(&credential)], ["Bearer 1", "Bearer 1"]);
}

#[test]
fn a_token_that_a_header_cannot_carry_is_an_error() {
    let error = Credential::Fixed("a\nb".into()).authorization().unwrap_err();
    assert_eq!(error.code(), tonic::Code::Unauthenticated);
}
