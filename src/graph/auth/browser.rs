//! The authorization code grant with PKCE in the browser of this machine (RFC 8252, RFC 7636).
//!
//! Promise: we listen on 127.0.0.1 only, for one answer, for at most five minutes; an answer without our `state` is turned away
//! and changes nothing; what the browser sends is never shown back to it.

use std::io::{ErrorKind as IoKind, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::Duration;

use oauth2::{CsrfToken, PkceCodeChallenge};
use subtle::ConstantTimeEq as _;
use url::Url;

use super::SignInPrompt;
use super::endpoint::{Endpoint, Refusal, TokenAnswer, TokenFailure};
use crate::graph::error::{ErrorKind, Fixer, GraphError};
use crate::model::Secret;

const DOING: &str = "sign in with the browser";
/// How long a person may take.
const PATIENCE: Duration = Duration::from_secs(300);
/// How often we look for the browser.
const POLL: Duration = Duration::from_millis(50);
/// A request line with a code has about 2 kB.
const LARGEST_REQUEST: usize = 32 * 1024;

/// Opens the system's browser without waiting for it.
///
/// # Errors
/// What the system says.
pub fn open_in_browser(url: &str) -> Result<(), String> {
    open::that_detached(url).map_err(|error| error.to_string())
}

pub(super) fn sign_in(
    endpoint: &Endpoint,
    prompt: &dyn SignInPrompt,
    claims: Option<&str>,
    given_up: &dyn Fn() -> bool,
) -> Result<TokenAnswer, GraphError> {
    let local = |error: std::io::Error| {
        GraphError::new(ErrorKind::SignIn, Fixer::Operator, "No local port can be opened for the browser's answer")
            .because(format!("{error}."))
            .advise("Set `auth` under [tenant] to device-code.")
    };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(local)?;
    listener.set_nonblocking(true).map_err(local)?;
    let port = listener.local_addr().map_err(local)?.port();
    // Entra ignores the port of a registered http://localhost, and of that name only.
    let redirect = format!("http://localhost:{port}");

    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
    let verifier = Secret::new(verifier.into_secret());
    let state = CsrfToken::new_random();
    let mut page = endpoint.address("authorize");
    page.query_pairs_mut()
        .append_pair("client_id", endpoint.client_id())
        .append_pair("response_type", "code")
        .append_pair("redirect_uri", &redirect)
        .append_pair("response_mode", "query")
        .append_pair("scope", endpoint.scope())
        .append_pair("state", state.secret())
        .append_pair("code_challenge", challenge.as_str())
        .append_pair("code_challenge_method", "S256")
        .append_pair("prompt", "select_account");
    if let Some(claims) = claims {
        page.query_pairs_mut().append_pair("claims", claims);
    }
    prompt.visit(page.as_str()).map_err(|why| {
        GraphError::new(ErrorKind::SignIn, Fixer::Operator, "No browser could be opened")
            .because(format!("{}.", crate::graph::error::one_line(&why, 200)))
            .advise("Set `auth` under [tenant] to device-code, which needs no browser on this machine.")
    })?;

    let code = wait_for_code(endpoint, &listener, state.secret(), given_up)?;
    let fields = [
        ("grant_type", "authorization_code"),
        ("code", code.expose().as_str()),
        ("redirect_uri", redirect.as_str()),
        ("code_verifier", verifier.expose().as_str()),
        ("scope", endpoint.scope()),
    ];
    endpoint.token(&fields, DOING).map_err(TokenFailure::into_error)
}

fn wait_for_code(
    endpoint: &Endpoint,
    listener: &TcpListener,
    state: &str,
    given_up: &dyn Fn() -> bool,
) -> Result<Secret<String>, GraphError> {
    let start = endpoint.clock.monotonic();
    loop {
        if endpoint.clock.monotonic().saturating_sub(start) >= PATIENCE {
            return Err(GraphError::new(ErrorKind::SignIn, Fixer::Operator, "Nobody signed in within five minutes")
                .because("The browser never came back.")
                .advise("Run the same command again, or set `auth` under [tenant] to device-code."));
        }
        match listener.accept() {
            Ok((stream, _)) => match serve(stream, state) {
                Arrival::Code(code) => return Ok(code),
                Arrival::Refused(refusal) if refusal.error == "access_denied" && refusal.codes.is_empty() => {
                    return Err(GraphError::new(ErrorKind::SignIn, Fixer::Operator, "The sign-in was declined")
                        .because("Somebody chose Cancel or No on the sign-in page.")
                        .advise("Run the same command again and confirm the sign-in."));
                }
                Arrival::Refused(refusal) => return Err(refusal.into_error(DOING)),
                Arrival::Stranger => {}
            },
            Err(error)
                if matches!(error.kind(), IoKind::WouldBlock | IoKind::Interrupted | IoKind::ConnectionAborted) =>
            {
                endpoint
                    .cancel
                    .wait_unless(&*endpoint.clock, POLL, given_up)
                    .map_err(|_| GraphError::cancelled(DOING))?;
            }
            Err(error) => {
                return Err(GraphError::new(
                    ErrorKind::SignIn,
                    Fixer::Operator,
                    "The browser's answer can't be received",
                )
                .because(format!("{error}."))
                .advise("Set `auth` under [tenant] to device-code."));
            }
        }
    }
}

/// Who came.
enum Arrival {
    Code(Secret<String>),
    Refused(Refusal),
    /// A favicon request, a port scanner, a stale page.
    Stranger,
}

fn serve(mut stream: TcpStream, state: &str) -> Arrival {
    // A silent visitor must not hold up the browser for long.
    let limits = stream
        .set_nonblocking(false)
        .and_then(|()| stream.set_read_timeout(Some(Duration::from_secs(2))))
        .and_then(|()| stream.set_write_timeout(Some(Duration::from_secs(2))));
    let mut request = Vec::new();
    let mut buffer = [0u8; 2048];
    if limits.is_err() {
        return Arrival::Stranger;
    }
    while !request.windows(4).any(|end| end == b"\r\n\r\n") && request.len() < LARGEST_REQUEST {
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => break,
            Ok(length) => request.extend_from_slice(buffer.get(..length).unwrap_or_default()),
        }
    }
    let arrival = read_request(&request, state);
    let (status, text) = match &arrival {
        Arrival::Code(_) => ("200 OK", "You are signed in. Close this window and go back to the bench."),
        Arrival::Refused(_) => ("200 OK", "The sign-in did not succeed. The bench shows why."),
        Arrival::Stranger => ("404 Not Found", "Nothing here."),
    };
    let page = format!("<!doctype html><meta charset=utf-8><title>keybench</title><p>{text}</p>");
    // Whether the browser gets its page changes nothing for us.
    let _ = write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\nCache-Control: no-store\r\n\
         Referrer-Policy: no-referrer\r\nContent-Security-Policy: default-src 'none'\r\nConnection: close\r\n\r\n{page}",
        page.len()
    );
    arrival
}

/// Takes the request apart. Only `GET /?…` with our state counts.
fn read_request(request: &[u8], state: &str) -> Arrival {
    let text = String::from_utf8_lossy(request);
    let Some(line) = text.lines().next() else { return Arrival::Stranger };
    let mut words = line.split(' ');
    let (Some("GET"), Some(target)) = (words.next(), words.next()) else { return Arrival::Stranger };
    let Some(query) = target.strip_prefix("/?") else { return Arrival::Stranger };
    let Ok(url) = Url::parse(&format!("http://localhost/?{query}")) else { return Arrival::Stranger };
    let value = |wanted: &str| url.query_pairs().find(|(name, _)| name == wanted).map(|(_, value)| value.into_owned());
    if !value("state").is_some_and(|theirs| bool::from(theirs.as_bytes().ct_eq(state.as_bytes()))) {
        return Arrival::Stranger;
    }
    if let Some(error) = value("error") {
        let json = serde_json::json!({ "error": error, "error_description": value("error_description"), "suberror": value("error_subcode") });
        return Refusal::from_json(&json, 200).map_or(Arrival::Stranger, Arrival::Refused);
    }
    match value("code") {
        Some(code) if !code.is_empty() => Arrival::Code(Secret::new(code)),
        _ => Arrival::Stranger,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_our_state_counts() {
        let read = |line: &str| read_request(format!("{line} HTTP/1.1\r\n\r\n").as_bytes(), "S");
        assert!(matches!(read("GET /?code=abc%2B&state=S"), Arrival::Code(code) if code.expose() == "abc+"));
        assert!(matches!(read("GET /?code=abc&state=T"), Arrival::Stranger));
        assert!(matches!(read("GET /?code=abc"), Arrival::Stranger));
        assert!(matches!(read("GET /?error=access_denied&state=T"), Arrival::Stranger));
        assert!(matches!(read("GET /favicon.ico"), Arrival::Stranger));
        assert!(matches!(read("POST /?code=abc&state=S"), Arrival::Stranger));
        let refused = read("GET /?error=invalid_request&error_description=AADSTS50011%3A+no&state=S");
        assert!(matches!(refused, Arrival::Refused(refusal) if refusal.codes == [50011]));
    }

    proptest! {
        #[test]
        fn no_request_panics(request in proptest::collection::vec(any::<u8>(), 0..200), query in "\\PC{0,60}") {
            let _ = read_request(&request, "S");
            let _ = read_request(format!("GET /?state=S&{query} HTTP/1.1").as_bytes(), "S");
        }
    }
}
