//! Every refusal has its words, and a test that hears them: those that no other file hears are played here, and the last test
//! compares the sentences in the source with those that tests look for.

use std::collections::BTreeSet;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Method;
use serde_json::{Value, json};

use super::super::spec::{ProfileSpec, SignInOutcome, TenantSpec};
use super::passkeys::{options, path, refused as registration_refused};
use super::signing_in::{answered, assertion, authorize, present, registered};
use super::token_maker::Maker;
use super::{Caller, KIM, Reply, send, spec};

const LEE: &str = "/v1.0/users/lee%40contoso.example";

/// The status, and a part of the sentence, wherever it stands in the answer.
fn says(reply: &Reply, status: u16, words: &str) {
    assert_eq!(reply.status, status, "{words}: {}", reply.text);
    assert!(reply.text.contains(words), "{words}: {}", reply.text);
}

/// The same of a sign-in.
fn signs(reply: &Reply, code: u64, words: &str) {
    assert_eq!(reply.json()["error_codes"][0].as_u64(), Some(code), "{words}: {}", reply.text);
    assert!(reply.text.contains(words), "{words}: {}", reply.text);
}

fn with(change: impl FnOnce(&mut TenantSpec)) -> Caller {
    let mut spec = spec();
    change(&mut spec);
    Caller::app(spec)
}

#[test]
fn tokens_that_are_none_are_told_apart() {
    let caller = Caller::app(spec());
    let bare = send(caller.http.get(format!("{}/v1.0/users", caller.tenant.graph_url)));
    says(&bare, 401, "Access token is empty.");
    let other = send(caller.http.get(format!("{}/v1.0/users", caller.tenant.graph_url)).bearer_auth("x"));
    says(&other, 401, "JWT is not well formed");
    caller.tenant.advance(3600);
    says(&caller.get("/v1.0/users"), 401, "the token is expired");
}

#[test]
fn signing_in_is_refused_in_words() {
    let caller = Caller::stranger(spec());
    signs(&caller.form("token", &[]), 900_144, "The request body must contain the following parameter: 'grant_type'");
    let url = format!("{}/8a2b0000-0000-4000-8000-000000000000/oauth2/v2.0/token", caller.tenant.login_url);
    let form = [("grant_type", "client_credentials"), ("client_id", caller.tenant.client_id.as_str())];
    signs(&send(caller.http.post(url).form(&form)), 90_002, "Check to make sure you have the correct tenant ID");
    signs(&caller.form("devicecode", &[("scope", "Mail.Read")]), 65_001, "has not consented to use the application");
    let grant = ("grant_type", "client_credentials");
    let secret = ("client_secret", caller.tenant.client_secret.as_str());
    let app = |scope: &str| caller.form("token", &[grant, secret, ("scope", scope)]);
    signs(&app("User.Read.All"), 1_002_012, "Client credential flows must have a scope value");
    signs(&caller.form("devicecode", &[("scope", " ")]), 70_011, "the input parameter 'scope' is not valid.");
    signs(&app("https://other.example/.default"), 500_011, "was not found in the tenant");
    let device = ("grant_type", "urn:ietf:params:oauth:grant-type:device_code");
    signs(&caller.form("token", &[device, ("device_code", "x")]), 70_018, "Invalid verification code.");
    let begun = caller.form("devicecode", &[("scope", "User.Read")]).json();
    let code = begun["device_code"].as_str().expect("a code").to_owned();
    signs(&caller.form("token", &[device, ("device_code", &code)]), 70_016, "Authorization is pending.");
    let refresh = [("grant_type", "refresh_token"), ("refresh_token", "x")];
    signs(&caller.form("token", &refresh), 700_082, "The refresh token has expired");
    let unknown = [
        ("grant_type", "authorization_code"),
        ("code", "x"),
        ("redirect_uri", "http://localhost"),
        ("code_verifier", "verifier"),
    ];
    signs(&caller.form("token", &unknown), 9_002_313, "Request is malformed or invalid.");
    let place = "http://localhost:50123";
    let code = answered(&authorize(&caller, &[]), "code").expect("a code");
    let redeem = [unknown[0], ("code", &code), ("redirect_uri", place), unknown[3]];
    assert_eq!(caller.form("token", &redeem).status, 200);
    signs(&caller.form("token", &redeem), 54_005, "was already redeemed");

    let mut no = spec();
    no.sign_in.outcome = SignInOutcome::Decline;
    let declined = answered(&authorize(&Caller::stranger(no), &[]), "error_description").expect("a text");
    assert!(declined.contains("User declined to consent"), "{declined}");
    let mut off = spec();
    off.sign_in.upn = Some("leaver@contoso.example".into());
    off.sign_in.polls = 0;
    let caller = Caller::stranger(off);
    let begun = caller.form("devicecode", &[("scope", "User.Read")]).json();
    let code = begun["device_code"].as_str().expect("a code");
    signs(&caller.form("token", &[device, ("device_code", code)]), 50_057, "The user account is disabled.");
    let mut odd = spec();
    odd.app.redirect_uris.push("no url".into());
    let page = authorize(&Caller::stranger(odd), &[("redirect_uri", "no url")]);
    assert!(page.status == 400 && page.text.contains("AADSTS50011"), "what is no URL matches none: {}", page.text);
    let mut old = spec();
    old.app.secret_expired = true;
    let caller = Caller::stranger(old);
    signs(&caller.client_credentials(&caller.tenant.client_secret), 7_000_222, "client secret keys for app");
}

#[test]
fn an_assertion_is_refused_in_words() {
    let (caller, header) = registered();
    signs(&present(&caller, "a.b"), 50_027, "JWT token is invalid or malformed.");
    signs(&present(&caller, "a.b.c"), 50_027, "JWT token is invalid or malformed.");
    let mut other = header.clone();
    other["alg"] = json!("HS256");
    signs(&present(&caller, &assertion(&caller, &other, &json!({}))), 700_027, "alg is neither PS256 nor RS256.");
    signs(&present(&caller, &assertion(&caller, &header, &json!({ "jti": "" }))), 50_027, "jti is missing.");
}

#[test]
fn the_directory_refuses_in_words() {
    let caller = with(|spec| spec.app.permissions.push("Application.ReadWrite.All".into()));
    says(&caller.post("/v1.0/applications", &json!([])), 400, "Empty Payload.");
    says(
        &caller.get("/v1.0/users?$select=id,shoeSize"),
        400,
        "Could not find a property named 'shoeSize' on type 'microsoft.graph.user'.",
    );
    says(&caller.get("/v1.0/users?$top=1000"), 400, "between 1 and 999 inclusive");
    says(&caller.get("/v1.0/users?$skiptoken=x"), 400, "page token value has expired");
    let ids: Vec<String> = (0..16).map(|number| format!("'{number}'")).collect();
    let many = format!("/v1.0/users?$filter=id%20in%20({})", ids.join(","));
    says(&caller.get(&many), 400, "Too many child clauses");
    let long = format!("/v1.0/users?$filter=displayName%20eq%20'{}'", "x".repeat(121));
    says(&caller.get(&long), 400, "A value of the filter is longer than");
    says(
        &caller.get("/v1.0/groups?$select=colour"),
        400,
        "Could not find a property named 'colour' on type 'microsoft.graph.group'.",
    );
    says(&caller.get("/v1.0/groups/xyz"), 400, "Invalid object identifier 'xyz'.");
    let groups = caller.get("/v1.0/groups").json();
    let group = groups["value"][0]["id"].as_str().expect("a group").to_owned();
    let cast = |what: &str| caller.get(&format!("{what}/microsoft.graph.device"));
    says(&cast(&format!("/v1.0/groups/{group}/members")), 400, "Resource not found for the segment");
    says(&cast(&format!("{LEE}/memberOf")), 400, "Resource not found for the segment");
    says(&caller.get("/v1.0/thereIsNoSuchThing"), 400, "Resource not found for the segment 'thereIsNoSuchThing'.");
    says(&caller.post(&format!("{LEE}/checkMemberGroups"), &json!({})), 400, "groupIds is an array of 1 to 20 ids.");
    let report = "/v1.0/reports/authenticationMethods/userRegistrationDetails/8a2b0000-0000-4000-8000-000000000000";
    says(&caller.get(report), 404, "registration details were not found");
    says(&caller.post("/v1.0/users", &json!({})), 400, "A value is required for property 'userPrincipalName'");
    let person = json!({
        "accountEnabled": true, "displayName": "New", "mailNickname": "a b", "userPrincipalName": "new@contoso.example",
    });
    says(&caller.post("/v1.0/users", &person), 400, "Invalid value specified for property 'mailNickname'");
    says(&caller.post("/v1.0/groups", &json!({})), 400, "of resource 'Group'");
    says(
        &caller.post("/v1.0/groups", &json!({ "displayName": "x", "mailNickname": "x" })),
        400,
        "property 'mailEnabled'",
    );
    let passes = format!("{LEE}/authentication/temporaryAccessPassMethods");
    says(&caller.post(&passes, &json!({ "isUsableOnce": "yes" })), 400, "Cannot convert the value of 'isUsableOnce'");
    says(&caller.post(&passes, &json!({ "lifetimeInMinutes": 1 })), 400, "Invalid LifetimeInMinutes specified.");
    let devices = "/beta/directory/authenticationMethodDevices/hardwareOathDevices";
    let empty = json!({ "@context": "#$delta", "value": [{ "@contentId": "1" }] });
    let uploaded = send(caller.request(Method::PATCH, devices).json(&empty));
    says(&uploaded, 200, "A value is required for property 'secretKey'.");
    let nowhere = send(caller.http.get(format!("{}/sim/nothing", caller.tenant.graph_url)));
    says(&nowhere, 404, "Under /sim there are: GET state");
}

#[test]
fn a_batch_is_refused_in_words() {
    let caller = Caller::app(spec());
    let batch = |requests: Value| caller.post("/v1.0/$batch", &json!({ "requests": requests }));
    let get = |id: &str, url: &str| json!({ "id": id, "method": "GET", "url": url });
    says(&caller.post("/v1.0/$batch", &json!([])), 400, "Invalid batch payload format.");
    says(&batch(json!([])), 400, "Number of batch request steps must be between 1 and the maximum value of 20.");
    says(&batch(json!([get("a", "/users"), get("A", "/users")])), 400, "Batch request id 'A' is not unique.");
    says(&batch(json!([{ "method": "GET", "url": "/users" }])), 400, "A batch request has no 'id'.");
    says(&batch(json!([get("a", "users")])), 400, "is not relative to the version.");
    let headers = json!({ "Content-Type": "application/json" });
    let inner =
        json!({ "id": "a", "method": "POST", "url": "/$batch", "headers": headers, "body": { "requests": [] } });
    says(&batch(json!([inner])), 200, "A batch can't hold this request.");
    let mut second = get("b", "/users");
    second["dependsOn"] = json!(["a"]);
    says(&batch(json!([get("a", "/groups/xyz"), second])), 200, "A request this one depends on failed.");
}

#[test]
fn a_registration_is_refused_in_words() {
    let caller = Caller::app(spec());
    let good = Maker::new(9).answer(&options(&caller, KIM));
    let changed = |pointer: &str, name: &str, value: Value, words: &str| {
        let mut body = good.clone();
        body.pointer_mut(pointer).expect("a place")[name] = value;
        says(&caller.post(&path(KIM), &body), 400, words);
    };
    changed("", "displayName", "x".repeat(31).into(), "displayName is a text of 1 to 30 characters.");
    changed("", "@odata.type", "#microsoft.graph.other".into(), "but should be");
    changed("", "publicKeyCredential", 1.into(), "publicKeyCredential is missing or not an object.");
    changed("/publicKeyCredential", "clientExtensionResults", 1.into(), "clientExtensionResults is not an object.");
    changed("/publicKeyCredential", "id", 1.into(), "id is missing or not a text.");
    changed("/publicKeyCredential", "id", "a+b=".into(), "id is not base64url without padding.");
    let place = "/publicKeyCredential/response";
    changed(place, "attestationObject", "!".into(), "attestationObject is not base64url.");
    let data = |value: Value| Value::from(URL_SAFE_NO_PAD.encode(value.to_string()));
    changed(place, "clientDataJSON", data(json!([])), "clientDataJSON is not a JSON object.");
    let origin = "https://login.microsoft.com";
    let framed = json!({ "type": "webauthn.create", "origin": origin, "crossOrigin": true });
    changed(place, "clientDataJSON", data(framed), "crossOrigin is not false.");
    let bare = json!({ "type": "webauthn.create", "origin": origin });
    changed(place, "clientDataJSON", data(bare), "challenge is missing or not base64url");
    registration_refused(spec(), "rpIdHash is not that of the relying party.", |maker| {
        maker.rp_id = "example.com".into()
    });
    registration_refused(spec(), "Synced passkeys are not allowed by", |maker| maker.flags = 0x4d);
    let mut synced = spec();
    synced.policy.profiles = vec![ProfileSpec { device_bound: false, synced: true, ..ProfileSpec::default() }];
    registration_refused(synced, "Device-bound passkeys are not allowed by", |_| {});

    let leaver = caller.get(&format!("{}/creationOptions", path("leaver@contoso.example")));
    says(&leaver, 400, "The user account is disabled.");
    let full = with(|spec| spec.quirks.max_passkeys = 2);
    let chief = full.get(&format!("{}/creationOptions", path("chief@contoso.example")));
    says(&chief, 400, "The user has the maximum of 2 passkeys.");
}

#[test]
fn ordered_trouble_has_its_words() {
    let caller = Caller::app(spec());
    let order = |on: &str, status: u16| {
        caller.sim("fault", json!({ "on": on, "times": 1, "then": "status", "status": status }));
    };
    for (status, words) in [
        (401, "Access token has expired or is not yet valid."),
        (429, "Too many requests."),
        (503, "temporarily unavailable"),
        (504, "did not answer in time."),
    ] {
        order("users", status);
        says(&caller.get("/v1.0/users"), status, words);
    }
    order("token", 503);
    let reply = caller.client_credentials(&caller.tenant.client_secret);
    assert_eq!(reply.status, 503);
    signs(&reply, 90_033, "A transient error has occurred.");
}

/// Sentences that nobody can be made to hear, and those that are no refusals.
const SILENT: &[(&str, &str)] = &[
    ("A batch can't hold a batch.", "a batch never gets that far: its parts are refused one by one"),
    ("The time is out of range.", "no certificate that can be made has such a time"),
    ("The user is not in scope of any passkey profile.", "a policy that is for somebody has a profile for them"),
    ("Invalid input received from the user.", "what is no URL matches no registered one first"),
    ("Simulated failure.", "a row of the sign-in log"),
    ("Strong Authentication is required.", "a row of the sign-in log"),
];

#[test]
fn no_refusal_is_without_a_test_that_hears_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut spoken = BTreeSet::new();
    let mut heard = BTreeSet::new();
    for path in files(&root.join("src")).into_iter().chain(files(&root.join("tests"))) {
        let text = std::fs::read_to_string(&path).expect("a source").replace("\r\n", "\n");
        let place = path.strip_prefix(root).expect("below").display().to_string().replace('\\', "/");
        let is_test = place.contains("test") || place.contains("against_sim");
        let (code, tests) = match text.find("#[cfg(test)]\nmod tests {") {
            _ if is_test => ("", text.as_str()),
            Some(at) => text.split_at(at),
            None => (text.as_str(), ""),
        };
        heard.extend(literals(tests).into_iter().filter(|literal| literal.len() >= 9));
        // The settings count their reasons themselves (`policies::refusal`), and their test compares that count.
        if place.starts_with("src/sim/tenant/") && !place.contains("/policies/") {
            let sentence =
                |literal: &String| literal.len() >= 16 && literal.contains(' ') && literal.ends_with(['.', '!']);
            spoken.extend(literals(code).into_iter().filter(sentence));
        }
    }
    assert!(spoken.len() > 150, "the sources are read: {}", spoken.len());
    let silent: BTreeSet<&str> = SILENT.iter().map(|(sentence, _)| *sentence).collect();
    let unheard: Vec<&String> = spoken
        .iter()
        .filter(|sentence| !silent.contains(sentence.as_str()))
        .filter(|sentence| !heard.iter().any(|words| sentence.contains(words.as_str()) || spells(words, sentence)))
        .collect();
    assert!(unheard.is_empty(), "no test hears these:\n{unheard:#?}");
}

/// Whether the words are of this sentence with its blanks filled in.
fn spells(words: &str, sentence: &str) -> bool {
    let pieces: Vec<&str> =
        sentence.split(['{', '}']).step_by(2).map(str::trim).filter(|piece| piece.len() >= 12).collect();
    pieces.iter().any(|piece| words.contains(piece))
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
        if entry.is_dir() {
            found.extend(files(&entry));
        } else if entry.extension().is_some_and(|extension| extension == "rs") {
            found.push(entry);
        }
    }
    found
}

/// The texts in a source, without comments; a line that goes on is joined.
fn literals(source: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut chars = source.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '/' if chars.peek() == Some(&'/') => chars.by_ref().take_while(|c| *c != '\n').for_each(drop),
            '\'' => {
                // A character, not a lifetime: at most an escape and its quote.
                let mut ahead = chars.clone();
                let first = ahead.next();
                let end = if first == Some('\\') { ahead.nth(1) } else { ahead.next() };
                if end == Some('\'') {
                    chars = ahead;
                }
            }
            '"' => {
                let mut text = String::new();
                while let Some(c) = chars.next() {
                    match c {
                        '"' => break,
                        '\\' => match chars.next() {
                            Some('\n') => while chars.next_if(|c| c.is_whitespace()).is_some() {},
                            Some(escaped) => text.push(escaped),
                            None => break,
                        },
                        plain => text.push(plain),
                    }
                }
                found.push(text);
            }
            _ => {}
        }
    }
    found
}
