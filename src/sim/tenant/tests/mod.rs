//! The tenant over real HTTP, as a stranger would use it.

mod accounts;
mod directory;
mod insight;
mod passkeys;
mod refusals;
mod signing_in;
mod token_maker;
mod trouble;

use std::time::Duration;

use reqwest::blocking::{Client, RequestBuilder};
use serde_json::{Value, json};

use super::spec::{PersonSpec, TenantSpec, UserType};
use super::{RunningTenant, start};

/// A running tenant and someone who talks to it.
struct Caller {
    tenant: RunningTenant,
    http: Client,
    token: String,
}

/// An answer, taken apart.
struct Reply {
    status: u16,
    headers: reqwest::header::HeaderMap,
    text: String,
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("not JSON: {}", self.text))
    }

    fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or_default().to_owned()
    }

    fn header(&self, name: &str) -> String {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
    }
}

/// Kim and Lee are ordinary; the guest, the leaver and the chief are not.
fn spec() -> TenantSpec {
    let person = |upn: &str| PersonSpec { groups: vec!["Key holders".into()], ..PersonSpec::new(upn) };
    TenantSpec {
        people: vec![
            person("kim.o'reilly@contoso.example"),
            person("lee@contoso.example"),
            PersonSpec { user_type: UserType::Guest, ..person("guest@contoso.example") },
            PersonSpec { enabled: false, ..person("leaver@contoso.example") },
            PersonSpec {
                roles: vec!["Global Administrator".into()],
                passkeys: 2,
                ..PersonSpec::new("chief@contoso.example")
            },
        ],
        ..TenantSpec::default()
    }
}

const KIM: &str = "kim.o'reilly@contoso.example";

fn client() -> Client {
    // reqwest wants one even where no TLS is spoken. Installed already is just as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(20))
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .expect("a client")
}

impl Caller {
    /// Without a token.
    fn stranger(spec: TenantSpec) -> Self {
        let tenant = start(spec, "127.0.0.1:0".parse().expect("an address")).expect("a tenant");
        Self { tenant, http: client(), token: String::new() }
    }

    /// With the application's token.
    fn app(spec: TenantSpec) -> Self {
        let mut caller = Self::stranger(spec);
        let reply = caller.client_credentials(&caller.tenant.client_secret.clone());
        assert_eq!(reply.status, 200, "{}", reply.text);
        caller.token = reply.json()["access_token"].as_str().expect("a token").to_owned();
        caller
    }

    /// With the token of the person who signs in.
    fn person(spec: TenantSpec) -> Self {
        let mut caller = Self::stranger(spec);
        let begun = caller.form("devicecode", &[("scope", "https://graph.microsoft.com/.default offline_access")]);
        let code = begun.json()["device_code"].as_str().expect("a code").to_owned();
        let grant = ("grant_type", "urn:ietf:params:oauth:grant-type:device_code");
        loop {
            let reply = caller.form("token", &[grant, ("device_code", &code)]);
            if reply.status == 200 {
                caller.token = reply.json()["access_token"].as_str().expect("a token").to_owned();
                return caller;
            }
            assert_eq!(reply.json()["error"], "authorization_pending");
        }
    }

    /// A sign-in call with the client id filled in.
    fn form(&self, endpoint: &str, pairs: &[(&str, &str)]) -> Reply {
        let url = format!("{}/{}/oauth2/v2.0/{endpoint}", self.tenant.login_url, self.tenant.tenant_id);
        let mut all = vec![("client_id", self.tenant.client_id.as_str())];
        all.extend_from_slice(pairs);
        send(self.http.post(url).form(&all))
    }

    fn client_credentials(&self, secret: &str) -> Reply {
        let scope = "https://graph.microsoft.com/.default";
        self.form("token", &[("grant_type", "client_credentials"), ("scope", scope), ("client_secret", secret)])
    }

    fn get(&self, path: &str) -> Reply {
        send(self.request(reqwest::Method::GET, path))
    }

    fn post(&self, path: &str, body: &Value) -> Reply {
        send(self.request(reqwest::Method::POST, path).json(body))
    }

    fn request(&self, method: reqwest::Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.tenant.graph_url)).bearer_auth(&self.token)
    }

    fn id_of(&self, upn: &str) -> String {
        let state = self.tenant.state();
        let people = state["people"].as_array().expect("people");
        people.iter().find(|person| person["upn"] == upn).expect("somebody")["id"].as_str().expect("an id").to_owned()
    }

    fn sim(&self, what: &str, body: Value) {
        let reply = send(self.http.post(format!("{}/sim/{what}", self.tenant.graph_url)).json(&body));
        assert_eq!(reply.status, 200, "{}", reply.text);
    }
}

fn send(request: RequestBuilder) -> Reply {
    let answer = request.send().expect("an answer");
    Reply { status: answer.status().as_u16(), headers: answer.headers().clone(), text: answer.text().expect("a body") }
}

#[test]
fn it_listens_on_the_loopback_only() {
    let error = start(spec(), "0.0.0.0:0".parse().expect("an address")).expect_err("refused").to_string();
    assert!(error.contains("0.0.0.0") && error.contains("127.0.0.1:0"), "{error}");
}

#[test]
fn a_specification_that_can_not_be_is_refused_before_anything_listens() {
    let refused = |spoil: fn(&mut TenantSpec)| {
        let mut spec = spec();
        spoil(&mut spec);
        start(spec, "127.0.0.1:0".parse().expect("an address")).expect_err("refused").to_string()
    };
    assert!(refused(|spec| spec.people[1].upn = KIM.to_uppercase()).contains("twice"));
    assert!(refused(|spec| spec.policy.attestation_roots = vec!["x".into()]).contains("not PEM"));
}

#[test]
fn the_startup_line_and_the_state_have_their_agreed_shape() {
    let caller = Caller::app(spec());
    let line = super::startup_line(&caller.tenant);
    let names: Vec<&String> = line.as_object().expect("an object").keys().collect();
    assert_eq!(names, ["graph_url", "login_url", "tenant_id", "client_id", "client_secret", "upns"]);
    assert_eq!(line["upns"].as_array().expect("upns").len(), 5);
    let state = send(caller.http.get(format!("{}/sim/state", caller.tenant.graph_url))).json();
    assert_eq!(state, caller.tenant.state());
    assert_eq!(state["people"].as_array().expect("people").len(), 5, "the admin is not among them");
    assert_eq!(state["requests"], json!({ "token": 1 }));
    assert_eq!(state["rejected"], json!([]));
    let method = &state["people"][4]["methods"][0];
    let names: Vec<&String> = method.as_object().expect("an object").keys().collect();
    assert_eq!(names, ["id", "credential_id", "public_key", "aaguid", "display_name"]);
}

#[test]
fn the_same_seed_makes_the_same_tenant() {
    let (one, two) = (Caller::stranger(spec()), Caller::stranger(spec()));
    assert_eq!(one.tenant.client_secret, two.tenant.client_secret);
    assert_eq!(one.tenant.state(), two.tenant.state());
    let other = Caller::stranger(TenantSpec { seed: 2, ..spec() });
    assert_ne!(one.tenant.client_secret, other.tenant.client_secret);
}
