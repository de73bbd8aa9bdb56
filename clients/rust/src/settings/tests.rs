use super::*;

fn built(
    settings: RunClientBuilder,
    name: &'static str,
    value: &'static str,
) -> Result<RunClient, SettingsError> {
    settings.build_in(|variable| (variable == name).then(|| value.to_owned()))
}

#[tokio::test]
async fn the_environment_says_what_is_not_set() {
    assert!(built(RunClient::builder(), "RUNSVC_TARGET", "no address").is_err());
    assert!(built(RunClient::builder().target(None), "RUNSVC_TARGET", "no address").is_ok());
    assert!(
        built(RunClient::builder().target(Some("host:1")), "RUNSVC_TARGET", "no address").is_ok()
    );
    assert!(built(RunClient::builder(), "RUNSVC_TARGET", "").is_ok());
}

#[tokio::test]
async fn certificates_are_read_at_once() {
    let error = built(RunClient::builder(), "RUNSVC_TLS_CA", "/nowhere/ca.pem").unwrap_err();
    assert!(error.to_string().contains("/nowhere/ca.pem"));
    assert!(built(RunClient::builder().tls_ca(None), "RUNSVC_TLS_CA", "/nowhere/ca.pem").is_ok());
}

#[tokio::test]
async fn a_timeout_is_in_seconds_and_above_zero() {
    for wrong in ["soon", "0", "-1", "NaN", "inf"] {
        assert!(built(RunClient::builder(), "RUNSVC_TIMEOUT", wrong).is_err(), "{wrong}");
        assert!(built(RunClient::builder().timeout(None), "RUNSVC_TIMEOUT", wrong).is_ok());
    }
    assert!(built(RunClient::builder(), "RUNSVC_TIMEOUT", "0.5").is_ok());
}
