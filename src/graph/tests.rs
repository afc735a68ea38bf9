//! The client against a scripted server: what is sent, what is repeated, and what never is.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use super::auth::{AccessToken, Account, TokenNeed, TokenSource};
use super::error::{ErrorKind, GraphError};
use super::fido2_methods::{Registration, RegistrationOutcome};
use super::testing::{ManualClock, Reply, Seen, Server};
use super::*;
use crate::model::{CredentialId, MethodId, Secret, UserId};
use crate::world::Clock as _;

mod doubt;

/// Hands out token 1, 2, 3 …: a new one whenever the last was refused.
#[derive(Default)]
struct Tokens(Mutex<(u32, Option<Arc<AccessToken>>, Vec<String>)>);

impl TokenSource for Tokens {
    fn bearer(&self, need: &TokenNeed) -> Result<Arc<AccessToken>, GraphError> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let (TokenNeed::Any, Some(token)) = (need, &state.1) {
            return Ok(Arc::clone(token));
        }
        state.0 += 1;
        let secret = Secret::new(format!("token-{}", state.0));
        let token = Arc::new(AccessToken { secret, until: Duration::MAX, account: Account::default() });
        state.1 = Some(Arc::clone(&token));
        Ok(token)
    }
    fn sign_in_unless(&self, _: &dyn Fn() -> bool) -> Result<Account, GraphError> {
        Ok(Account::default())
    }
    fn rejected(&self, token: &Arc<AccessToken>) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(state.1.take().is_some_and(|held| Arc::ptr_eq(&held, token)));
    }
    fn challenged(&self, claims: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).2.push(claims);
    }
}

struct Bench {
    graph: Graph,
    server: Server,
    clock: Arc<ManualClock>,
    tokens: Arc<Tokens>,
    events: Arc<Mutex<Vec<GraphEvent>>>,
}

impl Bench {
    fn over(server: Server, change: impl FnOnce(&mut GraphSettings)) -> Self {
        let cloud = Cloud::from_settings(Some(&server.url), Some(&server.url)).expect("loopback");
        let mut settings = GraphSettings::new(cloud);
        change(&mut settings);
        let (clock, tokens, events) = (Arc::new(ManualClock::new()), Arc::new(Tokens::default()), Arc::default());
        let record: Arc<Mutex<Vec<GraphEvent>>> = Arc::clone(&events);
        let observer = Arc::new(move |event| record.lock().unwrap_or_else(PoisonError::into_inner).push(event));
        let graph =
            Graph::connect(settings, Arc::clone(&tokens) as _, Arc::clone(&clock) as _, observer).expect("a client");
        Self { graph, server, clock, tokens, events }
    }

    fn answering(replies: Vec<Reply>) -> Self {
        Self::over(Server::answering(replies), |_| {})
    }

    fn register(&self) -> RegistrationOutcome {
        let credential = CredentialId::new(vec![7; 32]);
        let passkey = Registration {
            display_name: "Key #1",
            credential_id: &credential,
            client_data_json: "e30",
            attestation_object: "oA",
        };
        self.graph.register(&kim(), &passkey)
    }

    fn events(&self) -> Vec<GraphEvent> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn kim() -> UserId {
    UserId::new("11111111-0000-0000-0000-000000000001")
}

fn method() -> Value {
    json!({"id": "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc1", "displayName": "Key #1"})
}

fn ok(body: Value) -> Reply {
    Reply::json(200, body)
}

#[test]
fn each_request_has_its_token_and_an_id_that_errors_show() {
    let bench = Bench::answering(vec![
        ok(json!({"value": []})),
        Reply::json(403, json!({"error": {"code": "accessDenied", "message": "no"}})).with("request-id", "theirs"),
    ]);
    assert_eq!(bench.graph.passkeys(&kim()).expect("a list"), []);
    let error = bench.graph.passkeys(&kim()).expect_err("forbidden");
    let seen = bench.server.seen();
    let id = |seen: &Seen| seen.header("client-request-id").expect("an id").to_owned();
    assert_eq!(seen[0].header("authorization"), Some("Bearer token-1"));
    assert_eq!(seen[0].header("return-client-request-id"), Some("true"));
    assert_eq!(seen[0].target, format!("/v1.0/users/{}/authentication/fido2Methods", kim()));
    assert_ne!(id(&seen[0]), id(&seen[1]));
    assert!(error.to_string().contains(&id(&seen[1])) && error.to_string().contains("theirs"), "{error}");
    assert!(!error.to_string().contains("token-1"));
    assert_eq!(bench.graph.counts(), Counts { requests: 2, retries: 0 });
}

#[test]
fn a_throttled_call_waits_to_the_second_and_says_so() {
    let bench = Bench::answering(vec![Reply::status(429).with("Retry-After", "17"), ok(json!({"value": []}))]);
    bench.graph.passkeys(&kim()).expect("a list");
    assert_eq!(bench.clock.monotonic(), Duration::from_secs(17));
    assert_eq!(bench.graph.counts(), Counts { requests: 1, retries: 1 });
    assert!(matches!(bench.events().as_slice(), [GraphEvent::Throttled { seconds: 17, .. }]));
}

#[test]
fn retry_after_may_be_a_date_by_the_servers_clock() {
    let throttled = Reply::status(429)
        .with("Date", "Sat, 21 Nov 2026 09:00:00 GMT")
        .with("Retry-After", "Sat, 21 Nov 2026 09:00:09 GMT");
    let bench = Bench::answering(vec![throttled, ok(json!({"value": []}))]);
    bench.graph.passkeys(&kim()).expect("a list");
    assert_eq!(bench.clock.monotonic(), Duration::from_secs(9));
}

#[test]
fn a_throttled_registration_is_sent_again_after_the_wait() {
    let bench = Bench::answering(vec![Reply::status(429).with("Retry-After", "3"), Reply::json(201, method())]);
    assert!(matches!(bench.register(), RegistrationOutcome::Created(_)));
    assert_eq!(bench.server.seen().len(), 2);
}

#[test]
fn a_registration_without_an_answer_is_never_repeated() {
    for reply in [
        Reply::Silence,
        Reply::Cut("{\"id\":".to_owned()),
        Reply::status(503).with("Retry-After", "1"),
        Reply::Answer(200, vec![("Content-Type", "text/html".to_owned())], "<html>".to_owned()),
        ok(json!({"displayName": "no id"})),
        Reply::Answer(201, vec![], String::new()),
    ] {
        let server = Server::answering(vec![reply]);
        let bench = Bench::over(server, |settings| settings.timeouts.answer = Duration::from_millis(150));
        match bench.register() {
            RegistrationOutcome::Unknown(error) => {
                assert_eq!(error.kind(), ErrorKind::Unknown);
                assert!(error.next().contains("reads back"), "{error}");
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(bench.server.seen().len(), 1);
        assert_eq!(bench.clock.monotonic(), Duration::ZERO);
    }
}

#[test]
fn a_refused_registration_is_refused_and_its_body_has_no_more_than_the_type_has() {
    let bench = Bench::answering(vec![Reply::json(400, json!({"error": {"code": "badRequest", "message": "no"}}))]);
    let RegistrationOutcome::Refused(error) = bench.register() else { panic!("not refused") };
    assert_eq!((error.kind(), error.code()), (ErrorKind::Refused, Some("badRequest")));
    let body = bench.server.seen()[0].json();
    let credential = CredentialId::new(vec![7; 32]).to_base64url();
    assert_eq!(
        body,
        json!({"displayName": "Key #1", "publicKeyCredential": {"id": credential,
            "response": {"clientDataJSON": "e30", "attestationObject": "oA"}}})
    );
}

#[test]
fn a_read_is_repeated_until_the_service_recovers() {
    let bench = Bench::answering(vec![
        Reply::status(500),
        Reply::Cut("{\"value\"".to_owned()),
        Reply::Answer(200, vec![("Content-Type", "text/html".to_owned())], "<html>gateway</html>".to_owned()),
        ok(json!({"value": [method()]})),
    ]);
    let found = bench.graph.passkey_of(&kim(), &CredentialId::new(vec![7; 32])).expect("an answer");
    assert!(found.is_some());
    assert_eq!(bench.graph.counts(), Counts { requests: 1, retries: 3 });
    assert_eq!(bench.events().len(), 3);
}

#[test]
fn a_service_that_keeps_failing_is_given_up_after_more_than_a_minute() {
    let bench = Bench::over(Server::new(vec![Box::new(|_| Reply::status(500))]), |_| {});
    let error = bench.graph.passkeys(&kim()).expect_err("an outage");
    assert_eq!(error.kind(), ErrorKind::Outage);
    assert!(error.kind().pauses_bench());
    assert!(error.fact().contains("answering 500 since"), "{error}");
    let waited = bench.clock.monotonic();
    assert!(waited >= Duration::from_secs(60) && waited <= Duration::from_secs(120), "{waited:?}");
}

#[test]
fn pages_truncated_answers_and_emptiness_are_named() {
    let page = |kind: &str, body: &str| Reply::Answer(404, vec![("Content-Type", kind.to_owned())], body.to_owned());
    let bench = Bench::answering(vec![
        ok(json!({"value": [{"displayName": "no id"}]})),
        Reply::Answer(200, vec![], "{\"value\": [{\"id\"".to_owned()),
        Reply::Answer(200, vec![], String::new()),
        page("text/html", "<html>"),
    ]);
    let error = || bench.graph.passkeys(&kim()).expect_err("refused").to_string();
    assert!(error().contains("no id"));
    assert!(error().contains("ends in the middle"));
    assert!(error().contains("empty"));
    assert!(error().contains("404"));
}

#[test]
fn redirects_are_not_followed() {
    let other = Server::answering(vec![ok(json!({"value": []}))]);
    let bench = Bench::answering(vec![Reply::status(302).with("Location", other.url.clone())]);
    let error = bench.graph.passkeys(&kim()).expect_err("refused");
    assert!(error.to_string().contains("redirect"), "{error}");
    assert!(other.seen().is_empty());
}

#[test]
fn a_refused_token_is_renewed_once() {
    let bench = Bench::answering(vec![Reply::status(401), ok(json!({"value": []}))]);
    bench.graph.passkeys(&kim()).expect("a list");
    assert_eq!(bench.server.seen()[1].header("authorization"), Some("Bearer token-2"));
    let bench = Bench::over(Server::new(vec![Box::new(|_| Reply::status(401))]), |_| {});
    let error = bench.graph.passkeys(&kim()).expect_err("unauthorized");
    assert_eq!((error.kind(), bench.server.seen().len()), (ErrorKind::Unauthorized, 2));
    // The refused token is not offered again.
    assert!(bench.graph.passkeys(&kim()).is_err());
    assert_eq!(bench.server.seen()[2].header("authorization"), Some("Bearer token-3"));
}

#[test]
fn a_token_that_ends_during_a_wait_is_renewed_too() {
    let bench = Bench::answering(vec![
        Reply::status(429).with("Retry-After", "5"),
        Reply::status(401),
        Reply::json(201, method()),
    ]);
    assert!(matches!(bench.register(), RegistrationOutcome::Created(_)));
}

#[test]
fn an_answer_without_end_is_cut_off() {
    let bench = Bench::answering(vec![Reply::Answer(201, vec![], "x".repeat(9 << 20)), Reply::status(500)]);
    let RegistrationOutcome::Unknown(error) = bench.register() else { panic!("it may have been carried out") };
    assert!(error.cause().contains("larger than 8 MiB"), "{error}");
    assert_eq!(bench.server.seen().len(), 1);
}

#[test]
fn a_filters_page_is_not_taken_for_graphs_refusal() {
    let page = Reply::Answer(403, vec![("Content-Type", "text/html".to_owned())], "<html>blocked</html>".to_owned());
    let error = Bench::answering(vec![page]).graph.passkeys(&kim()).expect_err("blocked");
    assert_eq!((error.kind(), error.fixer()), (ErrorKind::Network, Fixer::NetworkAdmin));
}

#[test]
fn an_opaque_token_leaves_who_we_are_to_graph() {
    let bench = Bench::answering(vec![
        ok(json!({"id": "AB", "userPrincipalName": "admin@x.com"})),
        Reply::json(400, json!({"error": {"code": "BadRequest"}})),
    ]);
    let me = bench.graph.whoami().expect("an account");
    assert_eq!((me.object_id, me.name.as_deref()), (Some(UserId::new("ab")), Some("admin@x.com")));
    assert_eq!(bench.graph.whoami().expect("an application").object_id, None);
}

#[test]
fn a_claims_challenge_goes_to_the_next_sign_in() {
    let header = r#"Bearer realm="", error="insufficient_claims", claims="eyJhIjoxfQ==""#;
    let bench = Bench::answering(vec![Reply::status(401).with("WWW-Authenticate", header)]);
    let error = bench.graph.passkeys(&kim()).expect_err("unauthorized");
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    assert!(error.fact().contains("stronger sign-in"), "{error}");
    assert_eq!(bench.tokens.0.lock().expect("tokens").2, [r#"{"a":1}"#]);
    assert_eq!(bench.server.seen().len(), 1);
}

#[test]
fn nobody_listening_is_a_network_error_that_says_where() {
    let server = Server::answering(vec![]);
    let closed = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port");
    let url = format!("http://{closed}");
    let cloud = Cloud::from_settings(Some(&url), Some(&url)).expect("loopback");
    let bench = Bench::over(server, |settings| settings.cloud = cloud);
    let RegistrationOutcome::Refused(error) = bench.register() else { panic!("nothing was sent") };
    assert_eq!(error.kind(), ErrorKind::Network);
    assert!(error.to_string().contains("127.0.0.1"), "{error}");
    // Retried, since nothing left; given up well before an outage would be.
    assert!(bench.graph.counts().retries > 2);
    assert!(bench.clock.monotonic() <= Duration::from_secs(30));
}

#[test]
fn a_service_that_cant_prove_itself_gets_nothing_and_is_not_asked_again() {
    use std::io::Write as _;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("https://{}", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    let cloud = Cloud::from_settings(Some(&url), Some(&url)).expect("loopback");
    let bench = Bench::over(Server::answering(vec![]), |settings| settings.cloud = cloud);
    let RegistrationOutcome::Refused(error) = bench.register() else { panic!("nothing can have arrived") };
    assert_eq!(error.kind(), ErrorKind::Tls, "{error}");
    assert_eq!(bench.graph.counts(), Counts { requests: 1, retries: 0 });
}

#[test]
fn stopping_ends_the_wait() {
    let cancel = Cancel::new();
    let stop = cancel.clone();
    let server = Server::new(vec![Box::new(move |_| {
        stop.cancel();
        Reply::status(429).with("Retry-After", "500")
    })]);
    let bench = Bench::over(server, |settings| settings.cancel = cancel);
    let error = bench.graph.passkeys(&kim()).expect_err("stopped");
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    assert_eq!(bench.clock.monotonic(), Duration::ZERO);
}

#[test]
fn expiry_goes_by_the_servers_date() {
    let bench = Bench::answering(vec![
        ok(json!({"challengeTimeoutDateTime": "2026-11-21T09:05:00Z", "publicKey": {}}))
            .with("Date", "Sat, 21 Nov 2026 09:00:00 GMT"),
    ]);
    let options = bench.graph.creation_options(&kim(), None).expect("options");
    assert_eq!(options.server_time.to_string(), "2026-11-21T09:00:00Z");
    let deadline = "2026-11-21T09:05:00Z".parse().expect("a time");
    bench.clock.sleep(Duration::from_secs(100));
    assert_eq!(bench.graph.left_until(deadline), Duration::from_secs(200));
    assert_eq!(bench.graph.clock_skew().map(|skew| skew.as_hours()), Some(-8));
}

#[test]
fn options_come_wrapped_or_not_and_longer_from_beta_only() {
    let options = json!({"publicKey": {"challenge": "x"}});
    let script = || vec![ok(json!({"value": options})), ok(options.clone()), ok(json!({"value": []}))];
    let user = "users/11111111-0000-0000-0000-000000000001/authentication/fido2Methods";
    let usual = format!("/v1.0/{user}/creationOptions");
    // Whatever the settings say: v1.0 takes no wish.
    let long = format!("/beta/{user}/creationOptions(challengeTimeoutInMinutes=60)");
    for (api, minutes, path) in
        [(ApiVersion::V1, None, &usual), (ApiVersion::V1, Some(60), &long), (ApiVersion::Beta, Some(60), &long)]
    {
        let bench = Bench::over(Server::answering(script()), |settings| settings.api = api);
        for _ in 0..2 {
            let given = bench.graph.creation_options(&kim(), minutes).expect("options");
            assert_eq!(given.json["publicKey"]["challenge"], "x");
        }
        assert!(bench.graph.creation_options(&kim(), minutes).is_err());
        assert_eq!(bench.server.seen()[0].target, *path);
    }
}

#[test]
fn acting_on_oneself_is_explained() {
    let bench = Bench::answering(vec![Reply::json(405, json!({"error": {"code": "methodNotAllowed"}}))]);
    let error = bench.graph.creation_options(&kim(), None).expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::MethodNotAllowed);
    assert!(error.cause().contains("acting on itself"), "{error}");
}

#[test]
fn removing_what_is_gone_is_fine() {
    let bench = Bench::answering(vec![Reply::status(204), Reply::status(404), Reply::status(404), Reply::status(403)]);
    let id = MethodId::new("a/b1");
    assert!(bench.graph.remove_passkey(&kim(), &id).expect("removed"));
    assert!(!bench.graph.remove_passkey(&kim(), &id).expect("gone"));
    assert_eq!(bench.graph.passkey(&kim(), &id).expect("gone"), None);
    assert!(bench.graph.remove_passkey(&kim(), &id).is_err());
    let seen = bench.server.seen();
    assert_eq!((seen[0].method.as_str(), seen[2].method.as_str()), ("DELETE", "GET"));
    assert!(seen[0].target.ends_with("/fido2Methods/a%2Fb1"));
    for id in ["", ".", ".."] {
        assert!(bench.graph.remove_passkey(&kim(), &MethodId::new(id)).is_err());
    }
    assert!(bench.graph.passkeys(&UserId::new("")).is_err());
    assert_eq!(bench.server.seen().len(), 4);
}

#[test]
fn members_come_page_by_page_and_once_each() {
    let url = Arc::new(Mutex::new(String::new()));
    let origin = Arc::clone(&url);
    let server = Server::new(vec![Box::new(move |seen: &Seen| {
        let origin = origin.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let next = |token: &str| format!("{origin}/v1.0/groups/g1/x?$skiptoken={token}");
        assert_eq!(seen.header("ConsistencyLevel"), Some("eventual"));
        let user = |id: &str| json!({"@odata.type": "#microsoft.graph.user", "id": id, "userPrincipalName": format!("{id}@x.com")});
        if seen.target.ends_with("skiptoken=b%20c") {
            // An empty page is no end.
            ok(json!({"value": [], "@odata.nextLink": next("d")}))
        } else if seen.target.ends_with("skiptoken=d") {
            ok(json!({"value": [user("u2"), user("u1")]}))
        } else {
            assert!(
                seen.target.starts_with("/v1.0/groups/g1/transitiveMembers/microsoft.graph.user?$count=true&"),
                "{}",
                seen.target
            );
            ok(json!({"value": [user("u1")], "@odata.nextLink": next("b%20c")}))
        }
    })]);
    *url.lock().expect("url") = server.url.clone();
    let bench = Bench::over(server, |_| {});
    let members = bench.graph.group_members(&Group { id: "g1".to_owned(), name: "Pilot".to_owned() }).expect("members");
    assert_eq!(members.iter().map(|user| user.id.as_str()).collect::<Vec<_>>(), ["u1", "u2"]);
}

#[test]
fn a_next_link_elsewhere_gets_no_token() {
    let other = Server::answering(vec![ok(json!({"value": []}))]);
    for link in [format!("{}/v1.0/x", other.url), "https://graph.microsoft.com/v1.0/x".to_owned(), "/v1.0/x".to_owned()]
    {
        let bench = Bench::answering(vec![ok(json!({"value": [], "@odata.nextLink": link}))]);
        let error = bench.graph.passkeys(&kim()).expect_err("refused");
        assert!(error.to_string().contains("leads away"), "{error}");
    }
    assert!(other.seen().is_empty());
}

#[test]
fn groups_go_by_name_or_id() {
    let group = |id: &str| json!({"id": id, "displayName": "O'Neill's team"});
    let bench = Bench::answering(vec![
        ok(json!({"value": [group("a")]})),
        ok(json!({"value": [group("a"), group("b")]})),
        ok(json!({"value": []})),
        ok(group("C5F1A6B6-0000-0000-0000-000000000001")),
    ]);
    assert_eq!(bench.graph.find_group("O'Neill's team").expect("one").id, "a");
    let ambiguous = bench.graph.find_group("O'Neill's team").expect_err("two");
    assert_eq!(ambiguous.kind(), ErrorKind::Ambiguous);
    assert!(ambiguous.cause().contains("a, b"), "{ambiguous}");
    assert_eq!(bench.graph.find_group("O'Neill's team").expect_err("none").kind(), ErrorKind::NotFound);
    let by_id = bench.graph.find_group("C5F1A6B6-0000-0000-0000-000000000001").expect("by id");
    assert_eq!(by_id.id, "c5f1a6b6-0000-0000-0000-000000000001");
    let seen = bench.server.seen();
    assert!(
        seen[0].target.contains("$filter=displayName%20eq%20%27O%27%27Neill%27%27s%20team%27&"),
        "{}",
        seen[0].target
    );
    assert!(seen[3].target.starts_with("/v1.0/groups/C5F1A6B6-"), "{}", seen[3].target);
}

/// Answers a batch with one function from a part to `(status, headers, body)`; the parts in reverse order.
fn batch_server(part: impl Fn(&Value) -> (u16, Value, Value) + Send + 'static) -> Server {
    Server::new(vec![Box::new(move |seen: &Seen| {
        assert_eq!(seen.target, "/v1.0/$batch");
        let body = seen.json();
        let requests = body["requests"].as_array().expect("requests");
        assert!(requests.len() <= 20, "{} parts", requests.len());
        let responses: Vec<Value> = requests
            .iter()
            .rev()
            .map(|request| {
                let (status, headers, body) = part(request);
                json!({"id": request["id"], "status": status, "headers": headers, "body": body})
            })
            .collect();
        ok(json!({"responses": responses}))
    })])
}

#[test]
fn many_people_are_found_in_few_requests_in_their_order() {
    let server = batch_server(|request| {
        let url = request["url"].as_str().expect("a url");
        let name = url.trim_start_matches("/users/").split('%').next().unwrap_or("");
        if name == "p7" {
            return (404, json!({}), json!({"error": {"code": "Request_ResourceNotFound"}}));
        }
        (
            200,
            json!({}),
            json!({"id": name, "userPrincipalName": format!("{name}@x.com"), "accountEnabled": true, "userType": "Member"}),
        )
    });
    let bench = Bench::over(server, |_| {});
    let upns: Vec<String> = (0..65).map(|n| format!("p{n}@x.com")).collect();
    let users = bench.graph.find_users(&upns).expect("users");
    assert_eq!(users.len(), 65);
    for (n, user) in users.iter().enumerate() {
        assert_eq!(user.as_ref().map(|user| user.id.as_str().to_owned()), (n != 7).then(|| format!("p{n}")));
    }
    assert_eq!(bench.graph.counts(), Counts { requests: 4, retries: 0 });
}

#[test]
fn what_can_be_no_user_is_not_asked_for() {
    let server = batch_server(|request| {
        assert_eq!(request["url"].as_str().map(|url| url.starts_with("/users/p%40x.com?")), Some(true));
        (200, json!({}), json!({"id": "p"}))
    });
    let bench = Bench::over(server, |_| {});
    let users = bench.graph.find_users(&["..", "p@x.com", "", "a b@x.com"]).expect("users");
    assert_eq!(users.iter().map(Option::is_some).collect::<Vec<_>>(), [false, true, false, false]);
    assert_eq!(bench.graph.find_user("me").expect("nobody"), None);
    assert_eq!(bench.graph.counts().requests, 1);
}

#[test]
fn a_throttled_part_goes_again_alone() {
    let once = Mutex::new(true);
    let server = batch_server(move |request| {
        if request["url"].as_str().is_some_and(|url| url.contains("p1%40"))
            && std::mem::take(&mut *once.lock().expect("flag"))
        {
            return (429, json!({"Retry-After": "11"}), json!({"error": {"code": "TooManyRequests"}}));
        }
        (200, json!({}), json!({"id": request["id"].as_str()}))
    });
    let bench = Bench::over(server, |_| {});
    let users = bench.graph.find_users(&["p0@x.com", "p1@x.com", "p2@x.com"]).expect("users");
    assert!(users.iter().all(Option::is_some));
    assert_eq!(bench.clock.monotonic(), Duration::from_secs(11));
    assert_eq!(bench.graph.counts(), Counts { requests: 1, retries: 1 });
    let seen = bench.server.seen();
    assert_eq!(seen[1].json()["requests"].as_array().map(Vec::len), Some(1));
    assert_eq!(seen[1].json()["requests"][0]["id"], "1");
    assert!(matches!(bench.events().as_slice(), [GraphEvent::Throttled { seconds: 11, .. }]));
}

#[test]
fn a_part_that_keeps_failing_ends_the_look_up() {
    let server = batch_server(|_| (503, json!({}), json!({"error": {"code": "serviceUnavailable"}})));
    let bench = Bench::over(server, |_| {});
    let error = bench.graph.find_users(&["p0@x.com"]).expect_err("an outage");
    assert_eq!(error.kind(), ErrorKind::Outage);
    assert!(bench.clock.monotonic() >= Duration::from_secs(60));
}

#[test]
fn where_batches_are_refused_everything_is_asked_one_by_one() {
    for status in [403, 404, 405, 501] {
        let server = Server::new(vec![Box::new(move |seen: &Seen| {
            let Some(rest) = seen.target.strip_prefix("/v1.0/users/") else {
                assert_eq!(seen.target, "/v1.0/$batch");
                return Reply::json(status, json!({"error": {"code": "blocked"}}));
            };
            match rest.split('%').next() {
                Some("p2") => Reply::json(404, json!({"error": {"code": "Request_ResourceNotFound"}})),
                name => ok(json!({ "id": name })),
            }
        })]);
        let bench = Bench::over(server, |_| {});
        let upns: Vec<String> = (0..25).map(|n| format!("p{n}@x.com")).collect();
        for _ in 0..2 {
            let users = bench.graph.find_users(&upns).expect("users");
            let ids: Vec<Option<&str>> = users.iter().map(|user| user.as_ref().map(|user| user.id.as_str())).collect();
            let wanted: Vec<String> = (0..25).map(|n| format!("p{n}")).collect();
            let wanted: Vec<Option<&str>> =
                wanted.iter().map(|id| Some(id.as_str()).filter(|id| *id != "p2")).collect();
            assert_eq!(ids, wanted);
        }
        let batches = bench.server.seen().iter().filter(|seen| seen.target.ends_with("$batch")).count();
        assert!(batches <= 2, "{batches} batches: it is not tried again and again");
    }
}

#[test]
fn where_nothing_gets_through_it_is_not_the_batch() {
    let server = Server::new(vec![Box::new(|_| Reply::json(403, json!({"error": {"code": "accessDenied"}})))]);
    let bench = Bench::over(server, |_| {});
    let error = bench.graph.find_users(&["p0@x.com", "p1@x.com"]).expect_err("forbidden");
    assert_eq!(error.kind(), ErrorKind::Forbidden);
    assert!(!bench.graph.does_without_batches());
}

#[test]
fn privileges_and_memberships() {
    let server = Server::new(vec![Box::new(|seen: &Seen| {
        if seen.target.starts_with("/v1.0/groups?$filter=isAssignableToRole%20eq%20true") {
            return ok(json!({"value": [{"id": "RG", "displayName": "Admins"}]}));
        }
        let body = seen.json();
        let responses: Vec<Value> = body["requests"].as_array().expect("requests").iter().map(|request| {
            let url = request["url"].as_str().expect("a url");
            let body = if url.ends_with("/checkMemberGroups") {
                assert_eq!(request["body"], json!({"groupIds": ["rg"]}));
                assert_eq!(request["headers"]["Content-Type"], "application/json");
                json!({"value": if url.contains("u2") { vec!["RG"] } else { vec![] }})
            } else {
                assert!(url.contains("/transitiveMemberOf/microsoft.graph.directoryRole?$count=true"), "{url}");
                assert_eq!(request["headers"]["ConsistencyLevel"], "eventual");
                json!({"value": if url.contains("u1") { vec![json!({"id": "r", "displayName": "Helpdesk Administrator"})] } else { vec![] }})
            };
            json!({"id": request["id"], "status": 200, "body": body})
        }).collect();
        ok(json!({"responses": responses}))
    })]);
    let bench = Bench::over(server, |_| {});
    let users = ["u1", "u2", "u3"].map(UserId::new);
    assert_eq!(
        bench.graph.privileges(&users).expect("privileges"),
        [
            vec![Privilege::Role("Helpdesk Administrator".to_owned())],
            vec![Privilege::RoleAssignableGroup("Admins".to_owned())],
            vec![]
        ]
    );
    let before = bench.server.seen().len();
    assert_eq!(bench.graph.memberships(&users, &BTreeSet::new()).expect("none"), vec![BTreeSet::new(); 3]);
    assert_eq!(bench.server.seen().len(), before);
}

#[test]
fn passkeys_are_counted_over_pages() {
    let server = batch_server(|request| {
        let list = if request["url"].as_str().is_some_and(|url| url.contains("u1")) {
            vec![method(), method()]
        } else {
            vec![]
        };
        (200, json!({}), json!({"value": list}))
    });
    let bench = Bench::over(server, |_| {});
    assert_eq!(bench.graph.passkey_counts(&["u0", "u1"].map(UserId::new)).expect("counts"), [0, 2]);
}

#[test]
fn the_policy_is_read_and_a_missing_right_is_named() {
    let policy: Value = serde_json::from_str(include_str!("../../fixtures/graph/fido2-policy.json")).expect("a policy");
    let bench = Bench::answering(vec![
        ok(policy),
        Reply::json(403, json!({"error": {"code": "accessDenied"}})),
        ok(json!({"id": "Fido2"})),
    ]);
    assert!(bench.graph.fido2_policy().expect("a policy").enabled);
    assert!(bench.graph.fido2_policy().expect_err("forbidden").next().contains("Policy.Read.AuthenticationMethod"));
    assert!(bench.graph.fido2_policy().is_err());
}

#[test]
fn at_most_four_requests_are_under_way() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (inside, peak) = (Arc::clone(&now), Arc::clone(&most));
    // The server's steps run one at a time, so it counts from the client's side: between asking and being answered.
    let server = Server::new(vec![Box::new(|_| ok(json!({"value": []})))]);
    let cloud = Cloud::from_settings(Some(&server.url), Some(&server.url)).expect("loopback");
    let bench = Bench::over(server, |settings| settings.cloud = cloud);
    std::thread::scope(|scope| {
        for _ in 0..12 {
            scope.spawn(|| {
                let _permit = bench.graph.permit_for_test();
                peak.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                std::thread::yield_now();
                inside.fetch_sub(1, Ordering::SeqCst);
            });
        }
    });
    assert!((1..=4).contains(&most.load(Ordering::SeqCst)));
    // All permits came back.
    bench.graph.passkeys(&kim()).expect("a list");
}
