//! The client: tokens, retries, counting, and at most four requests at a time.
//!
//! Every area of Graph has its own file with an `impl Graph`. All methods take `&self` and block their thread.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use reqwest::Method;
use reqwest::blocking::Client;
use serde_json::Value;
use url::Url;

use super::auth::{Account, TokenNeed, TokenSource};
use super::cancel::Cancel;
use super::cloud::Cloud;
use super::error::{ErrorKind, Fixer, GraphError, RequestIds};
use super::http::{self, Answer, NoAnswer, Request, Timeouts};
use super::pace::Pace;
use super::retry::{AnswerClass, Budget, Verdict, decide};
use super::server_clock::ServerClock;
use crate::world::{Clock, Entropy as _, SystemEntropy};

/// Which of Graph's two versions the passkey calls go to. All others go to v1.0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ApiVersion {
    /// General availability: challenges live five minutes.
    #[default]
    V1,
    /// Preview: challenges may live longer.
    Beta,
}

impl ApiVersion {
    /// As in the URL.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V1 => "v1.0",
            Self::Beta => "beta",
        }
    }
}

/// What the client must know.
#[derive(Debug, Clone)]
pub struct GraphSettings {
    /// Checked hosts.
    pub cloud: Cloud,
    /// For the passkey calls.
    pub api: ApiVersion,
    /// For one attempt.
    pub timeouts: Timeouts,
    /// For all attempts of one call.
    pub budget: Budget,
    /// The least time between two requests to Conditional Access, whose limit is one a second for the whole tenant.
    pub pace: Duration,
    /// Ends every wait.
    pub cancel: Cancel,
}

/// A little more than a second: the service's clock is not ours.
pub const PACE: Duration = Duration::from_millis(1_100);

impl GraphSettings {
    /// Defaults for everything but the hosts.
    pub fn new(cloud: Cloud) -> Self {
        Self {
            cloud,
            api: ApiVersion::default(),
            timeouts: Timeouts::default(),
            budget: Budget::default(),
            pace: PACE,
            cancel: Cancel::new(),
        }
    }
}

/// What a screen may want to show while a call takes long.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum GraphEvent {
    /// Graph asked to slow down; the call goes on by itself after this many seconds.
    Throttled {
        /// Rounded up.
        seconds: u64,
        /// What is being done, as in `list the passkeys of kim@contoso.com`.
        doing: String,
    },
    /// We wait of our own accord, to stay within the one request a second of Conditional Access.
    Pacing {
        /// How long.
        wait: Duration,
        /// What is being done.
        doing: String,
    },
    /// Trouble on the way; the call goes on by itself.
    Retrying {
        /// Rounded up.
        seconds: u64,
        /// What is being done.
        doing: String,
        /// What happened.
        why: String,
    },
}

/// Watches; must return soon.
pub trait Observer: Send + Sync {
    /// Something happened.
    fn event(&self, event: GraphEvent);
}

impl<F: Fn(GraphEvent) + Send + Sync> Observer for F {
    fn event(&self, event: GraphEvent) {
        self(event);
    }
}

/// Requests made so far. A call that went through at once counts one request and no retry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// First attempts.
    pub requests: u64,
    /// Further attempts of the same requests.
    pub retries: u64,
}

/// How many requests are under way at most: authentication-method calls have an unpublished limit of their own,
/// and Microsoft's samples and other vendors keep to a handful.
pub(super) const PARALLEL: usize = 4;

/// A connection to one tenant's Graph. Cheap to clone; all clones share the limit and the counts.
#[derive(Clone)]
pub struct Graph(Arc<Inner>);

struct Inner {
    settings: GraphSettings,
    http: Client,
    tokens: Arc<dyn TokenSource>,
    clock: Arc<dyn Clock>,
    observer: Arc<dyn Observer>,
    server: ServerClock,
    free: Mutex<usize>,
    freed: Condvar,
    requests: AtomicU64,
    retries: AtomicU64,
    pace: Pace,
    /// `$batch` was refused where single requests are not.
    unbatched: AtomicBool,
}

/// A call that brought nothing to go on with.
#[derive(Debug)]
pub(super) enum CallFailure {
    /// It certainly had no effect, or an effect doesn't matter.
    Failed(GraphError),
    /// It may have had its effect: read before repeating.
    Unknown(GraphError),
}

impl From<CallFailure> for GraphError {
    fn from(failure: CallFailure) -> Self {
        match failure {
            CallFailure::Failed(error) => error,
            CallFailure::Unknown(error) => error.outcome_unknown(),
        }
    }
}

impl Graph {
    /// Sets the client up; says nothing to Graph yet.
    ///
    /// # Errors
    /// [`ErrorKind::Tls`] when the system's certificate store can't be used.
    pub fn connect(
        settings: GraphSettings,
        tokens: Arc<dyn TokenSource>,
        clock: Arc<dyn Clock>,
        observer: Arc<dyn Observer>,
    ) -> Result<Self, GraphError> {
        let http = http::client(&settings.cloud, settings.timeouts)?;
        Ok(Self(Arc::new(Inner {
            settings,
            http,
            tokens,
            clock,
            observer,
            server: ServerClock::new(),
            free: Mutex::new(PARALLEL),
            freed: Condvar::new(),
            requests: AtomicU64::new(0),
            retries: AtomicU64::new(0),
            pace: Pace::default(),
            unbatched: AtomicBool::new(false),
        })))
    }

    /// Signs in, asking a person if the flow needs one. Later calls renew the token without a person as long as that works,
    /// and fail with [`ErrorKind::SignIn`] or [`ErrorKind::Unauthorized`] when it doesn't: call this again then.
    ///
    /// # Errors
    /// [`ErrorKind::SignIn`] and what belongs to the network.
    pub fn sign_in(&self) -> Result<Account, GraphError> {
        self.0.tokens.sign_in()
    }

    /// The same; the wait for a person ends as well when `given_up` is true.
    ///
    /// # Errors
    /// As [`Self::sign_in`]; [`ErrorKind::Cancelled`] when it was given up.
    pub fn sign_in_unless(&self, given_up: &dyn Fn() -> bool) -> Result<Account, GraphError> {
        self.0.tokens.sign_in_unless(given_up)
    }

    /// Who we are, from the token's own claims; if it is opaque, Graph is asked. Members nobody tells stay empty.
    ///
    /// # Errors
    /// When no token can be had without a person, or Graph can't be reached.
    pub fn whoami(&self) -> Result<Account, GraphError> {
        let mut account = self.0.tokens.bearer(&TokenNeed::Any)?.account.clone();
        if account.object_id.is_some() {
            return Ok(account);
        }
        let me = self.url(ApiVersion::V1, "me?$select=id,userPrincipalName")?;
        match self.object(&Request::get(me, "read who is signed in")) {
            Ok(json) => {
                let user = super::users::DirectoryUser::from_json(&json);
                account.name = user.as_ref().and_then(|user| user.upn.as_ref()).map(|upn| upn.as_str().to_owned());
                account.object_id = user.map(|user| user.id);
                Ok(account)
            }
            // An application has no /me, and an account may lack the right to read itself: no reason to stop.
            Err(error) if matches!(error.kind(), ErrorKind::Forbidden | ErrorKind::Refused | ErrorKind::NotFound) => {
                Ok(account)
            }
            Err(error) => Err(error),
        }
    }

    /// Requests and retries so far.
    pub fn counts(&self) -> Counts {
        Counts { requests: self.0.requests.load(Ordering::Relaxed), retries: self.0.retries.load(Ordering::Relaxed) }
    }

    /// The service's time, by its last answer and the monotonic clock.
    pub fn server_now(&self) -> Timestamp {
        self.0.server.now(&*self.0.clock)
    }

    /// What is left until `deadline` by the service's time; zero once it has passed.
    pub fn left_until(&self, deadline: Timestamp) -> Duration {
        self.0.server.left_until(deadline, &*self.0.clock)
    }

    /// How far this machine's clock is ahead of the service's; `None` before the first answer.
    pub fn clock_skew(&self) -> Option<jiff::SignedDuration> {
        self.0.server.skew(&*self.0.clock)
    }

    /// The settings it was made with.
    pub fn settings(&self) -> &GraphSettings {
        &self.0.settings
    }

    /// `{origin}/{version}/{path}`. `path` begins without a slash and is escaped already.
    pub(super) fn url(&self, api: ApiVersion, path: &str) -> Result<Url, GraphError> {
        // An id that is empty or dots would make this the address of something else.
        let segments = path.split('?').next().unwrap_or("");
        if !segments.is_empty() && segments.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
            return Err(GraphError::new(
                ErrorKind::Malformed,
                Fixer::Developer,
                format!("No address can be made of {path}"),
            )
            .because("An id in it is empty or consists of dots.")
            .advise("Report this with the name of the person or group it was about."));
        }
        let mut text = self.0.settings.cloud.graph().as_str().trim_end_matches('/').to_owned();
        text.push('/');
        text.push_str(api.as_str());
        text.push('/');
        text.push_str(path);
        Url::parse(&text).map_err(|error| {
            GraphError::new(ErrorKind::Settings, Fixer::Developer, format!("No URL can be made for {path}"))
                .because(format!("{error}."))
        })
    }

    pub(super) fn does_without_batches(&self) -> bool {
        self.0.unbatched.load(Ordering::Relaxed)
    }

    pub(super) fn do_without_batches(&self) {
        self.0.unbatched.store(true, Ordering::Relaxed);
    }

    /// Checks an address Graph gave us before a token goes there.
    pub(super) fn next_link(&self, link: &str, doing: &str) -> Result<Url, GraphError> {
        match Url::parse(link) {
            Ok(url) if self.0.settings.cloud.is_graph(&url) => Ok(url),
            _ => Err(GraphError::malformed(
                doing,
                "The link to the next page leads away from Graph; the token was not sent there.",
            )
            .advise("Report this; something between the bench and Graph may be changing its answers.")),
        }
    }

    /// One call whose answer is a JSON object.
    pub(super) fn object(&self, request: &Request) -> Result<Value, GraphError> {
        self.call(request)?.object(&request.doing)
    }

    /// One call with its retries; `Ok` is a 2xx.
    pub(super) fn call(&self, request: &Request) -> Result<Answer, CallFailure> {
        let answer = self.exchange(request)?;
        if answer.is_success() {
            return Ok(answer);
        }
        // What is not there after a DELETE that nobody answered was ours to take away.
        if answer.after_doubt && request.method == Method::DELETE && matches!(answer.status, 404 | 410) {
            return Ok(answer);
        }
        let error = GraphError::from_answer(&request.doing, &answer);
        let error = match request.rights {
            Some(rights) => error.for_want_of(rights, request.look),
            None => error,
        };
        // The repetition was refused; that says nothing of what came of the attempt before it.
        Err(if answer.after_doubt { CallFailure::Unknown(error) } else { CallFailure::Failed(error) })
    }

    /// One call with its retries, whatever the status in the end. Once an attempt of a write may have been carried out, no end of it
    /// is [`CallFailure::Failed`] any more: not an outage that outlasts our patience, not a lost sign-in, not Ctrl-C.
    pub(super) fn exchange(&self, request: &Request) -> Result<Answer, CallFailure> {
        let mut doubt = false;
        match self.attempts(request, &mut doubt) {
            Ok(answer) => Ok(Answer { after_doubt: doubt, ..answer }),
            Err(CallFailure::Failed(error)) if doubt => Err(CallFailure::Unknown(error)),
            Err(failure) => Err(failure),
        }
    }

    /// `doubt` tells whether an attempt of a write may have been carried out without our knowing.
    fn attempts(&self, request: &Request, doubt: &mut bool) -> Result<Answer, CallFailure> {
        let inner = &*self.0;
        let cancel = &inner.settings.cancel;
        let start = inner.clock.monotonic();
        let began = inner.clock.now();
        let mut need = TokenNeed::Any;
        let mut made: u32 = 0;
        loop {
            let token = inner.tokens.bearer(&need).map_err(CallFailure::Failed)?;
            if cancel.is_cancelled() {
                return Err(CallFailure::Failed(GraphError::cancelled(&request.doing)));
            }
            if request.paced {
                self.keep_pace(request)?;
            }
            made = made.saturating_add(1);
            (if made == 1 && !request.resend { &inner.requests } else { &inner.retries })
                .fetch_add(1, Ordering::Relaxed);
            let sent = {
                let _permit = inner.permit();
                http::send(&inner.http, request, &token.secret)
            };
            let class = match &sent {
                Ok(answer) => {
                    if let Some(date) = answer.date {
                        inner.server.observe(date, &*inner.clock);
                    }
                    log(request, answer.status, &answer.ids, made);
                    match answer.class() {
                        AnswerClass::Unauthorized { .. } => {
                            AnswerClass::Unauthorized { renewed: matches!(need, TokenNeed::Fresh { .. }) }
                        }
                        class => class,
                    }
                }
                Err(NoAnswer { class, error }) => {
                    tracing::debug!(method = %request.method, doing = request.doing, attempt = made, %error, "no answer from Graph");
                    *class
                }
            };
            *doubt |= request.repeat.writes() && class.leaves_doubt();
            let spent = inner.clock.monotonic().saturating_sub(start);
            match decide(class, request.repeat, made, spent, jitter(), &inner.settings.budget) {
                Verdict::Retry => need = TokenNeed::Fresh { refused: token },
                Verdict::Stop if matches!(class, AnswerClass::Unauthorized { .. }) => {
                    inner.tokens.rejected(&token);
                    return self.conclude(request, sent, class, made, began);
                }
                Verdict::Wait(wait) => {
                    let seconds = wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0));
                    inner.observer.event(event(class, seconds, request, &sent));
                    cancel
                        .wait(&*inner.clock, wait)
                        .map_err(|_| CallFailure::Failed(GraphError::cancelled(&request.doing)))?;
                }
                Verdict::Unknown => {
                    let error =
                        sent.map_or_else(|none| none.error, |answer| GraphError::from_answer(&request.doing, &answer));
                    return Err(CallFailure::Unknown(error));
                }
                Verdict::Stop => return self.conclude(request, sent, class, made, began),
            }
        }
    }

    /// Waits for this request's turn.
    fn keep_pace(&self, request: &Request) -> Result<(), CallFailure> {
        let inner = &*self.0;
        let wait = inner.pace.take(inner.clock.monotonic(), inner.settings.pace);
        if wait.is_zero() {
            return Ok(());
        }
        inner.observer.event(GraphEvent::Pacing { wait, doing: request.doing.clone() });
        let waited = inner.settings.cancel.wait(&*inner.clock, wait);
        waited.map_err(|_| CallFailure::Failed(GraphError::cancelled(&request.doing)))
    }

    fn conclude(
        &self,
        request: &Request,
        sent: Result<Answer, NoAnswer>,
        class: AnswerClass,
        made: u32,
        began: Timestamp,
    ) -> Result<Answer, CallFailure> {
        match sent {
            Ok(answer) => {
                if let Some(claims) = answer.claims() {
                    self.0.tokens.challenged(claims);
                    let error = GraphError::new(
                        ErrorKind::Unauthorized,
                        Fixer::Operator,
                        format!("Graph wants a stronger sign-in to {}", request.doing),
                    );
                    return Err(CallFailure::Failed(
                        error
                            .because("A Conditional Access rule of the tenant asks for more than the present sign-in proved, or the session was ended.")
                            .advise("Sign in again; keybench passes on what the tenant asks for.")
                            .with_status(answer.status, Some("insufficient_claims".to_owned()))
                            .with_ids(answer.ids),
                    ));
                }
                if matches!(class, AnswerClass::Outage(_)) && answer.is_success() {
                    // A page is nobody's success: something on the way answered in Graph's place.
                    return Err(CallFailure::Failed(answer.web_page(&request.doing)));
                }
                if matches!(class, AnswerClass::Outage(_)) {
                    let since = began.to_zoned(jiff::tz::TimeZone::system()).strftime("%H:%M:%S").to_string();
                    let plain = GraphError::from_answer(&request.doing, &answer);
                    let error = GraphError::new(
                        ErrorKind::Outage,
                        Fixer::Microsoft,
                        format!(
                            "Graph is answering {} since {since}, {made} times in a row, when asked to {}",
                            answer.status, request.doing
                        ),
                    );
                    return Err(CallFailure::Failed(
                        error
                            .because(plain.cause())
                            .advise(plain.next())
                            .with_status(answer.status, plain.code().map(str::to_owned))
                            .with_ids(plain.ids().clone()),
                    ));
                }
                Ok(answer)
            }
            Err(none) => Err(CallFailure::Failed(none.error)),
        }
    }
}

fn log(request: &Request, status: u16, ids: &RequestIds, attempt: u32) {
    tracing::debug!(
        method = %request.method,
        path = request.url.path(),
        status,
        attempt,
        client_request_id = ids.client_request_id.as_deref().unwrap_or(""),
        request_id = ids.request_id.as_deref().unwrap_or(""),
        "Graph answered"
    );
}

fn event(class: AnswerClass, seconds: u64, request: &Request, sent: &Result<Answer, NoAnswer>) -> GraphEvent {
    let doing = request.doing.clone();
    match (class, sent) {
        (AnswerClass::Throttled(_), _) => GraphEvent::Throttled { seconds, doing },
        (_, Ok(answer)) => GraphEvent::Retrying { seconds, doing, why: format!("Graph answered {}", answer.status) },
        (_, Err(none)) => GraphEvent::Retrying { seconds, doing, why: none.error.fact().to_owned() },
    }
}

/// Uniform in 0..1. Not a secret: without randomness the back-off is merely even.
pub(super) fn jitter() -> f64 {
    let mut bytes = [0u8; 4];
    match SystemEntropy.fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX),
        Err(_) => 0.5,
    }
}

impl Graph {
    pub(super) fn clock(&self) -> &dyn Clock {
        &*self.0.clock
    }

    /// One attempt, whatever comes of it.
    #[cfg(all(test, feature = "sim"))]
    pub(super) fn exchange_once_for_test(&self, request: &Request) -> Result<Value, GraphError> {
        let token = self.0.tokens.bearer(&TokenNeed::Any)?;
        let answer = http::send(&self.0.http, request, &token.secret).map_err(|none| none.error)?;
        if answer.is_success() {
            answer.object(&request.doing)
        } else {
            Err(GraphError::from_answer(&request.doing, &answer))
        }
    }

    #[cfg(test)]
    pub(super) fn permit_for_test(&self) -> impl Drop + '_ {
        self.0.permit()
    }

    pub(super) fn observe(&self, event: GraphEvent) {
        self.0.observer.event(event);
    }
}

impl Inner {
    fn permit(&self) -> Permit<'_> {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        while *free == 0 {
            free = self.freed.wait(free).unwrap_or_else(PoisonError::into_inner);
        }
        *free -= 1;
        Permit(self)
    }
}

/// The right to have one request under way.
struct Permit<'a>(&'a Inner);

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        *self.0.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.0.freed.notify_one();
    }
}

impl std::fmt::Debug for Graph {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Graph({}, {:?})", self.0.settings.cloud.graph(), self.counts())
    }
}
