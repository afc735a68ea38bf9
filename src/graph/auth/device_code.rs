//! The device authorization grant (RFC 8628): a code that a person types in a browser, on any device.

use std::time::Duration;

use super::SignInPrompt;
use super::endpoint::{Endpoint, TokenAnswer, TokenFailure};
use crate::graph::error::{ErrorKind, Fixer, GraphError, one_line};
use crate::graph::retry::Repeat;

/// What to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DevicePrompt {
    /// The code to type.
    pub user_code: String,
    /// Where to type it.
    pub verification_uri: String,
    /// The service's own sentence with both, or ours.
    pub message: String,
    /// The code ends after this time.
    pub expires_in: Duration,
}

const DOING: &str = "sign in with a device code";

pub(super) fn sign_in(
    endpoint: &Endpoint,
    prompt: &dyn SignInPrompt,
    claims: Option<&str>,
    given_up: &dyn Fn() -> bool,
) -> Result<TokenAnswer, GraphError> {
    let mut fields = vec![("scope", endpoint.scope())];
    fields.extend(claims.map(|claims| ("claims", claims)));
    let json = endpoint
        .post(&endpoint.address("devicecode"), &fields, Repeat::Read, DOING)
        .map_err(TokenFailure::into_error)?;
    let text = |name: &str| json[name].as_str().map(|text| one_line(text, 500)).filter(|text| !text.is_empty());
    let missing = || {
        GraphError::new(ErrorKind::Malformed, Fixer::Microsoft, "The sign-in service gave no device code")
            .because("A member of its answer is missing.")
            .advise("Run the same command again, or set `auth` under [tenant] to browser.")
    };
    let device_code = crate::model::Secret::new(json["device_code"].as_str().ok_or_else(missing)?.to_owned());
    let user_code = text("user_code").ok_or_else(missing)?;
    let verification_uri = text("verification_uri").or_else(|| text("verification_url")).ok_or_else(missing)?;
    let expires_in = Duration::from_secs(json["expires_in"].as_u64().unwrap_or(900).clamp(1, 3600));
    // RFC 8628 §3.2: five seconds if none is given.
    let mut interval = Duration::from_secs(json["interval"].as_u64().unwrap_or(5).clamp(1, 60));
    let message = text("message").map_or_else(
        || format!("To sign in, open {verification_uri} in a browser and enter the code {user_code}."),
        |message| format!("{message}."),
    );
    let start = endpoint.clock.monotonic();
    prompt.device_code(&DevicePrompt { user_code, verification_uri, message, expires_in });

    loop {
        endpoint.cancel.wait_unless(&*endpoint.clock, interval, given_up).map_err(|_| GraphError::cancelled(DOING))?;
        if endpoint.clock.monotonic().saturating_sub(start) >= expires_in {
            return Err(expired());
        }
        let fields = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
            ("device_code", device_code.expose().as_str()),
        ];
        match endpoint.token(&fields, DOING) {
            Ok(answer) => return Ok(answer),
            Err(TokenFailure::Failed(error)) => return Err(error),
            Err(TokenFailure::Refused(refusal)) => match refusal.error.as_str() {
                "authorization_pending" => {}
                // RFC 8628 §3.5: five seconds more, from now on.
                "slow_down" => interval = interval.saturating_add(Duration::from_secs(5)),
                "expired_token" | "code_expired" => return Err(expired()),
                "authorization_declined" | "access_denied" => {
                    return Err(GraphError::new(ErrorKind::SignIn, Fixer::Operator, "The sign-in was declined")
                        .because("Somebody chose Cancel or No on the sign-in page.")
                        .advise("Run the same command again and confirm the sign-in."));
                }
                _ => return Err(refusal.into_error(DOING)),
            },
        }
    }
}

fn expired() -> GraphError {
    GraphError::new(ErrorKind::SignIn, Fixer::Operator, "The device code has expired")
        .because("Nobody finished the sign-in in time.")
        .advise("Run the same command again for a new code.")
}
