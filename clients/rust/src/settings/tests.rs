use super::*;

/// Builds a client in an environment that has one variable.
fn build(
    builder: RunClientBuilder,
    name: &'static str,
    value: &'static str,
) -> Result<RunClient, SettingsError> {
    builder.build_in(|variable| (variable == name).then(|| value.to_owned()))
}

#[tokio::test]
async fn the_environment_supplies_the_options_that_are_not_set() {
    assert!(build(RunClient::builder(), "RUNSVC_TARGET", "no address").is_err());
    assert!(build(RunClient::builder().target(None), "RUNSVC_TARGET", "no address").is_ok());
    assert!(
        build(RunClient::builder().target(Some("host:1")), "RUNSVC_TARGET", "no address").is_ok()
    );
    assert!(build(RunClient::builder(), "RUNSVC_TARGET", "").is_ok());
}

#[tokio::test]
async fn certificates_are_read_when_the_client_is_built() {
    let error = build(RunClient::builder(), "RUNSVC_TLS_CA", "/nowhere/ca.pem").unwrap_err();
    assert!(error.to_string().contains("/nowhere/ca.pem"));
    assert!(build(RunClient::builder().tls_ca(None), "RUNSVC_TLS_CA", "/nowhere/ca.pem").is_ok());
}

#[tokio::test]
async fn the_timeout_is_a_positive_number_of_seconds() {
    for invalid in ["soon", "0", "-1", "NaN", "inf"] {
        assert!(build(RunClient::builder(), "RUNSVC_TIMEOUT", invalid).is_err(), "{invalid}");
        assert!(build(RunClient::builder().timeout(None), "RUNSVC_TIMEOUT", invalid).is_ok());
    }
    assert!(build(RunClient::builder(), "RUNSVC_TIMEOUT", "0.5").is_ok());
    assert!(build(RunClient::builder().timeout(Some(Duration::ZERO)), "", "").is_err());
}

#[tokio::test]
async fn a_timeout_that_is_too_long_is_the_longest() {
    for long in ["1e10", "1e19", "1e300"] {
        let client = build(RunClient::builder(), "RUNSVC_TIMEOUT", long).unwrap();
        assert!(client.timeout() >= Duration::from_secs(10_000_000_000), "{long}");
    }
    let longest = build(RunClient::builder().timeout(Some(Duration::MAX)), "", "").unwrap();
    assert_eq!(longest.timeout(), Duration::MAX);
}

#[tokio::test]
async fn the_token_comes_from_one_variable() {
    let both = |_: &str| Some("/nowhere/token".to_owned());
    let builder =
        || RunClient::builder().target(None).timeout(None).tls_ca(None).tls_identity(None);
    let error = builder().build_in(both).unwrap_err().to_string();
    assert!(error.contains("RUNSVC_TOKEN and RUNSVC_TOKEN_FILE are both set"), "{error}");
    assert!(builder().token(Some("t")).build_in(both).is_ok());
    assert!(builder().token(None).build_in(both).is_ok());
    assert!(build(RunClient::builder(), "RUNSVC_TOKEN_FILE", "/nowhere/token").is_ok());
}

#[tokio::test]
async fn a_certificate_of_the_client_needs_its_key() {
    for alone in ["RUNSVC_TLS_CERT", "RUNSVC_TLS_KEY"] {
        let error = build(RunClient::builder(), alone, "/nowhere/file.pem").unwrap_err();
        assert!(error.to_string().contains("belong together"));
    }
    let file = Path::new("/nowhere/file.pem");
    let builder = RunClient::builder().tls_identity(Some((file, file)));
    let error = build(builder, "", "").unwrap_err();
    assert!(error.to_string().contains("/nowhere/file.pem"));
}

#[tokio::test]
async fn a_socket_of_this_machine_is_a_target_without_tls() {
    assert!(build(RunClient::builder(), "RUNSVC_TARGET", "unix:/run/runsvc.sock").is_ok());
    let builder = RunClient::builder().tls_ca(Some(Path::new("Cargo.toml")));
    assert!(build(builder, "RUNSVC_TARGET", "unix:/run/runsvc.sock").is_err());
}
