//! The sign-in flows against a scripted sign-in service.

use std::io::{Read as _, Write as _};
use std::sync::PoisonError;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use url::Url;

use super::*;
use crate::graph::testing::{ManualClock, Reply, Seen, Server, jwt};
use crate::world::SystemClock;

const TENANT: &str = "72f988bf-86f1-41af-91ab-2d7cd011db47";
const CERTIFICATE: &[u8] = include_bytes!("../../../fixtures/graph/client-certificate.pem");
const KEY: &[u8] = include_bytes!("../../../fixtures/graph/client-key.pem");

/// Keeps the codes; plays a person with a browser by `visit`.
#[derive(Default)]
struct Person {
    prompts: Mutex<Vec<DevicePrompt>>,
    pages: Mutex<Vec<Url>>,
    /// The path and query the browser comes back with, from the page's own query.
    comes_back: Option<fn(&Url) -> Vec<String>>,
    /// Away from the terminal, or there is none.
    away: bool,
}

impl SignInPrompt for Person {
    fn is_seen(&self) -> bool {
        !self.away
    }

    fn device_code(&self, prompt: &DevicePrompt) {
        self.prompts.lock().unwrap_or_else(PoisonError::into_inner).push(prompt.clone());
    }

    fn visit(&self, url: &str) -> Result<(), String> {
        let page = Url::parse(url).map_err(|error| error.to_string())?;
        self.pages.lock().unwrap_or_else(PoisonError::into_inner).push(page.clone());
        let Some(comes_back) = self.comes_back else { return Err("no browser here".to_owned()) };
        let targets = comes_back(&page);
        let port = Url::parse(&query(&page, "redirect_uri")).map_err(|error| error.to_string())?.port().unwrap_or(0);
        std::thread::spawn(move || {
            for target in targets {
                let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).expect("the bench listens");
                write!(stream, "GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("sent");
                let mut page = String::new();
                let _ = stream.read_to_string(&mut page);
            }
        });
        Ok(())
    }
}

fn query(url: &Url, wanted: &str) -> String {
    url.query_pairs().find(|(name, _)| name == wanted).map(|(_, value)| value.into_owned()).unwrap_or_default()
}

fn source(server: &Server, flow: Flow, person: Arc<Person>, clock: Arc<dyn Clock>) -> SignIn {
    let settings = SignInSettings {
        cloud: Cloud::from_settings(Some(&server.url), Some(&server.url)).expect("loopback"),
        tenant: TENANT.to_owned(),
        client_id: "app".to_owned(),
        flow,
        timeouts: Timeouts::default(),
        budget: Budget::default(),
        cancel: Cancel::new(),
    };
    SignIn::new(settings, clock, person).expect("settings")
}

fn token(number: u32) -> Value {
    json!({"token_type": "Bearer", "expires_in": 3600, "access_token": jwt(&format!(r#"{{"oid":"o{number}"}}"#)), "refresh_token": format!("r{number}")})
}

fn refusal(status: u16, error: &str, code: u32) -> Reply {
    let text = format!("AADSTS{code}: something.\r\nTrace ID: t");
    Reply::json(
        status,
        json!({"error": error, "error_description": text, "error_codes": [code], "correlation_id": "c", "trace_id": "t"}),
    )
}

fn device_start() -> Reply {
    Reply::json(
        200,
        json!({"device_code": "dc", "user_code": "ABCD-EFGH", "verification_uri": "https://microsoft.com/devicelogin", "expires_in": 900, "interval": 5}),
    )
}

fn secret(server: &Server) -> (SignIn, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new());
    let flow = Flow::Secret(Secret::new("s3cret-value".to_owned()));
    (source(server, flow, Arc::default(), Arc::clone(&clock) as _), clock)
}

#[test]
fn a_client_secret_brings_a_token_that_is_kept_until_shortly_before_its_end() {
    let server = Server::answering(vec![Reply::json(200, token(1)), Reply::json(200, token(2))]);
    let (source, clock) = secret(&server);
    let first = source.bearer(&TokenNeed::Any).expect("a token");
    clock.sleep(Duration::from_secs(3479));
    assert!(Arc::ptr_eq(&first, &source.bearer(&TokenNeed::Any).expect("the same")));
    clock.sleep(Duration::from_secs(2));
    assert!(!Arc::ptr_eq(&first, &source.bearer(&TokenNeed::Any).expect("another")));
    let seen = server.seen();
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[0].target, format!("/{TENANT}/oauth2/v2.0/token"));
    assert_eq!(seen[0].form("grant_type").as_deref(), Some("client_credentials"));
    assert_eq!(seen[0].form("client_id").as_deref(), Some("app"));
    assert_eq!(seen[0].form("client_secret").as_deref(), Some("s3cret-value"));
    assert_eq!(seen[0].form("scope").as_deref(), Some("https://graph.microsoft.com/.default"));
}

#[test]
fn a_refused_token_is_dropped_once_however_many_threads_report_it() {
    let server = Server::answering(vec![Reply::json(200, token(1)), Reply::json(200, token(2))]);
    let (source, _) = secret(&server);
    let refused = source.bearer(&TokenNeed::Any).expect("a token");
    for _ in 0..3 {
        let fresh = source.bearer(&TokenNeed::Fresh { refused: Arc::clone(&refused) }).expect("another");
        assert!(!Arc::ptr_eq(&refused, &fresh));
    }
    assert_eq!(server.seen().len(), 2);
}

#[test]
fn wrong_secret_and_wrong_tenant_are_named_without_retry_and_without_the_secret() {
    for (code, status, words) in [
        (7_000_215, 401, "client secret is wrong"),
        (7_000_222, 401, "expired"),
        (90002, 400, "no such tenant"),
        (700_016, 400, "not known in this tenant"),
    ] {
        let server = Server::answering(vec![refusal(status, "invalid_client", code)]);
        let (source, clock) = secret(&server);
        let error = source.bearer(&TokenNeed::Any).expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::SignIn);
        assert!(error.cause().contains(words), "{error}");
        assert_eq!(error.code(), Some(format!("AADSTS{code}").as_str()));
        assert!(!format!("{error} {}", error.next()).contains("s3cret"));
        assert_eq!((server.seen().len(), clock.monotonic()), (1, Duration::ZERO));
    }
}

#[test]
fn a_passing_fault_of_the_sign_in_service_is_waited_out() {
    let server = Server::answering(vec![
        Reply::status(429).with("Retry-After", "9"),
        Reply::json(400, json!({"error": "temporarily_unavailable"})),
        Reply::json(200, token(1)),
    ]);
    let (source, clock) = secret(&server);
    source.bearer(&TokenNeed::Any).expect("a token");
    assert!(clock.monotonic() >= Duration::from_secs(9));
    assert_eq!(server.seen().len(), 3);
}

#[test]
fn answers_without_a_usable_token_are_refused() {
    for body in [
        json!({}),
        json!({"access_token": ""}),
        json!({"access_token": "a b"}),
        json!({"access_token": "a", "token_type": "mac"}),
    ] {
        let server = Server::answering(vec![Reply::json(200, body)]);
        assert_eq!(secret(&server).0.bearer(&TokenNeed::Any).expect_err("refused").kind(), ErrorKind::Malformed);
    }
    let server = Server::answering(vec![Reply::Answer(404, vec![], "<html>".to_owned())]);
    assert_eq!(secret(&server).0.bearer(&TokenNeed::Any).expect_err("refused").kind(), ErrorKind::SignIn);
}

#[test]
fn device_code_waits_slows_down_and_succeeds() {
    let server = Server::answering(vec![
        device_start(),
        refusal(400, "authorization_pending", 70016),
        refusal(400, "slow_down", 70016),
        Reply::json(200, token(1)),
        // Renewal, and its refusal.
        Reply::json(200, token(2)),
        refusal(400, "invalid_grant", 700_082),
    ]);
    let (clock, person) = (Arc::new(ManualClock::new()), Arc::new(Person::default()));
    let source = source(&server, Flow::DeviceCode, Arc::clone(&person), Arc::clone(&clock) as _);
    // Never a question to a person from a plain call.
    assert_eq!(source.bearer(&TokenNeed::Any).expect_err("nobody signed in").kind(), ErrorKind::SignIn);
    assert!(server.seen().is_empty());
    assert_eq!(source.sign_in().expect("signed in").object_id.map(|id| id.as_str().to_owned()).as_deref(), Some("o1"));
    // 5 + 5, then 5 more for slow_down.
    assert_eq!(clock.monotonic(), Duration::from_secs(5 + 5 + 10));
    let prompts = person.prompts.lock().expect("prompts").clone();
    assert_eq!(prompts.len(), 1);
    assert!(prompts[0].message.contains("ABCD-EFGH"));
    let seen = server.seen();
    assert_eq!(seen[0].target, format!("/{TENANT}/oauth2/v2.0/devicecode"));
    let scope = seen[0].form("scope").unwrap_or_default();
    assert_eq!(scope, "https://graph.microsoft.com/.default offline_access");
    assert_eq!(seen[1].form("device_code").as_deref(), Some("dc"));

    clock.sleep(Duration::from_secs(3600));
    source.bearer(&TokenNeed::Any).expect("renewed");
    assert_eq!(server.seen()[4].form("refresh_token").as_deref(), Some("r1"));
    clock.sleep(Duration::from_secs(3600));
    let error = source.bearer(&TokenNeed::Any).expect_err("ended");
    assert_eq!((error.kind(), error.code()), (ErrorKind::SignIn, Some("AADSTS700082")));
    assert_eq!(server.seen()[5].form("refresh_token").as_deref(), Some("r2"));
}

/// A sign-in that `keybench login` kept.
struct Kept(Mutex<Option<&'static str>>);

impl Keeper for Kept {
    fn load(&self) -> Result<Option<Secret<String>>, String> {
        Ok(self.0.lock().expect("kept").map(|text| Secret::new(text.to_owned())))
    }
    fn store(&self, _: &Secret<String>) -> Result<(), String> {
        Ok(())
    }
    fn forget(&self) -> Result<(), String> {
        *self.0.lock().expect("kept") = None;
        Ok(())
    }
}

#[test]
fn where_nobody_sees_it_nobody_is_waited_for() {
    let away = || Arc::new(Person { away: true, ..Person::default() });
    for flow in [Flow::DeviceCode, Flow::Browser] {
        let (server, clock) = (Server::answering(vec![]), Arc::new(ManualClock::new()));
        let source = source(&server, flow, away(), Arc::clone(&clock) as _);
        for error in [source.sign_in().expect_err("refused"), source.keep().expect_err("refused")] {
            assert_eq!(error.kind(), ErrorKind::SignIn);
            assert!(error.next().contains("keybench login") && error.next().contains("certificate"), "{error}");
        }
        assert_eq!((server.seen().len(), clock.monotonic()), (0, Duration::ZERO), "nothing was asked or waited for");
    }
    // What is kept needs nobody, as long as it is good.
    let server = Server::answering(vec![Reply::json(200, token(1)), refusal(400, "invalid_grant", 700_082)]);
    let kept = || Arc::new(Kept(Mutex::new(Some("kept"))));
    let source = |server| source(server, Flow::DeviceCode, away(), Arc::new(ManualClock::new())).kept_by(kept());
    source(&server).sign_in().expect("signed in by what is kept");
    assert!(source(&server).sign_in().expect_err("spent").fact().contains("no terminal"));
    assert_eq!(server.seen().len(), 2);
}

#[test]
fn after_a_rejected_token_only_a_person_helps() {
    let server =
        Server::answering(vec![device_start(), Reply::json(200, token(1)), device_start(), Reply::json(200, token(2))]);
    let (clock, person) = (Arc::new(ManualClock::new()), Arc::new(Person::default()));
    let source = source(&server, Flow::DeviceCode, Arc::clone(&person), clock);
    source.sign_in().expect("signed in");
    let held = source.bearer(&TokenNeed::Any).expect("a token");
    source.rejected(&held);
    assert_eq!(source.bearer(&TokenNeed::Any).expect_err("ended").kind(), ErrorKind::SignIn);
    source.sign_in().expect("signed in again");
    assert_eq!(person.prompts.lock().expect("prompts").len(), 2);
    // A late report of the old token does no harm to the new one.
    source.rejected(&held);
    assert!(source.bearer(&TokenNeed::Any).is_ok());
}

#[test]
fn device_code_ends_when_declined_or_too_late() {
    for (reply, words) in [
        (refusal(400, "authorization_declined", 70020), "declined"),
        (refusal(400, "expired_token", 70019), "expired"),
        (refusal(400, "invalid_client", 7_000_218), "AADSTS7000218"),
        (refusal(400, "access_denied", 53003), "declined"),
    ] {
        let server = Server::answering(vec![device_start(), reply]);
        let source = source(&server, Flow::DeviceCode, Arc::default(), Arc::new(ManualClock::new()));
        let error = source.sign_in().expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::SignIn);
        assert!(error.fact().contains(words), "{error}");
    }
    // Pending for ever: our own clock ends it.
    let server = Server::new(vec![Box::new(|seen: &Seen| {
        if seen.target.ends_with("devicecode") { device_start() } else { refusal(400, "authorization_pending", 70016) }
    })]);
    let clock = Arc::new(ManualClock::new());
    let source = source(&server, Flow::DeviceCode, Arc::default(), Arc::clone(&clock) as _);
    assert!(source.sign_in().expect_err("late").fact().contains("expired"));
    assert_eq!(clock.monotonic(), Duration::from_secs(900));
}

#[test]
fn the_browser_comes_back_with_a_code_that_only_we_can_redeem() {
    let server = Server::answering(vec![Reply::json(200, token(1)), Reply::json(200, token(2))]);
    let person = Arc::new(Person {
        // A favicon, a stale page with another state, then the real one.
        comes_back: Some(|page| {
            vec![
                "/favicon.ico".to_owned(),
                "/?code=evil&state=stale".to_owned(),
                format!("/?code=good&state={}", query(page, "state")),
            ]
        }),
        ..Person::default()
    });
    let source = source(&server, Flow::Browser, Arc::clone(&person), Arc::new(SystemClock::new()));
    source.sign_in().expect("signed in");
    let page = person.pages.lock().expect("pages")[0].clone();
    assert_eq!(page.path(), format!("/{TENANT}/oauth2/v2.0/authorize"));
    assert_eq!(
        (query(&page, "code_challenge_method"), query(&page, "response_type")),
        ("S256".to_owned(), "code".to_owned())
    );
    let redirect = query(&page, "redirect_uri");
    assert!(redirect.starts_with("http://localhost:"), "{redirect}");
    let seen = server.seen();
    assert_eq!(seen[0].form("code").as_deref(), Some("good"));
    assert_eq!(seen[0].form("redirect_uri"), Some(redirect));
    assert_eq!(seen[0].form("client_secret"), None);
    let verifier = seen[0].form("code_verifier").expect("a verifier");
    assert_eq!(URL_SAFE_NO_PAD.encode(Sha256::digest(verifier)), query(&page, "code_challenge"));

    // A claims challenge: the next sign-in passes it on, and no refresh token goes round it.
    source.challenged(r#"{"a":1}"#.to_owned());
    assert_eq!(source.bearer(&TokenNeed::Any).expect_err("stronger").kind(), ErrorKind::SignIn);
    source.sign_in().expect("signed in again");
    assert_eq!(query(&person.pages.lock().expect("pages")[1], "claims"), r#"{"a":1}"#);
    assert!(source.bearer(&TokenNeed::Any).is_ok());
}

#[test]
fn the_browser_may_bring_a_refusal_or_never_start() {
    let server = Server::answering(vec![]);
    let refused = |comes_back: Option<fn(&Url) -> Vec<String>>| {
        let person = Arc::new(Person { comes_back, ..Person::default() });
        source(&server, Flow::Browser, person, Arc::new(SystemClock::new())).sign_in().expect_err("refused")
    };
    let error = refused(Some(|page| {
        vec![format!("/?error=access_denied&error_description=AADSTS65004%3A+declined&state={}", query(page, "state"))]
    }));
    assert_eq!(error.code(), Some("AADSTS65004"));
    let error = refused(Some(|page| vec![format!("/?error=access_denied&state={}", query(page, "state"))]));
    assert!(error.fact().contains("declined"), "{error}");
    assert!(refused(None).next().contains("device-code"));
    assert!(server.seen().is_empty());
}

#[test]
fn an_assertion_is_signed_by_the_certificates_key() {
    let server = Server::answering(vec![Reply::json(200, token(1))]);
    let clock = Arc::new(ManualClock::new());
    let certificate =
        ClientCertificate::from_pem(CERTIFICATE, &Secret::new(KEY.to_vec()), clock.now()).expect("a certificate");
    assert!(certificate.subject().contains("keybench test"));
    let source = source(&server, Flow::Certificate(Box::new(certificate)), Arc::default(), Arc::clone(&clock) as _);
    source.sign_in().expect("signed in");
    let seen = server.seen();
    assert_eq!(
        seen[0].form("client_assertion_type").as_deref(),
        Some("urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
    );
    assert_eq!(seen[0].form("client_secret"), None);
    let assertion = seen[0].form("client_assertion").expect("an assertion");
    let (signed, signature) = assertion.rsplit_once('.').expect("three parts");
    let part = |n: usize| -> Value {
        let part = signed.split('.').nth(n).expect("a part");
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).expect("base64url")).expect("JSON")
    };
    let der = pem::parse(CERTIFICATE).expect("PEM");
    assert_eq!(
        part(0),
        json!({"alg": "PS256", "typ": "JWT", "x5t#S256": URL_SAFE_NO_PAD.encode(Sha256::digest(der.contents()))})
    );
    let claims = part(1);
    assert_eq!(claims["aud"], format!("{}/{TENANT}/oauth2/v2.0/token", server.url));
    assert_eq!((&claims["iss"], &claims["sub"]), (&json!("app"), &json!("app")));
    let now = clock.now().as_second();
    assert_eq!((claims["nbf"].as_i64(), claims["exp"].as_i64()), (Some(now - 60), Some(now + 540)));
    assert!(claims["jti"].as_str().is_some_and(|jti| jti.len() == 36));
    // Checked with the certificate's public key, read by another route than ours.
    let (_, parsed) = x509_parser::parse_x509_certificate(der.contents()).expect("X.509");
    let public = &parsed.public_key().subject_public_key.data;
    ring::signature::UnparsedPublicKey::new(&ring::signature::RSA_PSS_2048_8192_SHA256, public)
        .verify(signed.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).expect("base64url"))
        .expect("the signature holds");
}

#[test]
fn certificates_that_cant_work_are_refused_before_anything_is_sent() {
    let now = ManualClock::new().now();
    let read = |certificate: &[u8], key: &[u8], now| {
        ClientCertificate::from_pem(certificate, &Secret::new(key.to_vec()), now).map_err(|error| {
            assert_eq!(error.kind(), ErrorKind::Settings);
            assert!(!error.next().is_empty());
            error.to_string()
        })
    };
    assert!(read(CERTIFICATE, include_bytes!("../../../fixtures/graph/client-key-pkcs1.pem"), now).is_ok());
    let other = include_bytes!("../../../fixtures/graph/other-key.pem");
    let ec = include_bytes!("../../../fixtures/graph/ec-certificate.pem");
    let time = |text: &str| text.parse().expect("a time");
    for (result, words) in [
        (read(CERTIFICATE, other, now), "belong together"),
        (read(ec, KEY, now), "not RSA"),
        (read(CERTIFICATE, KEY, time("2126-06-01T00:00:00Z")), "expired on 2125-12-31"),
        (read(CERTIFICATE, KEY, time("2025-06-01T00:00:00Z")), "valid from 2026-01-01"),
        (read(b"nonsense", KEY, now), "BEGIN CERTIFICATE"),
        (read(KEY, KEY, now), "BEGIN CERTIFICATE"),
        (read(CERTIFICATE, CERTIFICATE, now), "BEGIN PRIVATE KEY"),
        (
            read(
                CERTIFICATE,
                b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
                now,
            ),
            "passphrase",
        ),
        (read(CERTIFICATE, b"-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n", now), "elliptic"),
        (
            read(CERTIFICATE, b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", now),
            "no usable RSA key",
        ),
        (read(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", KEY, now), "no X.509"),
    ] {
        let error = result.expect_err(words);
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn a_tenant_must_be_named() {
    let server = Server::answering(vec![]);
    for (tenant, client_id) in
        [("common", "app"), ("", "app"), ("a/b", "app"), (TENANT, "a b"), ("organizations", "app")]
    {
        let settings = SignInSettings {
            cloud: Cloud::from_settings(Some(&server.url), Some(&server.url)).expect("loopback"),
            tenant: tenant.to_owned(),
            client_id: client_id.to_owned(),
            flow: Flow::DeviceCode,
            timeouts: Timeouts::default(),
            budget: Budget::default(),
            cancel: Cancel::new(),
        };
        let person: Arc<Person> = Arc::default();
        assert_eq!(
            SignIn::new(settings, Arc::new(ManualClock::new()), person).expect_err("refused").kind(),
            ErrorKind::Settings
        );
    }
}
