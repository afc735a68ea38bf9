//! Bad input at the command line: the program run as a person runs it, against a simulated tenant, with one thing wrong at a
//! time. Each time: the right exit code and code, a fact and a next step, no innards, and the ledger as it was.
//!
//! Every case begins with a bench that has already provisioned two people, in a folder of its own.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use serde_json::Value;

use keybench::ledger::{Head, Ledger as _, Opening, open_reader, open_writer};
use keybench::model::BenchId;
use keybench::sim::tenant::faults::Trouble;
use keybench::sim::tenant::route::Kind;
use keybench::sim::tenant::spec::UserType;
use keybench::sim::tenant::{FaultRule, PersonSpec, RunningTenant, TenantSpec, start};
use keybench::world::{SystemClock, SystemEntropy};

#[path = "support/schema.rs"]
mod schema;

const SECRET: &str = "sim-secret-of-the-tests";

fn spec() -> TenantSpec {
    let mut spec = TenantSpec::default();
    for name in ["ann", "bob", "cyd", "dee"] {
        spec.people.push(PersonSpec::new(format!("{name}@contoso.example")));
    }
    let mut guest = PersonSpec::new("guest@contoso.example");
    guest.user_type = UserType::Guest;
    spec.people.push(guest);
    spec.app.client_secret = Some(SECRET.into());
    spec
}

fn tenant(spec: TenantSpec) -> RunningTenant {
    start(spec, ([127, 0, 0, 1], 0).into()).expect("a tenant")
}

/// A rule for one kind of request.
fn on(kind: Kind, then: Trouble) -> FaultRule {
    FaultRule { on: Some(kind), ..FaultRule::always(then) }
}

/// A folder with settings, rosters and, once it has run, a ledger.
struct Bench {
    folder: tempfile::TempDir,
    root: PathBuf,
    tenant: RunningTenant,
}

struct Said {
    exit: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Bench {
    /// As new, with this tenant.
    fn fresh(tenant: RunningTenant) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().canonicalize().expect("a path");
        let bench = Self { folder, root, tenant };
        bench.write("secret", SECRET);
        bench.write("two.csv", "upn\nann@contoso.example\nbob@contoso.example\n");
        bench.write("three.csv", "upn\nann@contoso.example\nbob@contoso.example\ncyd@contoso.example\n");
        bench.settings(|text| text);
        bench
    }

    /// With two people done: a copy of a bench that did them once. The same specification makes the same tenant.
    fn with(faults: Vec<FaultRule>) -> Self {
        let bench = Self::fresh(tenant(spec()));
        copy(done_once(), &bench.root);
        for fault in faults {
            bench.tenant.add_fault(fault).expect("a fault");
        }
        bench.settings(|text| text);
        bench
    }

    /// Writes the settings, changed.
    fn settings(&self, change: impl FnOnce(String) -> String) {
        let RunningTenant { graph_url, login_url, tenant_id, client_id, .. } = &self.tenant;
        let text = format!(
            "[tenant]\nid = \"{tenant_id}\"\nclient_id = \"{client_id}\"\nauth = \"secret\"\n\
             client_secret_file = \"secret\"\ngraph_url = \"{graph_url}\"\nlogin_url = \"{login_url}\"\n\
             [escrow]\nrecipients = [\"age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p\"]\n\
             [ledger]\nurl = \"sqlite:bench.db\"\nmirror = \"mirror.jsonl\"\n[bench]\nname = \"bench-1\"\n"
        );
        self.write("bench.toml", &change(text));
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.root.join(name);
        std::fs::write(&path, text).expect("written");
        set_mode(&path, 0o600);
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    fn keybench(&self, args: &[&str], environment: &[(&str, &str)]) -> Said {
        let mut command = Command::new(env!("CARGO_BIN_EXE_keybench"));
        command.args(args).args(["--config", "bench.toml"]).current_dir(&self.root).stdin(Stdio::null());
        for (variable, _) in std::env::vars_os() {
            if !["PATH", "SYSTEMROOT", "TEMP", "TMP"].iter().any(|name| variable.eq_ignore_ascii_case(name)) {
                command.env_remove(&variable);
            }
        }
        command.env("HOME", &self.root).env("ProgramData", &self.root).env("APPDATA", &self.root);
        command.env("COLUMNS", "100").envs(environment.iter().copied());
        let output = command.output().expect("the program runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace("\r\n", "\n");
        Said { exit: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }

    fn head(&self) -> Option<Head> {
        let reader = open_reader(&self.path("bench.db")).ok()?;
        reader.verify(None).ok()
    }

    /// Runs it twice, for people and with `--json`; it must stop with this exit code and this code, say a fact and a next
    /// step, and leave the ledger as it was.
    fn stops(&self, args: &[&str], exit: i32, code: &str, words: &[&str]) {
        self.stops_with(args, &[], exit, code, words);
    }

    fn stops_with(&self, args: &[&str], environment: &[(&str, &str)], exit: i32, code: &str, words: &[&str]) {
        let before = self.head();
        let said = self.keybench(args, environment);
        let shown = format!("{args:?}: exit {:?}\n--- stdout\n{}--- stderr\n{}", said.exit, said.stdout, said.stderr);
        assert_eq!(said.exit, Some(exit), "{shown}");
        assert!(said.stderr.contains("Error: ") && said.stderr.contains("\nNext: "), "a fact and a step: {shown}");
        for word in words {
            assert!(said.stderr.contains(word), "{word:?} is missing: {shown}");
        }
        no_innards(&said.stderr, &shown);
        no_innards(&said.stdout, &shown);
        assert!(!shown.contains(SECRET), "the secret is shown: {shown}");

        let json: Vec<&str> = args.iter().copied().chain(["--json"]).collect();
        let said = self.keybench(&json, environment);
        let shown = format!("{json:?}: exit {:?}\n--- stdout\n{}--- stderr\n{}", said.exit, said.stdout, said.stderr);
        assert_eq!(said.exit, Some(exit), "{shown}");
        let events: Vec<Value> = said
            .stdout
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}\n{shown}")))
            .collect();
        for event in &events {
            schema::assert_described(event, &shown);
        }
        let error = events.iter().find(|event| event["event"] == "error");
        let error = error.unwrap_or_else(|| panic!("an error event: {shown}"));
        assert_eq!(error["code"], code, "{shown}");
        assert_eq!(error["exit"], exit, "{shown}");
        assert!(error["what"].as_str().is_some_and(|what| !what.is_empty()), "{shown}");
        assert!(error["next"].as_str().is_some_and(|next| !next.is_empty()), "{shown}");
        assert!(!shown.contains(SECRET), "the secret is shown: {shown}");
        assert_eq!(self.head(), before, "the ledger is as it was: {shown}");
    }

    /// Runs to an end that is no error; gives the summary event.
    fn ends(&self, args: &[&str], exit: i32) -> (Value, Said) {
        let json: Vec<&str> = args.iter().copied().chain(["--json"]).collect();
        let said = self.keybench(&json, &[]);
        let shown = format!("{json:?}: exit {:?}\n--- stdout\n{}--- stderr\n{}", said.exit, said.stdout, said.stderr);
        assert_eq!(said.exit, Some(exit), "{shown}");
        let last = said.stdout.lines().last().unwrap_or_else(|| panic!("a summary: {shown}"));
        let summary: Value = serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {shown}"));
        assert_eq!(summary["event"], "summary", "{shown}");
        (summary, said)
    }
}

/// Rust's own way of writing values is for us, not for people.
fn no_innards(text: &str, shown: &str) {
    for innards in
        ["Some(", "None,", "Err(", "Ok(", "Error(", "Error {", " { ", "\\u{", "::", "panicked", "RUST_BACKTRACE"]
    {
        assert!(!text.contains(innards), "{innards:?} in: {shown}");
    }
}

#[cfg(unix)]
fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("mode");
}

#[cfg(not(unix))]
fn set_mode(_: &Path, _: u32) {}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    #[cfg(unix)]
    std::fs::set_permissions(to, std::fs::metadata(from).expect("a folder").permissions()).expect("mode");
    for entry in std::fs::read_dir(from).expect("a folder").flatten() {
        let target = to.join(entry.file_name());
        if entry.file_type().expect("a kind").is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), &target).expect("copied");
        }
    }
}

/// A bench after its first run. Made once for all cases.
fn done_once() -> &'static Path {
    static DONE: OnceLock<Bench> = OnceLock::new();
    let bench = DONE.get_or_init(|| {
        let bench = Bench::fresh(tenant(spec()));
        let (summary, _) = bench.ends(&["run", "two.csv", "--sim-keys", "1"], 0);
        assert_eq!((&summary["finished"], &summary["failed"]), (&Value::from(2), &Value::from(0)), "{summary}");
        bench
    });
    bench.folder.path()
}

/// Asks a running bench for one more person.
const RUN: &[&str] = &["run", "three.csv", "--sim-keys", "1"];

#[test]
fn the_same_command_again_has_nothing_to_do() {
    let bench = Bench::with(vec![]);
    let (summary, _) = bench.ends(&["run", "two.csv", "--sim-keys", "1"], 0);
    assert_eq!((&summary["already"], &summary["touches"]), (&Value::from(2), &Value::from(0)), "{summary}");
}

/// The same bench some time later: the directory has changed.
fn later(of: &Path, change: impl Fn(&mut PersonSpec)) -> Bench {
    let mut spec = spec();
    spec.people.iter_mut().for_each(change);
    let bench = Bench::fresh(tenant(spec));
    copy(of, &bench.root);
    bench.settings(|text| text);
    bench
}

#[test]
fn what_the_directory_says_later() {
    // Ann and Bob have their keys, Cyd never had one. Ann's and Cyd's accounts are disabled now.
    let away = ["ann@contoso.example", "cyd@contoso.example"];
    let bench = later(done_once(), |person| person.enabled = !away.contains(&person.upn.as_str()));
    let (summary, said) = bench.ends(RUN, 1);
    let counts = |summary: &Value| ["planned", "already", "refused", "parked"].map(|name| summary[name].as_u64());
    assert_eq!(counts(&summary), [Some(3), Some(2), Some(1), Some(0)], "{}", said.stdout);
    let told = bench.keybench(&["status", "--json"], &[]).stdout;
    assert!(
        told.lines().last().is_some_and(|line| line.contains("\"finished\":2")),
        "Ann's key stays finished: {told}"
    );

    // Cyd is back under another name, and nobody is there to say that it is the same person.
    let id = bench.tenant.state()["people"]
        .as_array()
        .and_then(|all| all.iter().find(|one| one["upn"] == "cyd@contoso.example")?["id"].as_str().map(str::to_owned));
    let bench = later(&bench.root, |person| {
        if person.upn == "cyd@contoso.example" {
            person.upn = "cyd.lee@contoso.example".into();
            person.id.clone_from(&id);
        }
    });
    bench.write("three.csv", "upn\nann@contoso.example\ndee@contoso.example\ncyd.lee@contoso.example\n");
    let (summary, said) = bench.ends(RUN, 1);
    assert_eq!(counts(&summary), [Some(3), Some(1), Some(1), Some(0)], "Dee goes on: {}", said.stdout);
    assert_eq!(summary["finished"], 1, "{summary}");
    assert!(said.stdout.contains("\"renamed-unconfirmed\""), "{}", said.stdout);
}

#[test]
fn malformed_rosters() {
    let bench = Bench::with(vec![]);
    for (name, bytes, words) in [
        ("empty.csv", &b""[..], "empty"),
        ("header.csv", b"upn\n", "no people"),
        ("sheet.csv", b"PK\x03\x04\x14\x00\x06\x00\x08\x00\x00\x00!\x00", "spreadsheet"),
        ("noise.csv", b"\xff\xfe\x00\xd8\x00\xd8\x00\xd8", "noise.csv"),
        ("nul.csv", b"upn\nki\0m@contoso.example\n", "nul.csv:2"),
        ("people.csv", b"name,serial\nKim,1\n", "upn"),
    ] {
        std::fs::write(bench.path(name), bytes).expect("written");
        bench.stops(&["run", name, "--sim-keys", "1"], 2, "roster-wrong", &[words]);
    }
    bench.stops(&["run", "absent.csv", "--sim-keys", "1"], 2, "roster-unreadable", &["absent.csv"]);
    bench.stops(&["run", ".", "--sim-keys", "1"], 2, "roster-unreadable", &["can't be read"]);
}

#[test]
fn malformed_settings() {
    let bench = Bench::with(vec![]);
    for (broken, words) in [
        ("[tenant\n", "bench.toml:1"),
        ("[tenant]\nclientid = \"x\"\n", "client_id"),
        ("[tenant]\nid = 5\n", "bench.toml:2"),
        ("[pin]\nlength = 900\n", "pin.length"),
        ("[pin]\nlength = 1e999\n", "bench.toml:2"),
        (
            "[tenant]\ngraph_url = \"http://graph.example.com\"\nlogin_url = \"https://login.microsoftonline.com\"\n",
            "https",
        ),
    ] {
        bench.write("bench.toml", broken);
        bench.stops(RUN, 2, "config-wrong", &[words]);
    }
    bench.write("bench.toml", "");
    bench.stops(RUN, 2, "config-missing", &["tenant.id", "tenant.client_id"]);
    std::fs::write(bench.path("bench.toml"), b"[tenant]\nid = \"\xff\"\n").expect("written");
    bench.stops(RUN, 2, "config-unreadable", &["UTF-8"]);
}

#[cfg(unix)]
#[test]
fn settings_and_secrets_that_are_open_to_others() {
    let bench = Bench::with(vec![]);
    set_mode(&bench.path("bench.toml"), 0o622);
    bench.stops(RUN, 2, "file-exposed", &["chmod", "bench.toml"]);
    set_mode(&bench.path("bench.toml"), 0o644);
    set_mode(&bench.path("secret"), 0o644);
    bench.stops(RUN, 2, "file-exposed", &["chmod", "secret"]);
}

#[test]
fn a_secret_where_a_plugin_would_inherit_it() {
    let bench = Bench::with(vec![]);
    bench.settings(|text| {
        let plugin = "age1yubikey1qwt50d05nh5vutpdzmlg5wn80xq5negm4uj9ghv0snvdd3yysf5yw3rhl3t";
        text.replace("age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p", plugin)
            .replace("client_secret_file = \"secret\"\n", "")
    });
    bench.stops_with(RUN, &[("KEYBENCH_CLIENT_SECRET", SECRET)], 2, "client-secret", &["client_secret_file"]);
}

#[test]
fn secrets_that_are_none() {
    let bench = Bench::with(vec![]);
    for (text, words) in [("", "empty"), ("two words", "one line"), ("a\nb\n", "one line")] {
        bench.write("secret", text);
        bench.stops(RUN, 2, "client-secret", &[words]);
    }
}

#[test]
fn custodians_that_can_not_be_used() {
    let bench = Bench::with(vec![]);
    let good = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";
    bench.settings(|text| text.replace(good, "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8q"));
    bench.stops(RUN, 2, "config-wrong", &["bench.toml:9", "escrow.recipients"]);
    bench.settings(|text| {
        // In two parts: nothing that looks like a custodian's key is committed.
        text.replace(good, concat!("AGE-SECRET-KEY-", "1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX"))
    });
    bench.stops(RUN, 2, "config-wrong", &["bench.toml:9"]);
    let said = bench.keybench(RUN, &[]);
    assert!(!said.stderr.contains("AGE-SECRET-KEY"), "a secret key is repeated: {}", said.stderr);
    // Others than those in force: an existing custodian has to agree.
    bench.settings(|text| text.replace(good, "age1lggyhqrw2nlhcxprm67z43rta597azn8gknawjehu9d9dl0jq3yqqvfafg"));
    let said = bench.keybench(RUN, &[]);
    assert_eq!(said.exit, Some(2), "{}", said.stderr);
    assert!(said.stderr.contains("Next: "), "{}", said.stderr);
}

#[test]
fn simulated_keys_stay_on_this_machine() {
    let bench = Bench::with(vec![]);
    bench.settings(|text| text.lines().filter(|line| !line.contains("_url")).map(|line| format!("{line}\n")).collect());
    bench.stops(RUN, 2, "sim-outside-loopback", &["simulated"]);
}

#[test]
fn wrong_tenant_and_wrong_secret() {
    let bench = Bench::with(vec![]);
    bench.write("secret", "not-the-secret");
    bench.stops(RUN, 2, "graph-sign-in", &["AADSTS7000215"]);
    bench.write("secret", SECRET);
    let id = bench.tenant.tenant_id.clone();
    bench.settings(|text| text.replace(&id, "8b7c5b1e-9999-4999-8999-000000000000"));
    bench.stops(RUN, 2, "graph-sign-in", &["AADSTS90002"]);
    let client = bench.tenant.client_id.clone();
    bench.settings(|text| text.replace(&client, "8b7c5b1e-9999-4999-8999-000000000000"));
    bench.stops(RUN, 2, "graph-sign-in", &["AADSTS700016"]);
}

/// No terminal, nothing kept: said at once, not after the quarter of an hour that a code is good for.
#[test]
fn a_sign_in_that_nobody_would_see() {
    let bench = Bench::with(vec![]);
    for auth in ["device-code", "browser"] {
        bench.settings(|text| text.replace("auth = \"secret\"", &format!("auth = \"{auth}\"")));
        let began = std::time::Instant::now();
        bench.stops(RUN, 2, "graph-sign-in", &["no terminal", "keybench login", "certificate or secret"]);
        assert!(began.elapsed() < std::time::Duration::from_secs(60), "nobody was waited for: {:?}", began.elapsed());
    }
}

#[test]
fn a_certificate_that_has_expired() {
    let bench = Bench::with(vec![]);
    let sample = |name: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/graph").join(name);
        std::fs::read_to_string(path).expect("a fixture")
    };
    let pair = rcgen::KeyPair::from_pem_and_sign_algo(&sample("client-key.pem"), &rcgen::PKCS_RSA_SHA256);
    let pair = pair.expect("the sample key");
    let mut params = rcgen::CertificateParams::new(Vec::new()).expect("parameters");
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2021, 1, 1);
    bench.write("app.pem", &params.self_signed(&pair).expect("a certificate").pem());
    bench.write("app.key", &sample("client-key.pem"));
    let with = |text: String| {
        text.replace(
            "auth = \"secret\"",
            "auth = \"certificate\"\ncertificate_file = \"app.pem\"\nkey_file = \"app.key\"",
        )
    };
    bench.settings(with);
    bench.stops(RUN, 2, "graph-settings", &["expired"]);
    bench.write("app.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    bench.stops(RUN, 2, "graph-settings", &["certificate"]);
    bench.write("app.pem", &sample("client-certificate.pem"));
    bench.write("app.key", &sample("other-key.pem"));
    bench.stops(RUN, 2, "graph-settings", &["key"]);
    std::fs::remove_file(bench.path("app.pem")).expect("removed");
    bench.stops(RUN, 2, "certificate-unreadable", &["app.pem"]);
}

/// Runs into trouble with the tenant, and says so.
fn troubled(rules: Vec<FaultRule>, exits: &[i32]) {
    let what = format!("{rules:?}");
    let bench = Bench::with(rules);
    let said = bench.keybench(RUN, &[]);
    let shown = format!("{what}: exit {:?}\n{}{}", said.exit, said.stdout, said.stderr);
    assert!(said.exit.is_some_and(|exit| exits.contains(&exit)), "{shown}");
    assert!(said.stderr.contains("Error: ") && said.stderr.contains("\nNext: "), "{shown}");
    assert!(!said.stderr.contains("<html"), "the page itself is shown: {shown}");
    no_innards(&said.stderr, &said.stderr);
}

#[test]
fn web_pages_instead_of_answers() {
    let page = |kind| FaultRule { status: Some(403), ..on(kind, Trouble::Html) };
    troubled(vec![page(Kind::Token)], &[2, 3]);
    troubled(vec![page(Kind::Batch), page(Kind::User), page(Kind::Users)], &[2, 3]);
}

#[test]
fn torn_answers() {
    for kind in [Kind::Batch, Kind::Token] {
        troubled(vec![on(kind, Trouble::Truncate)], &[2, 3]);
    }
}

#[test]
fn a_refusal_by_graph_names_what_is_missing() {
    // Together and one by one: where only `$batch` is refused, people are asked for one by one.
    let denied = |kind| {
        let code = Some("Authorization_RequestDenied".into());
        FaultRule { status: Some(403), code, ..on(kind, Trouble::Status) }
    };
    troubled(vec![denied(Kind::Batch), denied(Kind::User), denied(Kind::Users)], &[3]);
    let bench = Bench::with(vec![denied(Kind::Batch)]);
    let (summary, _) = bench.ends(RUN, 0);
    assert_eq!((&summary["finished"], &summary["already"]), (&Value::from(1), &Value::from(2)), "{summary}");
}

#[test]
fn a_policy_that_can_not_be_read_is_a_warning() {
    let code = Some("Authorization_RequestDenied".into());
    let bench = Bench::with(vec![FaultRule { status: Some(403), code, ..on(Kind::Policy, Trouble::Status) }]);
    let (summary, said) = bench.ends(RUN, 0);
    assert_eq!(summary["finished"], 1, "{summary}");
    let warned = said.stdout.contains("policy") || said.stderr.contains("policy");
    assert!(warned, "nobody was told: {}{}", said.stdout, said.stderr);
}

#[test]
fn failures_that_pass_are_waited_out() {
    let twice =
        FaultRule { status: Some(503), retry_after: Some(1), times: Some(2), ..on(Kind::Policy, Trouble::Status) };
    let once = FaultRule { status: Some(500), times: Some(1), ..on(Kind::Batch, Trouble::Status) };
    let bench = Bench::with(vec![twice, once]);
    let (summary, _) = bench.ends(RUN, 0);
    assert_eq!((&summary["finished"], &summary["already"]), (&Value::from(1), &Value::from(2)), "{summary}");
    assert!(summary["graph_retries"].as_u64().is_some_and(|retries| retries >= 3), "{summary}");
}

#[test]
fn torn_answers_to_a_registration_lose_nothing() {
    let torn = FaultRule { times: Some(1), ..on(Kind::Register, Trouble::Truncate) };
    let lost = FaultRule { times: Some(1), ..on(Kind::CreationOptions, Trouble::Truncate) };
    let bench = Bench::with(vec![torn, lost]);
    let (summary, said) = bench.ends(RUN, 0);
    assert_eq!(summary["finished"], 1, "{summary}\n{}", said.stdout);
    let state = bench.tenant.state();
    let people = state["people"].as_array().expect("people");
    let cyd = people.iter().find(|person| person["upn"] == "cyd@contoso.example").expect("cyd");
    assert_eq!(cyd["methods"].as_array().map(Vec::len), Some(1), "registered once: {cyd}");
}

#[test]
fn groups_and_people_that_are_not_there() {
    let bench = Bench::with(vec![]);
    let said = bench.keybench(&["run", "--group", "No such group", "--sim-keys", "1"], &[]);
    assert_eq!(said.exit, Some(3), "{}", said.stderr);
    assert!(said.stderr.contains("No such group") && said.stderr.contains("\nNext: "), "{}", said.stderr);
    no_innards(&said.stderr, &said.stderr);

    bench.write("refused.csv", "upn\nguest@contoso.example\nnobody@contoso.example\n");
    let (summary, said) = bench.ends(&["run", "refused.csv", "--sim-keys", "1"], 1);
    assert_eq!((&summary["refused"], &summary["touches"]), (&Value::from(2), &Value::from(0)), "{summary}");
    for code in ["\"guest\"", "\"unknown-person\""] {
        assert!(said.stdout.contains(code), "{code}: {}", said.stdout);
    }
}

#[test]
fn strict_starts_nothing_when_somebody_is_refused() {
    let bench = Bench::with(vec![]);
    bench.write("mixed.csv", "upn\ndee@contoso.example\nguest@contoso.example\n");
    let entries = bench.head().expect("a ledger").seq;
    let said = bench.keybench(&["run", "mixed.csv", "--strict", "--sim-keys", "1", "--json"], &[]);
    let shown = format!("exit {:?}\n{}{}", said.exit, said.stdout, said.stderr);
    assert!(said.stdout.contains("\"code\":\"strict\""), "{shown}");
    assert_eq!(said.exit, Some(1), "{shown}");
    assert_eq!(bench.head().expect("a ledger").seq, entries, "nothing was planned: {shown}");
}

#[test]
fn ledgers_that_can_not_be_used() {
    let bench = Bench::with(vec![]);
    let ledger = bench.path("bench.db");

    // In use: this process writes to it.
    let opening = Opening {
        path: ledger.clone(),
        mirror: None,
        bench: BenchId::new("another"),
        clock: std::sync::Arc::new(SystemClock::new()),
        entropy: &SystemEntropy,
    };
    let held = open_writer(&opening).expect("opens");
    bench.stops(RUN, 5, "ledger-in-use", &["another"]);
    drop(held);

    // Of a later version.
    let db = rusqlite::Connection::open(&ledger).expect("a database");
    let schema: i64 = db.query_row("PRAGMA user_version", [], |row| row.get(0)).expect("a number");
    db.execute_batch("PRAGMA user_version = 99").expect("set");
    drop(db);
    bench.stops(RUN, 5, "ledger-newer", &[]);
    let db = rusqlite::Connection::open(&ledger).expect("a database");
    db.execute_batch(&format!("PRAGMA user_version = {schema}; PRAGMA wal_checkpoint(TRUNCATE)")).expect("set");
    drop(db);

    // An old copy put back.
    let lines = std::fs::read_to_string(bench.path("mirror.jsonl")).expect("a mirror");
    std::fs::rename(&ledger, bench.path("away.db")).expect("moved");
    bench.stops(RUN, 5, "ledger-behind-mirror", &["keybench ledger restore"]);
    assert!(!ledger.exists(), "no new ledger beside a mirror that knows more");
    std::fs::rename(bench.path("away.db"), &ledger).expect("moved back");
    assert_eq!(std::fs::read_to_string(bench.path("mirror.jsonl")).expect("a mirror"), lines);

    // Damaged: no database, and one with a torn page.
    let whole = std::fs::read(&ledger).expect("a ledger");
    let mut torn = whole.clone();
    let last = torn.len() - 4000;
    torn[last..].fill(0xA5);
    torn[100..130].fill(0xFF);
    for bytes in [&b"this is no ledger, it is a text of some length"[..], &torn] {
        std::fs::write(&ledger, bytes).expect("written");
        let said = bench.keybench(RUN, &[]);
        let shown = format!("exit {:?}\n{}{}", said.exit, said.stdout, said.stderr);
        assert_eq!(said.exit, Some(5), "{shown}");
        assert!(said.stderr.contains("\nNext: "), "{shown}");
        no_innards(&said.stderr, &shown);
        assert_eq!(std::fs::read(&ledger).expect("a ledger"), bytes, "what is damaged stays as it is: {shown}");
    }
    std::fs::remove_file(&ledger).expect("removed");
    std::fs::create_dir(&ledger).expect("a folder");
    let said = bench.keybench(RUN, &[]);
    assert_eq!(said.exit, Some(5), "{}", said.stderr);
    assert!(said.stderr.contains("\nNext: "), "{}", said.stderr);
}

#[test]
fn a_ledger_that_was_tampered_with() {
    let bench = Bench::with(vec![]);
    let db = rusqlite::Connection::open(bench.path("bench.db")).expect("a database");
    let tables: Vec<String> = db
        .prepare("SELECT name FROM sqlite_master WHERE type = 'table' AND sql LIKE '%body%'")
        .and_then(|mut query| query.query_map([], |row| row.get(0))?.collect())
        .expect("tables");
    let table = tables.first().expect("a table of entries");
    let triggers: Vec<String> = db
        .prepare("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        .and_then(|mut query| query.query_map([], |row| row.get(0))?.collect())
        .expect("triggers");
    for trigger in triggers {
        db.execute_batch(&format!("DROP TRIGGER {trigger}")).expect("dropped");
    }
    db.execute_batch(&format!("UPDATE {table} SET body = replace(body, 'bob', 'eve'), at = at WHERE seq > 3"))
        .and_then(|()| db.execute_batch(&format!("UPDATE {table} SET bench = 'another' WHERE seq = 5")))
        .expect("changed behind the program's back");
    drop(db);
    let said = bench.keybench(&["ledger", "verify"], &[]);
    let shown = format!("exit {:?}\n{}{}", said.exit, said.stdout, said.stderr);
    assert_eq!(said.exit, Some(5), "{shown}");
    assert!(said.stderr.contains("\nNext: "), "{shown}");
}

#[cfg(unix)]
#[test]
fn a_ledger_that_may_not_be_written() {
    let bench = Bench::with(vec![]);
    set_mode(&bench.path("bench.db"), 0o400);
    if std::fs::OpenOptions::new().append(true).open(bench.path("bench.db")).is_ok() {
        // The superuser writes everything; there is nothing to see here then.
        return;
    }
    bench.stops(RUN, 5, "ledger-unwritable", &["bench.db"]);
}

#[test]
fn mirrors_and_stores_that_can_not_be_used() {
    let bench = Bench::with(vec![]);
    bench.settings(|text| text.replace("mirror.jsonl", "not-mounted/mirror.jsonl"));
    bench.stops(RUN, 5, "ledger-mirror", &["not-mounted"]);
    bench.settings(|text| text.replace("mirror.jsonl", "bench.db"));
    bench.stops(RUN, 5, "ledger-mirror", &["bench.db"]);
    bench.write("other.jsonl", "{\"seq\":1,\"at\":\"yesterday\"}\n");
    bench.settings(|text| text.replace("mirror.jsonl", "other.jsonl"));
    bench.stops(RUN, 5, "ledger-mirror", &["other.jsonl"]);
    bench.settings(|text| text);

    let mut folders = vec![bench.root.clone()];
    let mut resume = None;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder").flatten() {
            if entry.file_type().expect("a kind").is_dir() {
                if entry.file_name() == "resume" {
                    resume = Some(entry.path());
                }
                folders.push(entry.path());
            }
        }
    }
    let resume = resume.expect("the first run made a store of resume keys");
    std::fs::remove_dir_all(&resume).expect("removed");
    std::fs::write(&resume, "in the way").expect("written");
    bench.stops(RUN, 2, "resume-store", &["resume"]);
}

#[test]
fn metadata_that_is_none() {
    let bench = Bench::with(vec![]);
    bench.write("blob.jwt", "eyJhbGciOiJub25lIn0.e30.");
    bench.settings(|text| text + "mds = \"blob.jwt\"\n");
    bench.stops(RUN, 2, "mds", &["blob"]);
    bench.settings(|text| text + "mds = \"absent.jwt\"\n");
    bench.stops(RUN, 2, "mds", &["absent.jwt"]);
}
