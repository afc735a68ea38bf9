//! Writes that are sent again because twice is as good as once: however they end, nobody is told that they were not carried out
//! when they may have been.

use super::super::authentication_methods::Method;
use super::*;

type Write = (&'static str, fn(&Graph) -> Result<(), GraphError>);

/// What keeps coming in place of an answer.
type Trouble = (&'static str, fn() -> Reply);

fn group() -> Group {
    Group { id: "g1".to_owned(), name: "Pilot".to_owned() }
}

/// One of each kind: PATCH, PUT, DELETE, POST of which twice is as good as once.
const WRITES: [Write; 8] = [
    ("a method", |graph| {
        let change = Document::from_json(json!({"state": "enabled"})).expect("an object");
        graph.change_method_configuration(&Method::Sms, &change).map(drop)
    }),
    ("a policy", |graph| {
        let change = Document::from_json(json!({"state": "enabled"})).expect("an object");
        graph.change_conditional_access_policy("p1", &change).map(drop)
    }),
    ("device registration", |graph| {
        let whole = Document::from_json(json!({"id": "x"})).expect("an object");
        graph.replace_device_registration_policy(&whole).map(drop)
    }),
    ("no policy any more", |graph| graph.delete_conditional_access_policy("p1").map(drop)),
    ("no pass any more", |graph| graph.revoke_pass(&kim(), &MethodId::new("m1")).map(drop)),
    ("no member any more", |graph| graph.remove_member(&group(), &kim()).map(drop)),
    ("a licence", |graph| graph.assign_licence(&kim(), "sku").map(drop)),
    ("no sessions", |graph| graph.revoke_sessions(&kim())),
];

fn page() -> Reply {
    Reply::Answer(200, vec![("Content-Type", "text/html".to_owned())], "<html>please sign in</html>".to_owned())
}

fn always(reply: fn() -> Reply) -> Bench {
    Bench::over(Server::new(vec![Box::new(move |_| reply())]), |_| {})
}

#[test]
fn a_write_that_nobody_answered_is_unknown_once_patience_ends() {
    let replies: [Trouble; 3] =
        [("cut", || Reply::Cut("{".to_owned())), ("504", || Reply::status(504)), ("a page", page)];
    for (what, write) in WRITES {
        for (why, reply) in replies {
            let bench = always(reply);
            let error = write(&bench.graph).expect_err("no answer");
            assert_eq!(error.kind(), ErrorKind::Unknown, "{what}, {why}: {error}");
            assert!(matches!(error.trouble(), ErrorKind::Network | ErrorKind::Outage), "{what}, {why}: {error}");
            assert!(error.cause().contains("may or may not have been carried out"), "{what}, {why}: {error}");
            assert!(bench.graph.counts().retries > 2, "{what}, {why}: it is tried again first");
        }
    }
}

#[test]
fn a_page_is_nobodys_success() {
    let error = always(page).graph.revoke_sessions(&kim()).expect_err("a page");
    assert!(error.fact().contains("A web page came"), "{error}");
    let error = always(page).graph.passkeys(&kim()).expect_err("a page");
    assert_eq!(error.kind(), ErrorKind::Outage, "nothing comes of a read: {error}");
    // What has no content is no page, whatever type it names.
    let empty = || Reply::status(204).with("Content-Type", "text/html");
    always(empty).graph.revoke_sessions(&kim()).expect("carried out");
}

#[test]
fn stopping_during_the_wait_leaves_a_write_unknown_and_a_read_stopped() {
    let stopped = || {
        let cancel = Cancel::new();
        let stop = cancel.clone();
        let server = Server::new(vec![Box::new(move |_| {
            stop.cancel();
            Reply::status(504)
        })]);
        Bench::over(server, |settings| settings.cancel = cancel)
    };
    for (what, write) in WRITES {
        let error = write(&stopped().graph).expect_err("stopped");
        assert_eq!((error.kind(), error.trouble()), (ErrorKind::Unknown, ErrorKind::Cancelled), "{what}: {error}");
    }
    assert_eq!(stopped().graph.passkeys(&kim()).expect_err("stopped").kind(), ErrorKind::Cancelled);
}

#[test]
fn a_write_that_never_left_is_no_riddle() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port");
    let url = format!("http://{closed}");
    for (what, write) in WRITES {
        let cloud = Cloud::from_settings(Some(&url), Some(&url)).expect("loopback");
        let bench = Bench::over(Server::answering(vec![]), |settings| settings.cloud = cloud);
        assert_eq!(write(&bench.graph).expect_err("nobody listens").kind(), ErrorKind::Network, "{what}");
    }
    // Throttled until patience ends: not carried out, each time.
    let throttled = always(|| Reply::status(429).with("Retry-After", "0"));
    let error = throttled.graph.revoke_sessions(&kim()).expect_err("throttled");
    assert_eq!(error.kind(), ErrorKind::Throttled);
    assert!(throttled.server.seen().len() < 100, "{} requests", throttled.server.seen().len());
}

#[test]
fn a_refusal_of_the_repetition_says_nothing_of_the_first() {
    let forbidden = || Reply::json(403, json!({"error": {"code": "accessDenied"}}));
    for (what, write) in WRITES {
        let bench = Bench::answering(vec![Reply::status(504), forbidden()]);
        let error = write(&bench.graph).expect_err("forbidden");
        assert_eq!((error.kind(), error.trouble()), (ErrorKind::Unknown, ErrorKind::Forbidden), "{what}: {error}");
        assert_eq!(write(&Bench::answering(vec![forbidden()]).graph).expect_err("plain").kind(), ErrorKind::Forbidden);
    }
}

#[test]
fn what_is_gone_after_a_deletion_without_an_answer_was_taken_by_us() {
    let id = MethodId::new("m1");
    let bench = Bench::answering(vec![Reply::Cut(String::new()), Reply::status(404)]);
    assert!(bench.graph.revoke_pass(&kim(), &id).expect("gone").by_us);
    let bench = Bench::answering(vec![Reply::status(503), Reply::status(404)]);
    assert!(bench.graph.remove_passkey(&kim(), &id).expect("gone"));
    // Without such an attempt it was somebody else's doing.
    let bench = Bench::answering(vec![Reply::status(429), Reply::status(404)]);
    assert!(!bench.graph.revoke_pass(&kim(), &id).expect("gone").by_us);
}
