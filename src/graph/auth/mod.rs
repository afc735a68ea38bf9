//! Signing in: device code, browser with PKCE, client certificate, client secret.
//!
//! Promise: tokens live in memory, wiped when dropped, and never stand in an error or a log; one of them, the refresh token,
//! is handed to a [`Keeper`] when somebody asked for that ([`SignIn::keep`]), and to nothing else. [`TokenSource::bearer`] never
//! asks a person for anything, so that no sign-in page appears while keys are armed; [`TokenSource::sign_in`] does.
//! The `oauth2` crate makes the PKCE pair and the state; the token endpoint is asked by our own code, because the crate's
//! error type drops `error_codes`, `suberror` and `claims`, which the remedies rest on, and its device-code loop can't be interrupted.

mod aadsts;
mod account;
pub mod browser;
pub mod certificate;
pub mod device_code;
mod endpoint;
mod kept;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::model::Secret;
use crate::world::Clock;

use super::cancel::Cancel;
use super::cloud::Cloud;
use super::error::{ErrorKind, Fixer, GraphError};
use super::http::Timeouts;
use super::retry::Budget;

pub use account::Account;
pub use certificate::ClientCertificate;
pub use device_code::DevicePrompt;
use endpoint::{Endpoint, TokenAnswer, TokenFailure};
pub use kept::Keeper;

/// The permissions a bench needs of the app registration, delegated or of the application; see `docs/SETUP.md`.
pub const PERMISSIONS: [&str; 5] = [
    "UserAuthMethod-Passkey.ReadWrite.All",
    "User.Read.All",
    "GroupMember.Read.All",
    "RoleManagement.Read.Directory",
    "Policy.Read.AuthenticationMethod",
];

/// What an `AADSTS` number of the sign-in means, and what to do, as whole sentences; `None` for one that isn't known here.
pub fn sign_in_problem(code: u32) -> Option<(&'static str, &'static str)> {
    aadsts::meaning(code).map(|meaning| (meaning.cause, meaning.next))
}

/// A token goes out of use this long before it ends, so that it doesn't end on the way.
const MARGIN: Duration = Duration::from_secs(120);

/// A token in use.
#[derive(Debug)]
pub struct AccessToken {
    /// For the `Authorization` header.
    pub secret: Secret<String>,
    /// When it stops being used, by the monotonic clock.
    pub until: Duration,
    /// Whose it is.
    pub account: Account,
}

/// Why a token is asked for.
#[derive(Debug, Clone)]
pub enum TokenNeed {
    /// Any that is still good.
    Any,
    /// Another one than this, which Graph has just refused.
    Fresh {
        /// The refused one.
        refused: Arc<AccessToken>,
    },
}

/// Where tokens come from.
pub trait TokenSource: Send + Sync {
    /// A token, from memory or renewed. Never asks a person.
    ///
    /// # Errors
    /// [`ErrorKind::SignIn`] or [`ErrorKind::Unauthorized`] when a person has to sign in (again).
    fn bearer(&self, need: &TokenNeed) -> Result<Arc<AccessToken>, GraphError>;

    /// Signs in, asking a person where the flow needs one. Returns at once if the present token will do.
    ///
    /// # Errors
    /// [`ErrorKind::SignIn`] with the reason.
    fn sign_in(&self) -> Result<Account, GraphError> {
        self.sign_in_unless(&|| false)
    }

    /// The same; the wait for a person ends as well when `given_up` is true, which is asked over and over.
    ///
    /// # Errors
    /// As [`Self::sign_in`]; [`ErrorKind::Cancelled`] when it was given up.
    fn sign_in_unless(&self, given_up: &dyn Fn() -> bool) -> Result<Account, GraphError>;

    /// Graph refused this token although it was new: nothing that led to it is of use any longer.
    fn rejected(&self, token: &Arc<AccessToken>);

    /// Graph asked for a stronger sign-in: the next [`Self::sign_in`] passes these claims on.
    fn challenged(&self, claims: String);
}

/// How a person is shown where to sign in.
pub trait SignInPrompt: Send + Sync {
    /// Whether anybody would see it. Where nobody does, a flow that takes a person is refused at once, instead of waiting for somebody who
    /// does not know.
    fn is_seen(&self) -> bool {
        true
    }

    /// Show the code and the address.
    fn device_code(&self, prompt: &DevicePrompt);

    /// Take the person to this page: shows it, and opens the browser where there is one. The default only opens the browser.
    ///
    /// # Errors
    /// What the system says when no browser could be started; the sign-in goes on waiting if this is `Ok`.
    fn visit(&self, url: &str) -> Result<(), String> {
        browser::open_in_browser(url)
    }
}

/// How to sign in.
pub enum Flow {
    /// A code typed on another device or in another window.
    DeviceCode,
    /// The browser on this machine.
    Browser,
    /// As the application, with a certificate.
    Certificate(Box<ClientCertificate>),
    /// As the application, with a secret.
    Secret(Secret<String>),
}

impl Flow {
    /// Whether a person takes part.
    pub fn is_interactive(&self) -> bool {
        matches!(self, Self::DeviceCode | Self::Browser)
    }
}

impl std::fmt::Debug for Flow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::DeviceCode => "DeviceCode",
            Self::Browser => "Browser",
            Self::Certificate(_) => "Certificate(…)",
            Self::Secret(_) => "Secret(…)",
        })
    }
}

/// What signing in must know.
#[derive(Debug)]
pub struct SignInSettings {
    /// Checked hosts.
    pub cloud: Cloud,
    /// Tenant: a GUID or a verified domain.
    pub tenant: String,
    /// The application's (client) id.
    pub client_id: String,
    /// How.
    pub flow: Flow,
    /// For one attempt.
    pub timeouts: Timeouts,
    /// For all attempts of one call.
    pub budget: Budget,
    /// Ends every wait.
    pub cancel: Cancel,
}

/// The token source that signs in to Entra.
pub struct SignIn {
    endpoint: Endpoint,
    flow: Flow,
    clock: Arc<dyn Clock>,
    prompt: Arc<dyn SignInPrompt>,
    /// `{resource}/.default`: whatever the app registration lists.
    registered: String,
    keeper: Option<Arc<dyn Keeper>>,
    // One lock for everything, so that one thread renews while the others wait for the result.
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    token: Option<Arc<AccessToken>>,
    refresh: Option<Secret<String>>,
    claims: Option<String>,
    /// The keeper was asked.
    looked: bool,
    /// The refresh token is the keeper's: its successors go there too.
    kept: bool,
}

impl SignIn {
    /// Checks tenant and client id; says nothing to anybody yet.
    ///
    /// # Errors
    /// [`ErrorKind::Settings`] for a tenant or client id that can't be one.
    pub fn new(
        settings: SignInSettings,
        clock: Arc<dyn Clock>,
        prompt: Arc<dyn SignInPrompt>,
    ) -> Result<Self, GraphError> {
        let registered = format!("{}/.default", settings.cloud.resource());
        let mut scope = registered.clone();
        if settings.flow.is_interactive() {
            // Brings the refresh token.
            scope.push_str(" offline_access");
        }
        let SignInSettings { cloud, tenant, client_id, flow, timeouts, budget, cancel } = settings;
        let endpoint = Endpoint::new(&cloud, &tenant, &client_id, scope, timeouts, budget, cancel, Arc::clone(&clock))?;
        Ok(Self { endpoint, flow, clock, prompt, registered, keeper: None, held: Mutex::default() })
    }

    /// Asks for these permissions of Graph and no others, by their names, as far as a person signs in: an application gets what
    /// it was granted, and can't ask for less (Microsoft identity platform, "The .default scope").
    #[must_use]
    pub fn asking_for<S: AsRef<str>>(mut self, permissions: &[S]) -> Self {
        if self.flow.is_interactive() && !permissions.is_empty() {
            let resource = self.registered.trim_end_matches(".default");
            let named: Vec<String> = permissions.iter().map(|name| format!("{resource}{}", name.as_ref())).collect();
            self.endpoint.ask_for(format!("{} offline_access", named.join(" ")));
        }
        self
    }

    /// Uses a sign-in that is kept there, and keeps its successors there.
    #[must_use]
    pub fn kept_by(mut self, keeper: Arc<dyn Keeper>) -> Self {
        if self.flow.is_interactive() {
            self.keeper = Some(keeper);
        }
        self
    }

    /// Signs in anew, whatever is kept, and keeps that.
    ///
    /// # Errors
    /// [`ErrorKind::SignIn`] with the reason; also when there is nothing that could be kept, or the keeper can't.
    pub fn keep(&self) -> Result<Account, GraphError> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.looked = true;
        let answer = self.obtain(held.claims.as_deref(), &|| false)?;
        let account = self.hold(&mut held, answer).account.clone();
        let cant = |why: String| {
            GraphError::new(ErrorKind::SignIn, Fixer::Operator, "The sign-in can't be kept")
                .because(format!("{why}."))
                .advise("Commands sign in by themselves when they need to.")
        };
        let (Some(keeper), Some(refresh)) = (&self.keeper, &held.refresh) else {
            return Err(cant("Entra gave nothing that outlives this command".to_owned()));
        };
        keeper.store(refresh).map_err(cant)?;
        held.kept = true;
        Ok(account)
    }

    /// Asks for a first token by the flow.
    fn obtain(&self, claims: Option<&str>, given_up: &dyn Fn() -> bool) -> Result<TokenAnswer, GraphError> {
        if self.flow.is_interactive() && !self.prompt.is_seen() {
            return Err(nobody_there());
        }
        match &self.flow {
            Flow::DeviceCode => device_code::sign_in(&self.endpoint, &*self.prompt, claims, given_up),
            Flow::Browser => browser::sign_in(&self.endpoint, &*self.prompt, claims, given_up),
            Flow::Certificate(certificate) => {
                let assertion = certificate.assertion(
                    self.endpoint.token_url().as_str(),
                    self.endpoint.client_id(),
                    self.endpoint.server_now(),
                )?;
                let fields = [
                    ("grant_type", "client_credentials"),
                    ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
                    ("client_assertion", assertion.expose().as_str()),
                ];
                self.application_token(&fields, claims)
            }
            Flow::Secret(secret) => {
                let fields = [("grant_type", "client_credentials"), ("client_secret", secret.expose().as_str())];
                self.application_token(&fields, claims)
            }
        }
    }

    fn application_token(&self, fields: &[(&str, &str)], claims: Option<&str>) -> Result<TokenAnswer, GraphError> {
        let mut fields = fields.to_vec();
        fields.push(("scope", self.endpoint.scope()));
        fields.extend(claims.map(|claims| ("claims", claims)));
        self.endpoint.token(&fields, "sign in as the application").map_err(TokenFailure::into_error)
    }

    /// Renews without a person. `Ok(None)` when only a person can.
    fn renew(&self, held: &Held) -> Result<Option<TokenAnswer>, GraphError> {
        if !self.flow.is_interactive() {
            return self.obtain(held.claims.as_deref(), &|| false).map(Some);
        }
        let Some(refresh) = &held.refresh else { return Ok(None) };
        if held.claims.is_some() {
            return Ok(None);
        }
        let ask = |scope: &str| {
            let fields =
                [("grant_type", "refresh_token"), ("refresh_token", refresh.expose().as_str()), ("scope", scope)];
            self.endpoint.token(&fields, "renew the sign-in")
        };
        let answer = match ask(self.endpoint.scope()) {
            // Consent stands for other permissions than these, perhaps wider ones: take what there is. The calls show what is
            // missing, by name.
            Err(TokenFailure::Refused(refusal))
                if refusal.lacks_consent() && !self.endpoint.scope().starts_with(&self.registered) =>
            {
                ask(&format!("{} offline_access", self.registered))
            }
            answer => answer,
        };
        match answer {
            Ok(answer) => Ok(Some(answer)),
            Err(TokenFailure::Refused(refusal)) if refusal.needs_a_person() => {
                Err(refusal.into_error("renew the sign-in"))
            }
            Err(failure) => Err(failure.into_error()),
        }
    }

    fn hold(&self, held: &mut Held, answer: TokenAnswer) -> Arc<AccessToken> {
        let lifetime = answer.expires_in.saturating_sub(MARGIN).max(answer.expires_in / 2);
        let token = Arc::new(AccessToken {
            account: Account::from_token(answer.access_token.expose()),
            until: self.clock.monotonic().saturating_add(lifetime),
            secret: answer.access_token,
        });
        held.token = Some(Arc::clone(&token));
        if answer.refresh_token.is_some() {
            held.refresh = answer.refresh_token;
            if held.kept
                && let (Some(keeper), Some(refresh)) = (&self.keeper, &held.refresh)
                && let Err(why) = keeper.store(refresh)
            {
                // The former one usually still works; if it doesn't, the next command asks a person.
                tracing::debug!(why, "the renewed sign-in was not kept");
            }
        }
        held.claims = None;
        token
    }

    /// Takes up the kept sign-in, once.
    fn take_up(&self, held: &mut Held) {
        let Some(keeper) = self.keeper.as_ref().filter(|_| !held.looked && held.refresh.is_none()) else { return };
        held.looked = true;
        match keeper.load() {
            Ok(Some(refresh)) => {
                held.refresh = Some(refresh);
                held.kept = true;
            }
            Ok(None) => {}
            Err(why) => tracing::debug!(why, "no kept sign-in can be read"),
        }
    }

    /// The refresh token is spent, here and where it is kept.
    fn drop_refresh(&self, held: &mut Held) {
        held.refresh = None;
        if std::mem::take(&mut held.kept)
            && let Some(keeper) = &self.keeper
            && let Err(why) = keeper.forget()
        {
            tracing::debug!(why, "the spent sign-in is still kept");
        }
    }

    fn still_good(&self, held: &Held) -> Option<Arc<AccessToken>> {
        held.token
            .as_ref()
            .filter(|token| self.clock.monotonic() < token.until && held.claims.is_none())
            .map(Arc::clone)
    }
}

fn nobody_there() -> GraphError {
    GraphError::new(ErrorKind::SignIn, Fixer::Operator, "Somebody has to sign in, and there is no terminal to say so on")
        .because("No sign-in is kept for this tenant and application, or it is no longer good; nobody was waited for.")
        .advise(
            "Run `keybench login` at a terminal under this account: commands without one use what it keeps. Where nobody ever \
             sits, set `auth` under [tenant] to certificate or secret.",
        )
}

impl TokenSource for SignIn {
    fn bearer(&self, need: &TokenNeed) -> Result<Arc<AccessToken>, GraphError> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let TokenNeed::Fresh { refused } = need
            && held.token.as_ref().is_some_and(|token| Arc::ptr_eq(token, refused))
        {
            // Another thread may have renewed it already; then there is nothing to drop.
            held.token = None;
        }
        if let Some(token) = self.still_good(&held) {
            return Ok(token);
        }
        self.take_up(&mut held);
        match self.renew(&held)? {
            Some(answer) => Ok(self.hold(&mut held, answer)),
            None => Err(GraphError::new(ErrorKind::SignIn, Fixer::Operator, "Somebody has to sign in (again)")
                .because(if held.claims.is_some() {
                    "The tenant asks for a stronger sign-in than the present one."
                } else {
                    "There is no sign-in yet, or it has ended and can't be renewed by itself."
                })
                .advise("Sign in when no key is waiting for a touch; the run goes on from where it is.")),
        }
    }

    fn sign_in_unless(&self, given_up: &dyn Fn() -> bool) -> Result<Account, GraphError> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(token) = self.still_good(&held) {
            return Ok(token.account.clone());
        }
        // A refresh token spares the person the page; if it is spent, the page it is. Anything else (no network) stays an error.
        if self.flow.is_interactive() {
            self.take_up(&mut held);
            match self.renew(&held) {
                Ok(Some(answer)) => return Ok(self.hold(&mut held, answer).account.clone()),
                Ok(None) => {}
                Err(error) if error.kind() == ErrorKind::SignIn => self.drop_refresh(&mut held),
                Err(error) => return Err(error),
            }
        }
        let answer = self.obtain(held.claims.as_deref(), given_up)?;
        Ok(self.hold(&mut held, answer).account.clone())
    }

    fn rejected(&self, token: &Arc<AccessToken>) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.token.as_ref().is_some_and(|held| Arc::ptr_eq(held, token)) {
            held.token = None;
            self.drop_refresh(&mut held);
        }
    }

    fn challenged(&self, claims: String) {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).claims = Some(claims);
    }
}

impl std::fmt::Debug for SignIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SignIn({:?})", self.flow)
    }
}

#[cfg(test)]
mod tests;
