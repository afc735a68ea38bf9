//! Every way in, and every way of not getting in.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PSS_SHA256, RsaKeyPair};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::super::spec::SignInOutcome;
use super::{Caller, Reply, send, spec};

fn aadsts(reply: &Reply) -> (u16, String, u64) {
    let body = reply.json();
    let code = body["error_codes"][0].as_u64().expect("a code");
    assert!(body["error_description"].as_str().expect("a text").starts_with(&format!("AADSTS{code}: ")));
    (reply.status, body["error"].as_str().expect("a text").to_owned(), code)
}

#[test]
fn the_applications_secret() {
    let caller = Caller::stranger(spec());
    let good = caller.client_credentials(&caller.tenant.client_secret);
    assert_eq!(good.json()["expires_in"], 3599);
    let token = good.json()["access_token"].as_str().expect("a token").to_owned();
    let claims = token.split('.').nth(1).and_then(|part| URL_SAFE_NO_PAD.decode(part).ok()).expect("claims");
    let claims: Value = serde_json::from_slice(&claims).expect("JSON");
    assert_eq!(claims["idtyp"], "app");
    assert_eq!(claims["tid"], caller.tenant.tenant_id);
    assert!(
        claims["roles"].as_array().is_some_and(|roles| roles.contains(&"UserAuthMethod-Passkey.ReadWrite.All".into()))
    );

    assert_eq!(aadsts(&caller.client_credentials("wrong")), (401, "invalid_client".into(), 7_000_215));
    let grant = ("grant_type", "client_credentials");
    let scope = ("scope", "https://graph.microsoft.com/.default");
    assert_eq!(aadsts(&caller.form("token", &[grant, scope])).2, 7_000_216);
    let secret = ("client_secret", caller.tenant.client_secret.as_str());
    assert_eq!(aadsts(&caller.form("token", &[grant, secret, ("scope", "User.Read.All")])).2, 1_002_012);
    assert_eq!(aadsts(&caller.form("token", &[grant, secret, ("scope", "https://other.example/.default")])).2, 500_011);
    assert_eq!(aadsts(&caller.form("token", &[])).2, 900_144);

    let url = |tenant: &str| format!("{}/{tenant}/oauth2/v2.0/token", caller.tenant.login_url);
    let form = [grant, scope, secret, ("client_id", caller.tenant.client_id.as_str())];
    let elsewhere = send(caller.http.post(url("8a2b0000-0000-4000-8000-000000000000")).form(&form));
    assert_eq!(aadsts(&elsewhere).2, 90_002);
    assert_eq!(aadsts(&send(caller.http.post(url("common")).form(&form))).2, 50_059);
    assert_eq!(send(caller.http.post(url("contoso.example")).form(&form)).status, 200);
    let nobody = [grant, scope, secret, ("client_id", "11111111-2222-4333-8444-555555555555")];
    assert_eq!(aadsts(&send(caller.http.post(url(&caller.tenant.tenant_id)).form(&nobody))).2, 700_016);

    let mut old = spec();
    old.app.secret_expired = true;
    let caller = Caller::stranger(old);
    assert_eq!(aadsts(&caller.client_credentials(&caller.tenant.client_secret)).2, 7_000_222);
}

#[test]
fn the_device_code() {
    let mut patient = spec();
    patient.sign_in.polls = 1;
    let caller = Caller::stranger(patient);
    let begun =
        caller.form("devicecode", &[("scope", "UserAuthMethod-Passkey.ReadWrite.All offline_access openid")]).json();
    assert_eq!((&begun["expires_in"], &begun["interval"]), (&json!(900), &json!(5)));
    assert_eq!(begun["user_code"].as_str().map(str::len), Some(9));
    let code = begun["device_code"].as_str().expect("a code");
    let poll = |code: &str| {
        caller.form("token", &[("grant_type", "urn:ietf:params:oauth:grant-type:device_code"), ("device_code", code)])
    };
    assert_eq!(aadsts(&poll(code)), (400, "authorization_pending".into(), 70_016));
    let done = poll(code).json();
    assert_eq!(done["scope"], "https://graph.microsoft.com/UserAuthMethod-Passkey.ReadWrite.All");
    assert!(done["id_token"].is_string());
    assert_eq!(aadsts(&poll(code)).1, "bad_verification_code");
    assert_eq!(aadsts(&poll("other")).2, 70_018);

    let token = done["refresh_token"].as_str().expect("a token");
    let refresh = |token: &str| caller.form("token", &[("grant_type", "refresh_token"), ("refresh_token", token)]);
    assert!(refresh(token).json()["refresh_token"].is_string());
    assert_eq!(aadsts(&refresh(token)).2, 700_082, "each is good once");
    assert_eq!(aadsts(&caller.form("devicecode", &[("scope", "Mail.Read")])).2, 65_001);
    let with_secret = [("grant_type", "refresh_token"), ("refresh_token", "x"), ("client_secret", "y")];
    assert_eq!(aadsts(&caller.form("token", &with_secret)).2, 700_025);
}

#[test]
fn a_device_code_that_comes_to_nothing() {
    for (outcome, error, code) in [
        (SignInOutcome::Decline, "authorization_declined", 70_017),
        (SignInOutcome::Expire, "expired_token", 70_020),
        (SignInOutcome::Blocked, "invalid_grant", 53_003),
    ] {
        let mut spec = spec();
        spec.sign_in.polls = 0;
        spec.sign_in.outcome = outcome;
        let caller = Caller::stranger(spec);
        let begun = caller.form("devicecode", &[("scope", "User.Read")]).json();
        let device = begun["device_code"].as_str().expect("a code");
        let grant = ("grant_type", "urn:ietf:params:oauth:grant-type:device_code");
        let reply = caller.form("token", &[grant, ("device_code", device)]);
        assert_eq!(aadsts(&reply), (400, error.into(), code));
    }
    let mut confidential = spec();
    confidential.app.public_client = false;
    let caller = Caller::stranger(confidential);
    let grant = ("grant_type", "urn:ietf:params:oauth:grant-type:device_code");
    assert_eq!(aadsts(&caller.form("token", &[grant, ("device_code", "x")])).2, 7_000_218);
}

/// Opens the browser's page and gives the answer's status, place and body.
pub(super) fn authorize(caller: &Caller, changes: &[(&str, &str)]) -> Reply {
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest("verifier"));
    let mut query = vec![
        ("client_id", caller.tenant.client_id.as_str()),
        ("response_type", "code"),
        ("redirect_uri", "http://localhost:50123"),
        ("scope", "User.Read offline_access"),
        ("state", "st&te"),
        ("code_challenge", challenge.as_str()),
        ("code_challenge_method", "S256"),
    ];
    query.retain(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
    query.extend_from_slice(changes);
    let url = format!("{}/{}/oauth2/v2.0/authorize", caller.tenant.login_url, caller.tenant.tenant_id);
    send(caller.http.get(url).query(&query))
}

pub(super) fn answered(reply: &Reply, name: &str) -> Option<String> {
    let place = url::Url::parse(&reply.header("location")).expect("a place");
    place.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

#[test]
fn the_browser() {
    let caller = Caller::stranger(spec());
    let reply = authorize(&caller, &[]);
    assert_eq!(reply.status, 302);
    assert!(reply.header("location").starts_with("http://localhost:50123/?"));
    assert_eq!(answered(&reply, "state").as_deref(), Some("st&te"));
    let code = answered(&reply, "code").expect("a code");
    let redeem = |verifier: &str, place: &str| {
        let grant = ("grant_type", "authorization_code");
        caller.form("token", &[grant, ("code", &code), ("redirect_uri", place), ("code_verifier", verifier)])
    };
    assert_eq!(aadsts(&redeem("wrong", "http://localhost:50123")).2, 501_481);
    assert_eq!(aadsts(&redeem("verifier", "http://localhost:1")).2, 50_011);
    let done = redeem("verifier", "http://localhost:50123");
    assert_eq!(done.status, 200, "{}", done.text);
    assert!(done.json()["refresh_token"].is_string());
    assert_eq!(aadsts(&redeem("verifier", "http://localhost:50123")).2, 54_005);
}

#[test]
fn a_browser_that_comes_to_nothing() {
    let caller = Caller::stranger(spec());
    let page = authorize(&caller, &[("redirect_uri", "https://evil.example/")]);
    assert!(page.status == 400 && page.text.contains("AADSTS50011"), "{}", page.text);
    assert_eq!(answered(&authorize(&caller, &[("code_challenge", "")]), "error").as_deref(), Some("invalid_request"));
    assert_eq!(answered(&authorize(&caller, &[("scope", "Mail.Read")]), "error").as_deref(), Some("invalid_grant"));
    let mut no = spec();
    no.sign_in.outcome = SignInOutcome::Decline;
    assert_eq!(answered(&authorize(&Caller::stranger(no), &[]), "error").as_deref(), Some("access_denied"));
}

const CERTIFICATE: &str = include_str!("../../../../fixtures/sim/tenant/client-certificate.pem");
const PRIVATE_KEY: &str = include_str!("../../../../fixtures/sim/tenant/client-key.pem");

/// An assertion, with some claims changed.
pub(super) fn assertion(caller: &Caller, header: &Value, changes: &Value) -> String {
    let now = jiff::Timestamp::now().as_second();
    let aud = format!("{}/{}/oauth2/v2.0/token", caller.tenant.login_url, caller.tenant.tenant_id);
    let id = &caller.tenant.client_id;
    let mut claims = json!({ "aud": aud, "iss": id, "sub": id, "jti": "1", "nbf": now, "iat": now, "exp": now + 300 });
    for (name, value) in changes.as_object().expect("an object") {
        claims[name] = value.clone();
    }
    let message =
        format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(claims.to_string()));
    let pair = RsaKeyPair::from_pkcs8(pem::parse(PRIVATE_KEY).expect("PEM").contents()).expect("a key");
    let mut signature = vec![0; pair.public().modulus_len()];
    pair.sign(&RSA_PSS_SHA256, &SystemRandom::new(), message.as_bytes(), &mut signature).expect("signed");
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// A tenant that knows the certificate, and the header of an assertion that is signed with it.
pub(super) fn registered() -> (Caller, Value) {
    let mut registered = spec();
    registered.app.certificates = vec![CERTIFICATE.to_owned()];
    let thumbprint = URL_SAFE_NO_PAD.encode(Sha256::digest(pem::parse(CERTIFICATE).expect("PEM").contents()));
    (Caller::stranger(registered), json!({ "alg": "PS256", "typ": "JWT", "x5t#S256": thumbprint }))
}

/// Signs in with an assertion.
pub(super) fn present(caller: &Caller, assertion: &str) -> Reply {
    let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    let scope = ("scope", "https://graph.microsoft.com/.default");
    let grant = ("grant_type", "client_credentials");
    caller.form("token", &[grant, scope, ("client_assertion_type", kind), ("client_assertion", assertion)])
}

#[test]
fn the_applications_certificate() {
    let (caller, header) = registered();
    let thumbprint = header["x5t#S256"].clone();
    let good = present(&caller, &assertion(&caller, &header, &json!({})));
    assert_eq!(good.status, 200, "{}", good.text);
    let code = |header: &Value, changes: Value| aadsts(&present(&caller, &assertion(&caller, header, &changes))).2;
    assert_eq!(code(&header, json!({ "aud": "https://login.microsoftonline.com/x/oauth2/v2.0/token" })), 700_023);
    assert_eq!(code(&header, json!({ "iss": "somebody" })), 700_021);
    assert_eq!(code(&header, json!({ "exp": 1 })), 700_024);
    assert_eq!(code(&header, json!({ "nbf": jiff::Timestamp::now().as_second() + 3600 })), 700_024);
    assert_eq!(code(&json!({ "alg": "PS256", "x5t#S256": "other" }), json!({})), 700_027);
    assert_eq!(
        code(&json!({ "alg": "RS256", "x5t#S256": thumbprint }), json!({})),
        700_027,
        "not what it was signed with"
    );
    assert_eq!(aadsts(&present(&caller, "a.b")).2, 50_027);
}

#[test]
fn graph_asks_for_a_token_and_tokens_end() {
    let mut caller = Caller::stranger(spec());
    let ask = |caller: &Caller| caller.get("/v1.0/users");
    assert_eq!((ask(&caller).status, ask(&caller).code().as_str()), (401, "InvalidAuthenticationToken"));
    let app = Caller::app(spec());
    caller.token.clone_from(&app.token);
    assert_eq!(ask(&caller).status, 401, "another tenant's");
    assert_eq!(ask(&app).status, 200);
    app.tenant.advance(3600);
    let late = ask(&app);
    assert_eq!(late.status, 401);
    assert!(late.header("www-authenticate").starts_with("Bearer"));
}
