//! Sign-in: device code, authorization code with PKCE, refresh, and the application by itself.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::access::{Caller, role_template};
use super::errors::SignInError;
use super::http::{Answer, Call};
use super::oauth_client;
use super::spec::SignInOutcome;
use super::store::{Store, seconds};

/// What was begun and not yet ended.
#[derive(Debug, Default)]
pub(super) struct Pending {
    device: HashMap<String, Device>,
    codes: HashMap<String, Code>,
    refresh: HashMap<String, Vec<String>>,
}

#[derive(Debug)]
struct Device {
    scopes: Vec<String>,
    polls_left: u32,
    expires: Timestamp,
    used: bool,
}

#[derive(Debug)]
struct Code {
    scopes: Vec<String>,
    redirect_uri: String,
    challenge: String,
    expires: Timestamp,
    used: bool,
}

/// Lifetime of a device code.
const DEVICE_SECONDS: i64 = 900;
/// Lifetime of an authorization code.
const CODE_SECONDS: i64 = 600;

/// A form or a query, each name once.
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    fn need(&self, name: &str) -> Result<&str, SignInError> {
        self.get(name).ok_or_else(|| {
            let text = format!("The request body must contain the following parameter: '{name}'.");
            SignInError::new("invalid_request", 900_144, text)
        })
    }
}

/// `POST …/token`
pub(super) fn token(store: &mut Store, tenant: &str, call: &Call) -> Result<Answer, SignInError> {
    let form = Form(call.form());
    let grant = form.need("grant_type")?.to_owned();
    check_tenant(store, tenant, grant == "client_credentials")?;
    oauth_client::check_id(store, form.need("client_id")?)?;
    if grant == "client_credentials" {
        oauth_client::authenticate(store, tenant, &form)?;
        return Ok(Answer::json(200, application_token(store, &form)?));
    }
    oauth_client::check_public(store, &form)?;
    match grant.as_str() {
        "urn:ietf:params:oauth:grant-type:device_code" => poll(store, &form),
        "authorization_code" => redeem(store, &form),
        "refresh_token" => refresh(store, &form),
        _ => {
            let text = format!("The specified grant_type '{grant}' is not supported.");
            Err(SignInError::new("unsupported_grant_type", 70_003, text))
        }
    }
    .map(|body| Answer::json(200, body))
}

fn check_tenant(store: &Store, tenant: &str, app_only: bool) -> Result<(), SignInError> {
    let ours = tenant.eq_ignore_ascii_case(&store.tenant_id) || tenant.eq_ignore_ascii_case(&store.spec.domain);
    if ours || !app_only && ["organizations", "common"].contains(&tenant) {
        return Ok(());
    }
    if ["organizations", "common"].contains(&tenant) {
        let text =
            "No tenant-identifying information found in either the request or implied by any provided credentials.";
        return Err(SignInError::new("invalid_request", 50_059, text));
    }
    let text = format!(
        "Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud."
    );
    Err(SignInError::new("invalid_request", 90_002, text))
}

/// The delegated scopes of a request, without the resource in front.
fn scopes(store: &Store, requested: &str) -> Result<Vec<String>, SignInError> {
    let mut granted = Vec::new();
    for scope in requested.split_whitespace() {
        let short = short_scope(store, scope)?;
        match short {
            "openid" | "profile" | "offline_access" | "email" => granted.push(short.to_owned()),
            ".default" => granted.extend(store.spec.app.delegated.iter().cloned()),
            _ => match store.spec.app.delegated.iter().find(|known| known.eq_ignore_ascii_case(short)) {
                Some(known) => granted.push(known.clone()),
                None => {
                    let text = format!(
                        "The user or administrator has not consented to use the application with ID '{}'. Scope: {short}.",
                        store.client_id
                    );
                    return Err(SignInError::new("invalid_grant", 65_001, text));
                }
            },
        }
    }
    if granted.is_empty() {
        return Err(SignInError::new(
            "invalid_scope",
            70_011,
            "The provided value for the input parameter 'scope' is not valid.",
        ));
    }
    Ok(granted)
}

fn short_scope<'a>(store: &Store, scope: &'a str) -> Result<&'a str, SignInError> {
    let Some((resource, short)) = scope.rsplit_once('/') else { return Ok(scope) };
    if resource == "https://graph.microsoft.com" || resource == store.base {
        return Ok(short);
    }
    let text = format!("The resource principal named {resource} was not found in the tenant.");
    Err(SignInError::new("invalid_resource", 500_011, text))
}

fn application_token(store: &mut Store, form: &Form) -> Result<Value, SignInError> {
    let scope = form.need("scope")?;
    if short_scope(store, scope)? != ".default" {
        let text = format!(
            "The provided value for scope {scope} is not valid. Client credential flows must have a scope value with /.default suffixed to the resource identifier (application ID URI)."
        );
        return Err(SignInError::new("invalid_scope", 1_002_012, text));
    }
    let permissions = store.spec.app.permissions.clone();
    let token = issue(store, None, permissions);
    let lifetime = store.spec.quirks.token_seconds;
    Ok(json!({ "token_type": "Bearer", "expires_in": lifetime, "ext_expires_in": lifetime, "access_token": token }))
}

/// A new access token: looks like a JWT, is known only by being looked up.
fn issue(store: &mut Store, user: Option<String>, permissions: Vec<String>) -> String {
    let now = store.now();
    let expires =
        now.saturating_add(SignedDuration::from_secs(i64::from(store.spec.quirks.token_seconds))).unwrap_or(now);
    let mut claims = json!({
        "aud": "https://graph.microsoft.com",
        "iss": format!("https://sts.windows.net/{}/", store.tenant_id),
        "iat": now.as_second(),
        "nbf": now.as_second(),
        "exp": expires.as_second(),
        "appid": store.client_id,
        "tid": store.tenant_id,
        "ver": "1.0",
    });
    match user.as_deref().and_then(|user| store.person(user)) {
        Some(person) => {
            let wids: Vec<&str> = person.roles.iter().filter_map(|role| role_template(role)).collect();
            claims["idtyp"] = "user".into();
            claims["oid"] = person.id.clone().into();
            claims["upn"] = person.upn.clone().into();
            claims["name"] = person.display_name.clone().into();
            claims["wids"] = wids.into();
            claims["scp"] = permissions.join(" ").into();
        }
        None => {
            claims["idtyp"] = "app".into();
            claims["oid"] = store.seed.guid("service principal").into();
            claims["roles"] = permissions.clone().into();
        }
    }
    let token = jwt_like(store, &claims);
    store.tokens.insert(token.clone(), Caller { user, permissions, expires, revoked: false });
    token
}

fn jwt_like(store: &mut Store, claims: &Value) -> String {
    let header = json!({ "typ": "JWT", "alg": "RS256", "kid": "simulated" });
    let signature = store.fresh_text("token signature", 256);
    format!("{}.{}.{signature}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(claims.to_string()))
}

/// The answer to a person's sign-in.
fn personal_token(store: &mut Store, scopes: &[String]) -> Result<Value, SignInError> {
    let user = store.admin.clone();
    let account = store.person(&user).map(|person| (person.enabled, person.upn.clone(), person.display_name.clone()));
    let Some((true, upn, name)) = account else {
        return Err(SignInError::new("invalid_grant", 50_057, "The user account is disabled."));
    };
    let oidc = ["openid", "profile", "offline_access", "email"];
    let permissions: Vec<String> = scopes.iter().filter(|scope| !oidc.contains(&scope.as_str())).cloned().collect();
    let scope =
        permissions.iter().map(|scope| format!("https://graph.microsoft.com/{scope}")).collect::<Vec<_>>().join(" ");
    let token = issue(store, Some(user.clone()), permissions);
    let lifetime = store.spec.quirks.token_seconds;
    let mut body = json!({
        "token_type": "Bearer",
        "scope": scope,
        "expires_in": lifetime,
        "ext_expires_in": lifetime,
        "access_token": token,
    });
    if scopes.iter().any(|scope| scope == "offline_access") {
        let refresh = format!("0.{}", store.fresh_text("refresh token", 120));
        store.pending.refresh.insert(refresh.clone(), scopes.to_vec());
        body["refresh_token"] = refresh.into();
    }
    if scopes.iter().any(|scope| scope == "openid") {
        let now = store.now().as_second();
        let claims = json!({
            "aud": store.client_id, "iss": format!("{}/{}/v2.0", store.base, store.tenant_id), "iat": now, "nbf": now,
            "exp": now + i64::from(lifetime), "oid": user, "tid": store.tenant_id, "preferred_username": upn, "name": name,
            "ver": "2.0",
        });
        body["id_token"] = jwt_like(store, &claims).into();
    }
    Ok(body)
}

/// `POST …/devicecode`
pub(super) fn device_code(store: &mut Store, tenant: &str, call: &Call) -> Result<Answer, SignInError> {
    let form = Form(call.form());
    check_tenant(store, tenant, false)?;
    oauth_client::check_id(store, form.need("client_id")?)?;
    let scopes = scopes(store, form.need("scope")?)?;
    let expires = store.now().saturating_add(SignedDuration::from_secs(DEVICE_SECONDS)).unwrap_or(Timestamp::MAX);
    let device_code = store.fresh_text("device code", 90);
    let user_code: String =
        store.fresh_guid("user code").to_uppercase().chars().filter(char::is_ascii_alphanumeric).take(9).collect();
    let polls_left = store.spec.sign_in.polls;
    store.pending.device.insert(device_code.clone(), Device { scopes, polls_left, expires, used: false });
    let uri = format!("{}/common/oauth2/deviceauth", store.base);
    Ok(Answer::json(
        200,
        json!({
            "user_code": user_code,
            "device_code": device_code,
            "verification_uri": uri,
            "expires_in": DEVICE_SECONDS,
            "interval": store.spec.sign_in.interval,
            "message": format!("To sign in, use a web browser to open the page {uri} and enter the code {user_code} to authenticate."),
        }),
    ))
}

fn poll(store: &mut Store, form: &Form) -> Result<Value, SignInError> {
    let now = store.now();
    let outcome = store.spec.sign_in.outcome;
    let bad = || SignInError::new("bad_verification_code", 70_018, "Invalid verification code.");
    let device =
        store.pending.device.get_mut(form.need("device_code")?).filter(|device| !device.used).ok_or_else(bad)?;
    if now > device.expires {
        return Err(SignInError::new(
            "expired_token",
            70_020,
            "The provided value for the input parameter 'device_code' is not valid. This device code has expired.",
        ));
    }
    if device.polls_left > 0 {
        device.polls_left -= 1;
        let text = "OAuth 2.0 device flow error. Authorization is pending. Continue polling.";
        return Err(SignInError::new("authorization_pending", 70_016, text));
    }
    match outcome {
        SignInOutcome::Approve => {
            device.used = true;
            let scopes = device.scopes.clone();
            personal_token(store, &scopes)
        }
        SignInOutcome::Decline => {
            device.used = true;
            Err(SignInError::new("authorization_declined", 70_017, "The end user denied the authorization request."))
        }
        SignInOutcome::Expire => {
            let text =
                "The provided value for the input parameter 'device_code' is not valid. This device code has expired.";
            Err(SignInError::new("expired_token", 70_020, text))
        }
        SignInOutcome::Blocked => {
            let text = "Access has been blocked by Conditional Access policies. The access policy does not allow token issuance.";
            Err(SignInError::new("invalid_grant", 53_003, text))
        }
    }
}

/// `GET …/authorize`: the browser. What the person would see as a page is a page here too.
pub(super) fn authorize(store: &mut Store, tenant: &str, call: &Call) -> Result<Answer, SignInError> {
    let form = Form(call.query.clone());
    check_tenant(store, tenant, false)?;
    oauth_client::check_id(store, form.need("client_id")?)?;
    let redirect_uri = form.need("redirect_uri")?.to_owned();
    if !store.spec.app.redirect_uris.iter().any(|known| same_redirect(known, &redirect_uri)) {
        let text = format!(
            "The redirect URI '{redirect_uri}' specified in the request does not match the redirect URIs configured for the application '{}'.",
            store.client_id
        );
        return Err(SignInError::new("invalid_request", 50_011, text));
    }
    let mut target = url::Url::parse(&redirect_uri)
        .map_err(|_| SignInError::new("invalid_request", 90_013, "Invalid input received from the user."))?;
    let state = form.get("state").map(str::to_owned);
    let answer: Result<Vec<(&str, String)>, SignInError> = (|| {
        if form.get("response_type") != Some("code") {
            return Err(SignInError::new(
                "unsupported_response_type",
                700_054,
                "response_type is not enabled for the application.",
            ));
        }
        let challenge = form.get("code_challenge").filter(|_| form.get("code_challenge_method") == Some("S256"));
        let Some(challenge) = challenge else {
            let text = "Proof Key for Code Exchange is required for cross-origin authorization code redemption.";
            return Err(SignInError::new("invalid_request", 9_002_325, text));
        };
        let scopes = scopes(store, form.need("scope")?)?;
        match store.spec.sign_in.outcome {
            SignInOutcome::Approve => {}
            SignInOutcome::Decline | SignInOutcome::Expire => {
                return Err(SignInError::new("access_denied", 65_004, "User declined to consent to access the app."));
            }
            SignInOutcome::Blocked => {
                let text = "Access has been blocked by Conditional Access policies. The access policy does not allow token issuance.";
                return Err(SignInError::new("interaction_required", 53_003, text));
            }
        }
        let expires = store.now().saturating_add(SignedDuration::from_secs(CODE_SECONDS)).unwrap_or(Timestamp::MAX);
        let code = format!("1.{}", store.fresh_text("authorization code", 150));
        let kept =
            Code { scopes, redirect_uri: redirect_uri.clone(), challenge: challenge.to_owned(), expires, used: false };
        store.pending.codes.insert(code.clone(), kept);
        Ok(vec![("code", code)])
    })();
    let pairs = answer.unwrap_or_else(|error| {
        let date = seconds(store.now());
        let trace = store.fresh_guid("trace");
        vec![("error", error.error.to_owned()), ("error_description", error.description(&trace, &trace, &date))]
    });
    for (name, value) in
        pairs.iter().map(|(name, value)| (*name, value.as_str())).chain(state.as_deref().map(|s| ("state", s)))
    {
        target.query_pairs_mut().append_pair(name, value);
    }
    Ok(Answer::empty(302).with_header("Location", target))
}

/// On `http://localhost` the port does not count (RFC 8252 §7.3); everything else does.
fn same_redirect(known: &str, given: &str) -> bool {
    let (Ok(mut known_url), Ok(mut given_url)) = (url::Url::parse(known), url::Url::parse(given)) else { return false };
    if known_url.scheme() == "http" && known_url.host_str() == Some("localhost") {
        // Can't fail: http URLs with a host may have any port.
        let _ = known_url.set_port(None);
        let _ = given_url.set_port(None);
    }
    known_url == given_url
}

fn redeem(store: &mut Store, form: &Form) -> Result<Value, SignInError> {
    let now = store.now();
    let verifier = form.get("code_verifier").map(|verifier| URL_SAFE_NO_PAD.encode(Sha256::digest(verifier)));
    let redirect_uri = form.need("redirect_uri")?;
    let unknown = || SignInError::new("invalid_grant", 9_002_313, "Invalid request. Request is malformed or invalid.");
    let code = store.pending.codes.get_mut(form.need("code")?).ok_or_else(unknown)?;
    if code.used {
        return Err(SignInError::new(
            "invalid_grant",
            54_005,
            "OAuth2 Authorization code was already redeemed, please retry with a new valid code or use an existing refresh token.",
        ));
    }
    if now > code.expires {
        return Err(SignInError::new(
            "invalid_grant",
            70_008,
            "The provided authorization code or refresh token has expired due to inactivity.",
        ));
    }
    if redirect_uri != code.redirect_uri {
        return Err(SignInError::new(
            "invalid_grant",
            50_011,
            "The redirect URI differs from that of the authorization request.",
        ));
    }
    if verifier.as_deref() != Some(code.challenge.as_str()) {
        return Err(SignInError::new(
            "invalid_grant",
            501_481,
            "The Code_Verifier does not match the code_challenge supplied in the authorization request.",
        ));
    }
    code.used = true;
    let scopes = code.scopes.clone();
    personal_token(store, &scopes)
}

fn refresh(store: &mut Store, form: &Form) -> Result<Value, SignInError> {
    let token = form.need("refresh_token")?;
    let known = store.pending.refresh.get(token).cloned().ok_or_else(|| {
        SignInError::new("invalid_grant", 700_082, "The refresh token has expired due to inactivity.")
    })?;
    // A refresh token is bound to person and application, not to permissions: others that have consent may be asked for.
    let wanted = form.get("scope").map(|scope| scopes(store, scope)).transpose()?.unwrap_or(known);
    // Each refresh token gives way to its successor.
    store.pending.refresh.remove(token);
    personal_token(store, &wanted)
}

/// Every token is dead, and so is every refresh token.
pub(super) fn revoke_all(store: &mut Store) {
    for caller in store.tokens.values_mut() {
        caller.revoked = true;
    }
    store.pending.refresh.clear();
}

#[cfg(test)]
mod tests {
    use super::same_redirect;

    #[test]
    fn only_localhosts_port_is_ignored() {
        assert!(same_redirect("http://localhost", "http://localhost:52143"));
        assert!(same_redirect("http://localhost", "http://localhost:52143/"));
        assert!(!same_redirect("http://localhost", "http://localhost:52143/other"));
        assert!(!same_redirect("http://localhost", "http://127.0.0.1:52143"));
        assert!(!same_redirect("https://a.example/x", "https://a.example:8443/x"));
    }
}
