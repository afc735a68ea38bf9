//! The server: a thread of its own, a socket on the loopback, and the way of a request through faults to its answer.
//!
//! Promise: it listens on the loopback or not at all. It never answers a request it was told to drop.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use axum::body::Body as HttpBody;
use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderName, HeaderValue, Response, StatusCode};
use axum::serve::{IncomingStream, Listener};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::access;
use super::errors;
use super::faults::{FaultRule, Trouble};
use super::http::{Answer, Body, Call, Version};
use super::route::{GraphCall, Kind, Route};
use super::spec::{SpecError, TenantSpec};
use super::store::{Store, seconds};
use super::{accounts, applications, batch, control, fido2, groups, insight, oauth, policies, policy, sessions, users};

/// Largest request that is read.
const MOST_BYTES: usize = 4 << 20;
/// Requests kept for `/sim/log`.
const MOST_LOGGED: usize = 200_000;

/// Why a simulated tenant could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address is open to others.
    #[error(
        "a simulated tenant may not listen on {0}: whoever reaches it gets tokens, and it would take simulated keys from elsewhere\n\
         Next: use a loopback address, such as 127.0.0.1:0"
    )]
    NotLoopback(SocketAddr),
    /// The socket.
    #[error(
        "the simulated tenant can't listen on {address}: {cause}\nNext: choose another port, or 0 for any free one"
    )]
    Listen {
        /// Where it should have listened.
        address: SocketAddr,
        /// What the system said.
        cause: io::Error,
    },
    /// The thread or its runtime.
    #[error("the simulated tenant's thread can't be started: {0}")]
    Thread(io::Error),
    /// The specification.
    #[error(transparent)]
    Spec(#[from] SpecError),
}

/// A simulated tenant at work. It ends when this is dropped.
#[derive(Debug)]
pub struct RunningTenant {
    /// Graph's base, without a version.
    pub graph_url: String,
    /// The sign-in service's base, without a tenant.
    pub login_url: String,
    /// The tenant's id.
    pub tenant_id: String,
    /// The application's id.
    pub client_id: String,
    /// The application's secret. Simulated: worth nothing anywhere else.
    pub client_secret: String,
    /// Everybody in it.
    pub upns: Vec<String>,
    address: SocketAddr,
    store: Arc<Mutex<Store>>,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl RunningTenant {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What `GET /sim/state` answers.
    pub fn state(&self) -> Value {
        lock(&self.store).state()
    }

    /// What `GET /sim/log` answers: every request in order.
    pub fn log(&self) -> Vec<Value> {
        lock(&self.store).log.clone()
    }

    /// Every password and seed it was sent and every pass it gave out: what must be nowhere else. For tests that search.
    pub fn secrets(&self) -> Vec<String> {
        lock(&self.store).secrets.clone()
    }

    /// The application has these permissions from its next sign-in on, and no others.
    pub fn consent_to(&self, permissions: &[&str]) {
        lock(&self.store).spec.app.permissions = permissions.iter().map(|name| (*name).to_owned()).collect();
    }

    /// Adds a fault from now on.
    ///
    /// # Errors
    /// What does not fit in the rule.
    pub fn add_fault(&self, rule: FaultRule) -> Result<(), String> {
        rule.check()?;
        let mut store = lock(&self.store);
        let now = store.now();
        store.faults.add(rule, now);
        Ok(())
    }

    /// A person signs in, so that the log has something to show: what `POST /sim/sign-in` takes.
    ///
    /// # Errors
    /// What does not fit.
    pub fn person_signs_in(&self, what: &Value) -> Result<(), String> {
        insight::person_signs_in(&mut lock(&self.store), what).map(drop)
    }

    /// Somebody registers a passkey with another tool than ours: what `POST /sim/passkey` takes.
    ///
    /// # Errors
    /// What does not fit.
    pub fn stranger_registers(&self, what: &Value) -> Result<(), String> {
        super::audit_log::stranger_registers(&mut lock(&self.store), what).map(drop)
    }

    /// Moves the tenant's clock on.
    pub fn advance(&self, seconds: u32) {
        lock(&self.store).advance(i64::from(seconds));
    }

    /// Ends it; every connection is closed.
    pub fn shutdown(mut self) {
        self.end();
    }

    /// Waits until it ends, which by itself it never does: for `keybench sim tenant`.
    pub fn wait(mut self) {
        if let Some(thread) = self.thread.take() {
            // A panicked thread has ended too.
            let _ = thread.join();
        }
    }

    fn end(&mut self) {
        // Nobody listening means it has ended already.
        let _ = self.stop.send(true);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for RunningTenant {
    fn drop(&mut self) {
        self.end();
    }
}

/// The one line that `keybench sim tenant` prints.
pub fn startup_line(tenant: &RunningTenant) -> Value {
    json!({
        "graph_url": tenant.graph_url,
        "login_url": tenant.login_url,
        "tenant_id": tenant.tenant_id,
        "client_id": tenant.client_id,
        "client_secret": tenant.client_secret,
        "upns": tenant.upns,
    })
}

/// Starts a tenant.
///
/// # Errors
/// [`StartError`], before anything listens.
pub fn start(spec: TenantSpec, listen: SocketAddr) -> Result<RunningTenant, StartError> {
    if !listen.ip().is_loopback() {
        return Err(StartError::NotLoopback(listen));
    }
    let failed = |cause| StartError::Listen { address: listen, cause };
    let socket = std::net::TcpListener::bind(listen).map_err(failed)?;
    socket.set_nonblocking(true).map_err(failed)?;
    let address = socket.local_addr().map_err(failed)?;
    let base = format!("http://{address}");
    let store = Store::new(spec, base.clone())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(StartError::Thread)?;
    let (stop, stopped) = watch::channel(false);
    let mut running = RunningTenant {
        graph_url: base.clone(),
        login_url: base,
        tenant_id: store.tenant_id.clone(),
        client_id: store.client_id.clone(),
        client_secret: store.client_secret.clone(),
        upns: store.upns(),
        address,
        store: Arc::new(Mutex::new(store)),
        stop,
        thread: None,
    };
    let state = Server { store: Arc::clone(&running.store), stopped: stopped.clone() };
    let thread = std::thread::Builder::new()
        .name("simulated tenant".into())
        .spawn(move || runtime.block_on(serve(socket, state, stopped)))
        .map_err(StartError::Thread)?;
    running.thread = Some(thread);
    Ok(running)
}

#[derive(Debug, Clone)]
struct Server {
    store: Arc<Mutex<Store>>,
    stopped: watch::Receiver<bool>,
}

async fn serve(socket: std::net::TcpListener, state: Server, mut stopped: watch::Receiver<bool>) {
    let listener = match TcpListener::from_std(socket) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "the simulated tenant's socket can't be used");
            return;
        }
    };
    let app = Router::new().fallback(answer).with_state(state).into_make_service_with_connect_info::<Cut>();
    // Dropping the server drops the runtime's connections too: nobody waits for a hung request.
    tokio::select! {
        served = axum::serve(Wires(listener), app) => {
            if let Err(error) = served {
                tracing::error!(%error, "the simulated tenant stopped serving");
            }
        }
        _ = stopped.wait_for(|stop| *stop) => {}
    }
}

/// What becomes of an answer; worse is greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fate {
    /// It is sent.
    Answer,
    /// It is never sent; the connection stays.
    Hang,
    /// It is never sent; the connection is closed.
    Close,
}

async fn answer(
    State(mut server): State<Server>,
    ConnectInfo(cut): ConnectInfo<Cut>,
    request: Request,
) -> Response<HttpBody> {
    let (parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, MOST_BYTES).await else {
        return Response::builder().status(StatusCode::PAYLOAD_TOO_LARGE).body(HttpBody::empty()).unwrap_or_default();
    };
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
    let call = Call::new(parts.method.as_str(), &target, parts.headers, body);
    let (latency, started) = {
        let store = lock(&server.store);
        (store.spec.latency_ms, Route::of(&call))
    };
    if !matches!(started, Route::Control(_)) && latency > 0 {
        tokio::time::sleep(Duration::from_millis(latency)).await;
    }
    let (answer, fate, more) = {
        let mut store = lock(&server.store);
        handle(&mut store, &call)
    };
    tokio::time::sleep(more).await;
    match fate {
        Fate::Answer => {}
        Fate::Hang => {
            let _ = server.stopped.wait_for(|stop| *stop).await;
        }
        Fate::Close => cut.cut(),
    }
    to_http(answer)
}

/// A request on its own: counted, logged, faults applied, answered. The duration is a delay on top of the latency.
fn handle(store: &mut Store, call: &Call) -> (Answer, Fate, Duration) {
    let route = Route::of(call);
    if let Route::Control(what) = &route {
        return (control::control(store, what, call), Fate::Answer, Duration::ZERO);
    }
    store.count(route.kind());
    let fault = pick(store, &route);
    log(store, call, &route, fault.as_ref(), false);
    let delay = fault.as_ref().filter(|rule| rule.then == Trouble::Delay).and_then(|rule| rule.delay_ms).unwrap_or(0);
    let (answer, fate) = perform(store, call, &route, fault);
    (finish(store, call, answer), fate, Duration::from_millis(delay))
}

/// A part of a batch: its own fault and answer, but no count of its own.
pub(super) fn handle_part(store: &mut Store, call: &Call) -> (Answer, Fate) {
    let route = Route::of(call);
    if matches!(route, Route::Graph(_, GraphCall::Batch) | Route::Control(_)) {
        return (errors::graph(400, "BadRequest", "A batch can't hold this request."), Fate::Answer);
    }
    let fault = pick(store, &route);
    log(store, call, &route, fault.as_ref(), true);
    let (answer, fate) = perform(store, call, &route, fault);
    (finish(store, call, answer), fate)
}

fn pick(store: &mut Store, route: &Route) -> Option<FaultRule> {
    let now = store.now();
    let person = route.person().and_then(|name| store.person(name));
    let names: Vec<String> = match (person, route.person()) {
        (Some(person), _) => vec![person.id.clone(), person.upn.clone()],
        (None, Some(name)) => vec![name.to_owned()],
        (None, None) => Vec::new(),
    };
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    store.faults.pick(route.kind(), &names, now)
}

fn log(store: &mut Store, call: &Call, route: &Route, fault: Option<&FaultRule>, in_batch: bool) {
    if store.log.len() >= MOST_LOGGED {
        return;
    }
    let line = json!({
        "at": store.now().to_string(),
        "kind": route.kind().name(),
        "method": call.method,
        // Queries of sign-ins hold codes; nobody needs them here.
        "path": call.target.split('?').next().unwrap_or_default(),
        "upn": route.person().and_then(|name| store.person(name)).map(|person| person.upn.clone()),
        "client_request_id": call.header("client-request-id"),
        "batched": in_batch,
        "fault": fault.map(|rule| rule.then),
    });
    store.log.push(line);
}

fn perform(store: &mut Store, call: &Call, route: &Route, fault: Option<FaultRule>) -> (Answer, Fate) {
    let Some(rule) = fault else { return dispatch(store, call, route) };
    match rule.then {
        Trouble::Status => (status_fault(store, route, &rule), Fate::Answer),
        Trouble::Html => {
            let page = "<!DOCTYPE html><html><head><title>Service unavailable</title></head><body><h2>Our services aren't available right now</h2></body></html>";
            (
                retry_after(Answer::text(rule.status.unwrap_or(502), "text/html; charset=utf-8", page), &rule),
                Fate::Answer,
            )
        }
        Trouble::Truncate => {
            let (mut answer, fate) = dispatch(store, call, route);
            if let Body::Json(body) = &answer.body {
                let text = body.to_string();
                let half: String = text.chars().take(text.chars().count() / 2).collect();
                answer.body = Body::Text { kind: "application/json", text: half };
            }
            (answer, fate)
        }
        Trouble::Hang => (dispatch(store, call, route).0, Fate::Hang),
        Trouble::Lose => (dispatch(store, call, route).0, Fate::Close),
        Trouble::Drop => (Answer::empty(500), Fate::Close),
        Trouble::Delay => dispatch(store, call, route),
        Trouble::Revoke => {
            oauth::revoke_all(store);
            dispatch(store, call, route)
        }
        Trouble::Policy => {
            // A change that does not fit was refused when the rule was made.
            if let Some(change) = &rule.policy {
                // A change that does not fit was refused when the rule was made.
                let _ = policy::change(store, change);
            }
            dispatch(store, call, route)
        }
        Trouble::Lag => {
            let quirks = &mut store.spec.quirks;
            quirks.list_lag_ms = rule.list_lag_ms.unwrap_or(quirks.list_lag_ms);
            quirks.list_lag_reads = rule.list_lag_reads.unwrap_or(quirks.list_lag_reads);
            dispatch(store, call, route)
        }
    }
}

fn status_fault(store: &mut Store, route: &Route, rule: &FaultRule) -> Answer {
    let status = rule.status.unwrap_or(500);
    let answer = if matches!(route.kind(), Kind::Token | Kind::DeviceCode | Kind::Authorize) {
        let mut error = errors::SignInError::new(
            "temporarily_unavailable",
            90_033,
            "A transient error has occurred. Please try again.",
        );
        error.status = status;
        sign_in_error(store, error)
    } else {
        let (code, message) = match status {
            401 => ("InvalidAuthenticationToken", "Access token has expired or is not yet valid."),
            403 => ("accessDenied", "Request Authorization failed"),
            429 => ("TooManyRequests", "Too many requests."),
            503 => ("ServiceUnavailable", "The service is temporarily unavailable."),
            504 => ("GatewayTimeout", "The upstream service did not answer in time."),
            _ => ("UnknownError", ""),
        };
        let answer = errors::graph(status, rule.code.as_deref().unwrap_or(code), message);
        if status == 429 {
            let scope = format!("Tenant_Application/ReadWrite/{}/{}", store.client_id, store.tenant_id);
            answer
                .with_header("x-ms-throttle-scope", scope)
                .with_header("x-ms-throttle-information", "CPULimitExceeded")
        } else {
            answer
        }
    };
    retry_after(answer, rule)
}

fn retry_after(answer: Answer, rule: &FaultRule) -> Answer {
    match rule.retry_after {
        Some(seconds) => answer.with_header("Retry-After", seconds),
        None => answer,
    }
}

fn sign_in_error(store: &mut Store, error: errors::SignInError) -> Answer {
    let (trace, correlation) = (store.fresh_guid("trace"), store.fresh_guid("correlation"));
    let date = seconds(store.now()).replace('T', " ");
    error.into_answer(&trace, &correlation, &date)
}

fn dispatch(store: &mut Store, call: &Call, route: &Route) -> (Answer, Fate) {
    let answer = match route {
        Route::Token(tenant) => oauth::token(store, tenant, call).unwrap_or_else(|error| sign_in_error(store, error)),
        Route::DeviceCode(tenant) => oauth::device_code(store, tenant, call).unwrap_or_else(|error| sign_in_error(store, error)),
        // What goes wrong before there is a place to redirect to is shown to the person, as a page.
        Route::Authorize(tenant) => oauth::authorize(store, tenant, call).unwrap_or_else(|error| {
            let page = format!("<!DOCTYPE html><html><body><h1>Sorry, but we're having trouble signing you in.</h1><p>AADSTS{}: {}</p></body></html>", error.code, error.text);
            Answer::text(400, "text/html; charset=utf-8", page)
        }),
        Route::Graph(version, graph) => match access::caller(store, call) {
            Ok(_) if *graph == GraphCall::Batch => return batch::batch(store, *version, call),
            Ok(caller) => match accounts::too_new(store, route.person(), call) {
                Some(answer) => answer,
                None => graph_answer(store, *version, &caller, graph, call).unwrap_or_else(|refused| refused),
            },
            Err(answer) => answer,
        },
        Route::NotAllowed(_) => access::caller(store, call).map_or_else(|no| no, |_| errors::method_not_allowed()),
        Route::UnknownGraph(_) => access::caller(store, call).map_or_else(
            |no| no,
            |_| {
                let segment = call.path.last().map_or("", String::as_str);
                errors::graph(400, "BadRequest", format!("Resource not found for the segment '{segment}'."))
            },
        ),
        Route::Control(_) | Route::Nowhere => Answer::text(404, "text/html; charset=utf-8", "<html><body>404 - not found</body></html>"),
    };
    (answer, Fate::Answer)
}

fn graph_answer(
    store: &mut Store,
    version: Version,
    caller: &access::Caller,
    graph: &GraphCall,
    call: &Call,
) -> Result<Answer, Answer> {
    match graph {
        GraphCall::Me => users::me(store, version, caller, call),
        GraphCall::User(name) => users::user(store, version, caller, name, call),
        GraphCall::Users => users::users(store, version, caller, call),
        GraphCall::Group(id) => groups::group(store, version, caller, id, call),
        GraphCall::Groups => groups::groups(store, version, caller, call),
        GraphCall::Members { group, transitive, cast } => {
            groups::members(store, version, caller, (group, *transitive, cast.as_deref()), call)
        }
        GraphCall::MemberOf { who, transitive, cast } => {
            groups::member_of(store, version, caller, (who, *transitive, cast.as_deref()), call)
        }
        GraphCall::CheckMemberGroups(who) => groups::check(store, version, caller, who, call),
        GraphCall::GetMemberGroups(who) => groups::all_of(store, version, caller, who, call),
        GraphCall::CreationOptions { who, minutes } => {
            fido2::creation_options(store, version, caller, (who, minutes.as_deref()), call)
        }
        GraphCall::Register(who) => fido2::register(store, version, caller, who, call),
        GraphCall::List(who) => fido2::list(store, version, caller, who, false),
        GraphCall::Methods(who) => fido2::list(store, version, caller, who, true),
        GraphCall::Get { who, method } => fido2::get(store, version, caller, who, method),
        GraphCall::Delete { who, method } => fido2::delete(store, version, caller, who, method),
        GraphCall::RevokeSessions(who) => sessions::revoke(store, version, caller, who),
        GraphCall::Setting(place, act) => policies::answer(store, version, caller, (place, *act), call),
        GraphCall::Account(what) => accounts::answer(store, version, caller, what, call),
        GraphCall::App(what) => applications::answer(store, version, caller, what, call),
        GraphCall::Insight(what) => insight::answer(store, version, caller, what, call),
        GraphCall::Batch => Err(errors::graph(400, "BadRequest", "A batch can't hold a batch.")),
    }
}

/// The headers every answer of Graph has, and `innerError`.
fn finish(store: &mut Store, call: &Call, mut answer: Answer) -> Answer {
    let request_id = store.fresh_guid("request");
    let client_request_id = call.header("client-request-id").unwrap_or(&request_id).to_owned();
    let now = store.now();
    if let Body::Json(body) = &mut answer.body {
        errors::add_inner_error(body, seconds(now).trim_end_matches('Z'), &request_id, &client_request_id);
    }
    let date = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&now).unwrap_or_default();
    answer
        .with_header("request-id", request_id)
        .with_header("client-request-id", client_request_id)
        .with_header(
            "x-ms-ags-diagnostic",
            r#"{"ServerInfo":{"DataCenter":"Loopback","Slice":"E","Ring":"0","RoleInstance":"sim"}}"#,
        )
        .with_header("Date", date)
}

fn to_http(answer: Answer) -> Response<HttpBody> {
    let (kind, body) = match answer.body {
        Body::Empty => (None, HttpBody::empty()),
        Body::Json(body) => (
            Some("application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8"),
            HttpBody::from(body.to_string()),
        ),
        Body::Text { kind, text } => (Some(kind), HttpBody::from(text)),
    };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = answer.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    for (name, value) in headers.chain(kind.map(|kind| ("content-type", kind))) {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// A poisoned lock means that a request panicked; the tenant's facts are still there.
fn lock(store: &Mutex<Store>) -> MutexGuard<'_, Store> {
    store.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The listener, giving out connections that can be cut.
struct Wires(TcpListener);

impl Listener for Wires {
    type Io = Wire;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Wire, SocketAddr) {
        let (stream, address) = Listener::accept(&mut self.0).await;
        // Answers are small and latency is simulated, so nothing is to be held back.
        let _ = stream.set_nodelay(true);
        (Wire { stream, cut: Cut::default() }, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

/// A connection's cutter: after [`Cut::cut`] not one byte goes out.
#[derive(Debug, Clone, Default)]
struct Cut(Arc<AtomicBool>);

impl Cut {
    fn cut(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    fn check(&self) -> io::Result<()> {
        if self.0.load(Ordering::SeqCst) { Err(io::ErrorKind::ConnectionReset.into()) } else { Ok(()) }
    }
}

impl Connected<IncomingStream<'_, Wires>> for Cut {
    fn connect_info(stream: IncomingStream<'_, Wires>) -> Self {
        stream.io().cut.clone()
    }
}

struct Wire {
    stream: TcpStream,
    cut: Cut,
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.cut.check()?;
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.cut.check()?;
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
