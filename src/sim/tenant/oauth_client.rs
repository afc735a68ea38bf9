//! The application proves itself: a secret, or a signed assertion (Entra, "Certificate credentials").

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256, UnparsedPublicKey};
use serde_json::Value;

use super::errors::SignInError;
use super::oauth::Form;
use super::signature;
use super::store::Store;

/// How far apart the clocks may be, in seconds.
const SKEW: i64 = 300;
/// The longest an assertion may live, in seconds.
const LONGEST: i64 = 24 * 3600;

/// The application is in this tenant.
pub(super) fn check_id(store: &Store, client_id: &str) -> Result<(), SignInError> {
    if client_id.eq_ignore_ascii_case(&store.client_id) {
        return Ok(());
    }
    let text = format!(
        "Application with identifier '{client_id}' was not found in the directory '{}'. This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant.",
        store.tenant_id
    );
    Err(SignInError::new("unauthorized_client", 700_016, text))
}

/// A grant for a person, by a public client: no secret, and the switch is on.
pub(super) fn check_public(store: &Store, form: &Form) -> Result<(), SignInError> {
    let proves = form.get("client_secret").is_some() || form.get("client_assertion").is_some();
    match (store.spec.app.public_client, proves) {
        (true, false) => Ok(()),
        (true, true) => {
            let text = "Client is public so neither 'client_assertion' nor 'client_secret' should be presented.";
            Err(SignInError::new("invalid_client", 700_025, text))
        }
        (false, _) => {
            let text = "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.";
            Err(SignInError::new("invalid_client", 7_000_218, text))
        }
    }
}

/// The application by itself: its secret or its certificate.
pub(super) fn authenticate(store: &Store, tenant: &str, form: &Form) -> Result<(), SignInError> {
    if let Some(assertion) = form.get("client_assertion") {
        if form.get("client_assertion_type") != Some("urn:ietf:params:oauth:client-assertion-type:jwt-bearer") {
            return Err(SignInError::new(
                "invalid_request",
                900_144,
                "The request body must contain the following parameter: 'client_assertion_type'.",
            ));
        }
        return check_assertion(store, tenant, assertion);
    }
    let Some(secret) = form.get("client_secret") else {
        let text =
            "'client_assertion', 'client_secret' or 'request' is required for the 'client_credentials' grant type.";
        return Err(SignInError::new("invalid_request", 7_000_216, text));
    };
    if secret != store.client_secret {
        let text = format!(
            "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID, for a secret added to app '{}'.",
            store.client_id
        );
        return Err(SignInError::new("invalid_client", 7_000_215, text));
    }
    if store.spec.app.secret_expired {
        let text = format!("The provided client secret keys for app '{}' are expired.", store.client_id);
        return Err(SignInError::new("invalid_client", 7_000_222, text));
    }
    Ok(())
}

fn check_assertion(store: &Store, tenant: &str, assertion: &str) -> Result<(), SignInError> {
    let invalid = |text: &str| {
        SignInError::new(
            "invalid_client",
            700_027,
            format!(
                "The certificate with identifier used to sign the client assertion is not registered on application, or the assertion is wrong: {text}"
            ),
        )
    };
    let mut parts = assertion.split('.');
    let (Some(header), Some(claims), Some(signed), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(SignInError::new("invalid_client", 50_027, "JWT token is invalid or malformed."));
    };
    let json =
        |part: &str| URL_SAFE_NO_PAD.decode(part).ok().and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
    let (Some(head), Some(body), Ok(signature)) = (json(header), json(claims), URL_SAFE_NO_PAD.decode(signed)) else {
        return Err(SignInError::new("invalid_client", 50_027, "JWT token is invalid or malformed."));
    };
    let named = |member: &str| head.get(member).and_then(Value::as_str);
    let registered = certificates(store).into_iter().find(|der| {
        named("x5t#S256").is_some_and(|x5t| x5t == URL_SAFE_NO_PAD.encode(digest(&SHA256, der)))
            || named("x5t").is_some_and(|x5t| x5t == URL_SAFE_NO_PAD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, der)))
    });
    let der = registered.ok_or_else(|| invalid("no registered certificate has this thumbprint."))?;
    let certificate = signature::parse(&der).map_err(|why| invalid(&why))?;
    let key = UnparsedPublicKey::new(
        match named("alg") {
            Some("PS256") => &RSA_PSS_2048_8192_SHA256,
            Some("RS256") => &RSA_PKCS1_2048_8192_SHA256,
            _ => return Err(invalid("alg is neither PS256 nor RS256.")),
        },
        &certificate.public_key().subject_public_key.data,
    );
    // infallible: `split` gave both parts, so they stand at the front with a dot between them
    let message = assertion.get(..header.len() + 1 + claims.len()).unwrap_or_default();
    key.verify(message.as_bytes(), &signature).map_err(|_| invalid("the signature does not verify."))?;

    let now = store.now().as_second();
    if certificate.validity().not_after.timestamp() < now || certificate.validity().not_before.timestamp() > now {
        return Err(invalid("the certificate is not valid now."));
    }
    check_claims(store, tenant, &body, now)
}

fn check_claims(store: &Store, tenant: &str, body: &Value, now: i64) -> Result<(), SignInError> {
    let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default();
    let time = |name: &str| body.get(name).and_then(Value::as_i64);
    let here = format!("{}/{tenant}/oauth2/v2.0/token", store.base);
    if text("aud") != here {
        let message = format!(
            "Client assertion audience claim does not match Realm issuer: it is '{}', but should be '{here}'.",
            text("aud")
        );
        return Err(SignInError::new("invalid_client", 700_023, message));
    }
    if text("iss") != store.client_id || text("sub") != store.client_id {
        return Err(SignInError::new(
            "invalid_client",
            700_021,
            "Client assertion application identifier doesn't match 'client_id' parameter.",
        ));
    }
    if text("jti").is_empty() {
        return Err(SignInError::new("invalid_client", 50_027, "JWT token is invalid or malformed: jti is missing."));
    }
    let in_time = match (time("exp"), time("nbf").or_else(|| time("iat"))) {
        (Some(exp), Some(nbf)) => exp > now - SKEW && nbf <= now + SKEW && exp > nbf && exp - nbf <= LONGEST,
        _ => false,
    };
    if in_time {
        Ok(())
    } else {
        Err(SignInError::new(
            "invalid_client",
            700_024,
            format!("Client assertion is not within its valid time range. Current time: {now}."),
        ))
    }
}

fn certificates(store: &Store) -> Vec<Vec<u8>> {
    store.spec.app.certificates.iter().filter_map(|text| pem::parse(text).ok()).map(pem::Pem::into_contents).collect()
}
