//! What Graph, the sign-in service and whatever stands between may answer.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use keybench::graph::auth::{AccessToken, TokenNeed};
use keybench::graph::methods_policy::Member;
use keybench::graph::oath_tokens::OathDevice;
use keybench::graph::sign_in_methods::SignInMethod;
use keybench::graph::{
    Account, ApiVersion, Budget, Cancel, Cloud, DevicePrompt, DirectoryUser, Fido2Method, Fido2Policy, Flow, Graph,
    GraphError, GraphSettings, Group, KeyFacts, NameTemplate, Pass, PassPolicy, Registration, RegistrationOutcome,
    SignIn, SignInPrompt, SignInSettings, Timeouts, TokenSource, retry,
};
use keybench::model::{Aaguid, CredentialId, MethodId, Secret, UserId};
use keybench::sim::tenant::{PersonSpec, TenantSpec, start};
use keybench::webauthn::creation_options::CreationOptions;

use crate::conversation::Moments;
use crate::fixture;
use crate::keys::now;
use crate::mutate::Form;
use crate::runner::Target;

pub fn creation_options() -> Target {
    let kept: Value = serde_json::from_slice(&fixture("webauthn/creation-options.json")).expect("JSON");
    let mut seeds = vec![captured().options];
    let mut add = |value: &Value| {
        if value.is_object() && value.to_string().contains("publicKey") {
            seeds.push(value.to_string().into_bytes());
        }
    };
    match &kept {
        Value::Object(members) => members.values().for_each(|value| {
            add(value);
            value.as_object().into_iter().flat_map(|inner| inner.values()).for_each(&mut add);
        }),
        Value::Array(items) => items.iter().for_each(&mut add),
        _ => {}
    }
    let run = |input: &[u8]| match CreationOptions::parse(input) {
        Ok(options) => {
            let data = options.client_data();
            let said = format!(
                "{} {} {:?}",
                options.exclude_list().count().min(3),
                data.json().len() > 100,
                options.time_left(now()).is_some()
            );
            let _ = format!("{options:?}");
            said
        }
        Err(error) => format!("{error} {}", error.next()),
    };
    Target { name: "creation-options", form: Form::Json(0), share: 2, seeds, run: Box::new(run) }
}

/// Graph's objects, each reader given each object.
pub fn json() -> Target {
    let captured = captured();
    let mut seeds: Vec<Vec<u8>> = captured.answers.into_iter().map(|(_, body)| body).collect();
    seeds.push(fixture("graph/fido2-policy.json"));
    seeds.push(br#"{"id":"VTq68f3tYhzyJyUPM50L5PO7CubO_Lv94MRz2xIPoVk1","displayName":"k","createdDateTime":"2026-11-21T10:00:00Z","aaGuid":"a25342c0-3cdc-4414-8e46-f4807fca511c","attestationLevel":"attested","passkeyType":"deviceBound"}"#.to_vec());
    for more in [
        r##"{"@odata.type":"#microsoft.graph.phoneAuthenticationMethod","id":"1","phoneNumber":"+1 5555551234","phoneType":"mobile"}"##,
        r#"{"id":"1","startDateTime":"2026-11-21T10:00:00Z","lifetimeInMinutes":60,"isUsableOnce":true,"methodUsabilityReason":"NotYetValid"}"#,
        r#"{"id":"7","serialNumber":"1","timeIntervalInSeconds":30,"status":"assigned","hashFunction":"hmacsha1","assignedTo":{"id":"5"}}"#,
        r#"{"state":"enabled","minimumLifetimeInMinutes":60,"isUsableOnce":false,"includeTargets":[{"id":"all_users","targetType":"group"}]}"#,
    ] {
        seeds.push(more.as_bytes().to_vec());
    }
    let run = |input: &[u8]| {
        let Ok(value) = serde_json::from_slice::<Value>(input) else { return "no JSON".into() };
        let credential = CredentialId::new([7; 32]);
        let (user, groups) = (UserId::new("user"), BTreeSet::from(["group".to_owned()]));
        let mut said = String::new();
        let nested = value["value"].as_array().cloned().unwrap_or_default();
        for value in std::iter::once(&value).chain(&nested).take(20) {
            let method = Fido2Method::from_json(value);
            let policy = Fido2Policy::from_json(value);
            let member = Member { user: &user, groups: &groups };
            let verdict = policy.accepts(Aaguid([1; 16]), true, member);
            let objection = policy.objection_to(member);
            let directory = DirectoryUser::from_json(value);
            let pass = Pass::from_json(value).map(|pass| pass.is_open(now()));
            let passes = PassPolicy::from_json(value);
            let way = SignInMethod::from_json(value).map(|method| method.removal(&user).len().min(40));
            let token = OathDevice::from_json(value).map(|device| device.is_activated());
            said += &format!("{pass:?} {} {way:?} {token:?} ", passes.covers(&user, &groups));
            said += &format!(
                "{:?} {} {} {} {:?} {} {};",
                method.as_ref().map(|method| method.is(&credential)),
                verdict.is_accepted(),
                objection.is_some_and(|objection| !objection.remedy().is_empty()),
                policy.groups().len().min(3),
                directory.map(|user| (user.enabled, user.guest)),
                policy.enforces_attestation(),
                policy.legacy,
            );
        }
        said
    };
    Target { name: "graph-json", form: Form::Json(0), share: 2, seeds, run: Box::new(run) }
}

/// Small texts: headers, ids, tokens, name templates.
pub fn text() -> Target {
    let seeds: Vec<Vec<u8>> = [
        "Sat, 21 Nov 2026 10:00:00 GMT",
        "120",
        "2_4Vb6SXwGtpyc0Tt7rUavuKfLLXk9QYIKTfco9RguI1",
        "eyJhbGciOiJub25lIn0.eyJvaWQiOiJ4IiwidGlkIjoieSIsInNjcCI6ImEgYiJ9.x",
        "{model} {serial} {date} {n}",
        "VTq68f3tYhzyJyUPM50L5PO7CubO_Lv94MRz2xIPoVk=",
        "http://127.0.0.1:8080",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec();
    let run = |input: &[u8]| {
        let text = String::from_utf8_lossy(input);
        let credential = CredentialId::new([7; 32]);
        let claims = format!("x.{}.x", URL_SAFE_NO_PAD.encode(input));
        let name = NameTemplate::parse(&text).map(|template| {
            let key = KeyFacts { model: Some(&text), serial: Some("1"), date: "2026-11-21", ordinal: 1 };
            template.render(&key).map(|name| assert!(name.encode_utf16().count() <= 128, "{name}")).is_ok()
        });
        format!(
            "{:?} {:?} {:?} {:?} {} {:?} {}",
            retry::retry_after(&text, Some(now())).is_some(),
            retry::http_date(&text).is_some(),
            keybench::model::credential_id::read(&text).map(|ids| ids.len().min(3)).is_ok(),
            keybench::model::credential_id::matches(&MethodId::new(text.clone()), &credential),
            Account::from_token(&text).app_only | Account::from_token(&claims).app_only,
            name.map_err(|error| error.to_string()),
            Cloud::from_settings(Some(&text), Some(&text)).is_ok(),
        )
    };
    const WORDS: &[&str] =
        &["{", "}", "{model}", "{serial}", ".", "GMT", ":", "-", "=", "http://", "[::1]", "\u{202e}", "\u{0}"];
    Target { name: "graph-text", form: Form::Text(WORDS), share: 1, seeds, run: Box::new(run) }
}

/// What a simulated tenant really answered, by operation.
struct Captured {
    options: Vec<u8>,
    /// Operation (see [`Client::operate`]) and body.
    answers: Vec<(u8, Vec<u8>)>,
}

fn captured() -> Captured {
    let mut kim = PersonSpec::new("kim@contoso.example");
    kim.passkeys = 2;
    kim.groups = vec!["Pilot".into()];
    kim.roles = vec!["Global Reader".into()];
    let spec = TenantSpec { people: vec![kim, PersonSpec::new("lee@contoso.example")], ..TenantSpec::default() };
    let tenant = start(spec, ([127, 0, 0, 1], 0).into()).expect("a tenant");
    // Installs the TLS provider that reqwest asks for.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::blocking::Client::builder().no_proxy().build().expect("a client");
    let body = |answer: reqwest::Result<reqwest::blocking::Response>| -> Vec<u8> {
        answer.and_then(reqwest::blocking::Response::bytes).expect("an answer").to_vec()
    };
    let token_url = format!("{}/{}/oauth2/v2.0/token", tenant.login_url, tenant.tenant_id);
    let token = |secret: &str| {
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", tenant.client_id.as_str()),
            ("client_secret", secret),
            ("scope", "https://graph.microsoft.com/.default"),
        ];
        let scope = format!("{}/.default", tenant.graph_url);
        let mut form = form.to_vec();
        if let Some(last) = form.last_mut() {
            last.1 = &scope;
        }
        body(http.post(&token_url).form(&form).send())
    };
    let (good, refused) = (token(&tenant.client_secret), token("wrong"));
    let bearer: Value = serde_json::from_slice(&good).expect("JSON");
    let bearer = bearer["access_token"].as_str().expect("a token").to_owned();
    let get = |path: &str| {
        let request = http.get(format!("{}/v1.0/{path}", tenant.graph_url)).bearer_auth(&bearer);
        body(request.header("ConsistencyLevel", "eventual").send())
    };
    let kim = "users/kim@contoso.example";
    let methods = format!("{kim}/authentication/fido2Methods");
    let batch = json!({"requests": [
        {"id": "0", "method": "GET", "url": "/users/kim@contoso.example?$select=id,userPrincipalName"},
        {"id": "1", "method": "GET", "url": "/users/nobody@contoso.example?$select=id"},
    ]});
    let batch = body(http.post(format!("{}/v1.0/$batch", tenant.graph_url)).bearer_auth(&bearer).json(&batch).send());
    let options = get(&format!("{methods}/creationOptions"));
    let list = get(&methods);
    let one = serde_json::from_slice::<Value>(&list).expect("JSON")["value"][0].to_string().into_bytes();
    let answers = vec![
        (0, get(&format!("{kim}?$select=id,userPrincipalName,displayName,accountEnabled,userType,mail"))),
        (1, batch.clone()),
        (2, batch.clone()),
        (3, batch.clone()),
        (4, batch),
        (5, get("groups?$filter=displayName%20eq%20%27Pilot%27&$select=id,displayName")),
        (6, get("groups?$filter=displayName%20eq%20%27Pilot%27&$select=id,displayName")),
        (7, get("policies/authenticationMethodsPolicy/authenticationMethodConfigurations/fido2")),
        (8, options.clone()),
        (9, one.clone()),
        (10, list),
        (11, one),
        (12, b"{}".to_vec()),
        (13, get(&format!("{kim}?$select=id,userPrincipalName"))),
        (14, good.clone()),
        (14, refused),
        (15, br#"{"device_code":"x","user_code":"ABC","verification_uri":"https://x.example/","expires_in":900,"interval":5,"access_token":"a.b.c","token_type":"Bearer"}"#.to_vec()),
        (8, get("users/nobody@contoso.example/authentication/fido2Methods/creationOptions")),
        (0, b"<!DOCTYPE html><html><body>Proxy</body></html>".to_vec()),
        (7, Vec::new()),
    ];
    Captured { options, answers }
}

/// The whole client against a server that answers anything. Steering: operation, status, content type, headers.
pub fn answers() -> Target {
    let seeds = captured()
        .answers
        .into_iter()
        .map(|(operation, body)| {
            let status = if operation == 14 && body.windows(9).any(|part| part == b"error_des") { 4 } else { 0 };
            [&[operation, status, 0, 0][..], &body].concat()
        })
        .collect();
    let mut client = Client::new();
    Target {
        name: "graph-answers",
        form: Form::Json(4),
        share: 4,
        seeds,
        run: Box::new(move |input| {
            let steering = [0, 1, 2, 3].map(|at| input.get(at).copied().unwrap_or(0));
            client.operate(steering, input.get(4..).unwrap_or_default())
        }),
    }
}

type Reply = Arc<Mutex<Vec<u8>>>;

struct Client {
    reply: Reply,
    cloud: Cloud,
    graph: Graph,
    clock: Arc<Moments>,
}

struct Nobody;

impl SignInPrompt for Nobody {
    fn device_code(&self, _: &DevicePrompt) {}
    fn visit(&self, _: &str) -> Result<(), String> {
        Err("nobody is here".into())
    }
}

/// Always the same good token.
struct Ticket;

impl TokenSource for Ticket {
    fn bearer(&self, _: &TokenNeed) -> Result<Arc<AccessToken>, GraphError> {
        let account = Account::from_token("");
        Ok(Arc::new(AccessToken { secret: Secret::new("t".into()), until: Duration::MAX, account }))
    }
    fn sign_in_unless(&self, _: &dyn Fn() -> bool) -> Result<Account, GraphError> {
        Ok(Account::from_token(""))
    }
    fn rejected(&self, _: &Arc<AccessToken>) {}
    fn challenged(&self, _: String) {}
}

const TIMEOUTS: Timeouts = Timeouts { connect: Duration::from_secs(20), answer: Duration::from_secs(20) };
/// Waits pass at once (the clock is not real), so that a try or two more cost little.
const BUDGET: Budget =
    Budget { outage: Duration::from_secs(5), connect: Duration::from_secs(5), throttle: Duration::from_secs(5) };

impl Client {
    fn new() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let reply = Reply::default();
        // Several, because clients open connections that they then don't use; few, because each takes memory of its own.
        for _ in 0..4 {
            let (told, listener) = (Arc::clone(&reply), listener.try_clone().expect("another handle"));
            std::thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    // A client that has gone is the next request's business.
                    let _ = answer(stream, &told);
                }
            });
        }
        let cloud = Cloud::from_settings(Some(&address), Some(&address)).expect("loopback");
        let clock = Arc::new(Moments::default());
        let mut settings = GraphSettings::new(cloud.clone());
        (settings.timeouts, settings.budget) = (TIMEOUTS, BUDGET);
        settings.api = ApiVersion::V1;
        let graph = Graph::connect(settings, Arc::new(Ticket), clock.clone(), Arc::new(|_| {})).expect("a client");
        Self { reply, cloud, graph, clock }
    }

    fn operate(&mut self, [operation, status, kind, headers]: [u8; 4], body: &[u8]) -> String {
        const STATUS: [u16; 16] = [200, 201, 204, 200, 400, 401, 403, 404, 409, 410, 429, 500, 503, 302, 424, 200];
        const KINDS: [&str; 4] = ["application/json", "text/html", "application/json; charset=utf-16", "\u{1}"];
        const HEADERS: [&str; 8] = [
            "",
            "Retry-After: 1\r\n",
            "Retry-After: 99999999999999999999\r\n",
            "WWW-Authenticate: Bearer error=\"insufficient_claims\", claims=\"e30\"\r\n",
            "Date: Thu, 30 Dec 9999 21:59:59 GMT\r\n",
            "Date: Fri, 32 Dec 9999999 99:99:99 GMT\r\nrequest-id: \u{1b}[2J\r\n",
            "Location: /elsewhere\r\nContent-Encoding: gzip\r\n",
            "WWW-Authenticate: Bearer claims=\"\r\nclient-request-id: x\r\n",
        ];
        let head = format!(
            "HTTP/1.1 {} X\r\nContent-Type: {}\r\n{}Content-Length: {}\r\nConnection: close\r\n\r\n",
            STATUS[usize::from(status) % 16],
            KINDS[usize::from(kind) % 4],
            HEADERS[usize::from(headers) % 8],
            // Sometimes a promise that is not kept.
            body.len() + if headers >= 0xF0 { 10 } else { 0 },
        );
        *self.reply.lock().unwrap_or_else(PoisonError::into_inner) = [head.as_bytes(), body].concat();
        let user = UserId::new("8b7c5b1e-0000-4000-8000-000000000001");
        let users = [user.clone(), UserId::new("8b7c5b1e-0000-4000-8000-000000000002")];
        let credential = CredentialId::new([7; 32]);
        let graph = &self.graph;
        let said = |result: Result<String, GraphError>| match result {
            Ok(text) => text,
            Err(error) => {
                assert!(!error.fact().is_empty() && !error.next().is_empty(), "{error:?}");
                let shown = format!("{error} {} {}", error.cause(), error.next());
                assert!(!shown.contains('\u{1b}'), "control characters from a server reach the screen: {shown:?}");
                format!("{:?} {:?} {:?}", error.kind(), error.status(), error.code())
            }
        };
        let operation = operation % 16;
        let outcome = match operation {
            0 => said(graph.find_user("kim@contoso.example").map(|found| format!("{}", found.is_some()))),
            1 => said(graph.find_users(&["kim@contoso.example", "x"]).map(|found| format!("{}", found.len()))),
            2 => {
                let groups = BTreeSet::from(["8b7c5b1e-0000-4000-8000-000000000009".to_owned()]);
                said(graph.memberships(&users, &groups).map(|found| format!("{}", found.len())))
            }
            3 => said(graph.privileges(&users).map(|found| format!("{}", found.len()))),
            4 => said(graph.passkey_counts(&users).map(|found| format!("{}", found.len()))),
            5 => said(graph.find_group("Pilot").map(|_| "found".into())),
            6 => {
                let group = Group { id: "g".into(), name: "Pilot".into() };
                said(graph.group_members(&group).map(|found| format!("{}", found.len().min(3))))
            }
            7 => said(graph.fido2_policy().map(|policy| format!("{} {}", policy.enabled, policy.legacy))),
            8 => said(graph.creation_options(&user, None).map(|options| {
                CreationOptions::parse(options.json.to_string().as_bytes())
                    .err()
                    .map(|error| error.to_string())
                    .unwrap_or_default()
            })),
            9 => {
                let passkey = Registration {
                    display_name: "k",
                    credential_id: &credential,
                    client_data_json: "e30",
                    attestation_object: "oA",
                };
                match graph.register(&user, &passkey) {
                    RegistrationOutcome::Created(_) => "created".into(),
                    RegistrationOutcome::Unknown(error) => format!("unknown {}", said(Err(error))),
                    RegistrationOutcome::Refused(error) => format!("refused {}", said(Err(error))),
                }
            }
            10 => said(graph.passkey_of(&user, &credential).map(|found| format!("{}", found.is_some()))),
            11 => {
                let method = MethodId::new("m");
                said(graph.passkey(&user, &method).map(|found| format!("{}", found.is_some())))
            }
            12 => said(graph.remove_passkey(&user, &MethodId::new("m")).map(|removed| format!("{removed}"))),
            13 => said(graph.whoami().map(|account| format!("{:?}", account.object_id.is_some()))),
            _ => {
                let flow = if operation == 14 { Flow::Secret(Secret::new("s".into())) } else { Flow::DeviceCode };
                let settings = SignInSettings {
                    cloud: self.cloud.clone(),
                    tenant: "8b7c5b1e-0000-4000-8000-000000000000".into(),
                    client_id: "8b7c5b1e-0000-4000-8000-00000000000c".into(),
                    flow,
                    timeouts: TIMEOUTS,
                    budget: BUDGET,
                    cancel: Cancel::new(),
                };
                said(SignIn::new(settings, self.clock.clone(), Arc::new(Nobody)).and_then(|sign_in| {
                    sign_in.sign_in().map(|account| format!("{:?}", account.can_register_passkeys()))
                }))
            }
        };
        let clocks = (graph.server_now(), graph.left_until(now()), graph.clock_skew());
        assert!(!format!("{clocks:?}").is_empty());
        format!("{operation}-{} {outcome}", STATUS[usize::from(status) % 16] / 100)
    }
}

/// Reads one request, whatever it is, and answers it.
fn answer(mut stream: TcpStream, reply: &Reply) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        if let Some(text) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = text.trim().parse().unwrap_or(0);
        }
        if line.trim().is_empty() {
            break;
        }
    }
    std::io::copy(&mut reader.take(length), &mut std::io::sink())?;
    let reply = reply.lock().unwrap_or_else(PoisonError::into_inner).clone();
    stream.write_all(&reply)
}
