//! From an empty tenant to signed-in pilot users, by the real program: every line of the walk in docs/OPERATING.md is run as it stands
//! there, in its order, against a simulated tenant in which nothing is set up. Afterwards every write that the tenant saw is in the
//! ledger, and no password, pass, seed or PIN is anywhere. A planted one must be found.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use keybench::sim::tenant::{RunningTenant, TenantSpec, start};
use serde_json::{Value, json};

#[path = "support/scan.rs"]
mod scan;
#[path = "support/schema.rs"]
mod schema;

const PAGE: &str = include_str!("../docs/OPERATING.md");
const WALK: &str = "## From an empty tenant to a signed-in pilot user";
const SEED: &str = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXQ";
const KIM: &str = "kim@contoso.example";
const LEE: &str = "lee@contoso.example";

/// The walk's lines, split as a shell does.
fn documented() -> Vec<Vec<String>> {
    let (_, walk) = PAGE.split_once(WALK).expect("the walk");
    let walk = walk.split_once("\n## ").map_or(walk, |(walk, _)| walk);
    let mut lines = Vec::new();
    for block in walk.split("```").skip(1).step_by(2) {
        for line in block.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let line = line.strip_prefix("keybench ").unwrap_or_else(|| panic!("{line:?} is no line of keybench"));
            lines.push(split(line));
        }
    }
    lines
}

fn split(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (number, part) in line.split('"').enumerate() {
        if number % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}

/// What stands in for the person at the terminal and the keys in the ports.
fn by_hand(line: &[String]) -> &'static [&'static str] {
    match line.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["tenant", "apply", ..] => &["--yes"],
        ["tap", "issue", ..] => &["--to-stdout"],
        ["run", ..] => &["--sim-keys", "4"],
        _ => &[],
    }
}

/// How it may end: 0, and a check may warn or not know.
fn may_end(line: &[String], code: i32) -> bool {
    let check = line.starts_with(&["tenant".to_owned(), "check".to_owned()]);
    code == 0 || check && matches!(code, 10 | 30)
}

struct Desk {
    dir: tempfile::TempDir,
    /// Everything that was printed, but for codes that are to be shown.
    said: Vec<u8>,
}

impl Desk {
    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("written");
        make_private(&self.path(name));
    }

    fn keybench(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_keybench"))
            .args(["--config", "bench.toml", "-vvv"])
            .args(arguments)
            .current_dir(self.dir.path())
            .env_clear()
            .env("HOME", self.dir.path())
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("KEYBENCH_LOG", "trace")
            .output()
            .expect("the program starts")
    }

    /// Runs it, remembers what it said, and gives its answer.
    fn run(&mut self, line: &[String]) -> String {
        let words: Vec<&str> = line.iter().map(String::as_str).chain(by_hand(line).iter().copied()).collect();
        let output = self.keybench(&words);
        let answer = String::from_utf8_lossy(&output.stdout).into_owned();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        let code = output.status.code().unwrap_or(-1);
        assert!(may_end(line, code), "{words:?} ended with {code}:\n{answer}\n{}", without_logs(&told));
        if !line.starts_with(&["tap".to_owned(), "issue".to_owned()]) {
            self.said.extend(&output.stdout);
        }
        self.said.extend(&output.stderr);
        answer
    }

    fn ask(&mut self, line: &str) -> String {
        self.run(&split(line))
    }

    fn events(&mut self, line: &str) -> Vec<Value> {
        let answer = self.ask(line);
        let events: Vec<Value> = answer.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        for event in &events {
            schema::assert_described(event, line);
        }
        events
    }
}

fn without_logs(text: &str) -> String {
    let log = |line: &&str| [" TRACE ", " DEBUG ", " INFO "].iter().any(|level| line.contains(level));
    text.lines().filter(|line| !log(line)).collect::<Vec<_>>().join("\n")
}

#[cfg(unix)]
fn make_private(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("a mode");
}

#[cfg(not(unix))]
fn make_private(_: &Path) {}

fn empty_tenant() -> RunningTenant {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/sim/tenant/empty.toml");
    let mut spec = TenantSpec::from_people_argument(path).expect("the fixture");
    // The limit on Conditional Access has tests of its own; here it would only take time.
    spec.policies.access_per_second = 0;
    start(spec, "127.0.0.1:0".parse().expect("an address")).expect("a tenant")
}

fn desk(tenant: &RunningTenant) -> Desk {
    let desk = Desk { dir: tempfile::tempdir().expect("a folder"), said: Vec::new() };
    desk.write("secret", &tenant.client_secret);
    desk.write("bench.toml", "");
    let made = desk.keybench(&["escrow", "keygen", "--out", "custodian.txt"]);
    let recipient = String::from_utf8(made.stdout).expect("text").trim().to_owned();
    desk.write(
        "bench.toml",
        &format!(
            "[tenant]\nid = \"{}\"\nclient_id = \"{}\"\nauth = \"secret\"\nclient_secret_file = \"secret\"\ngraph_url = \"{}\"\nlogin_url = \"{}\"\n\
             access_pace_ms = 0\n[pin]\nlength = 16\nalphabet = \"alphanumeric\"\n[escrow]\nrecipients = [\"{recipient}\"]\n\
             [ledger]\nurl = \"sqlite:ledger.db\"\nmirror = \"mirror\"\n",
            tenant.tenant_id, tenant.client_id, tenant.graph_url, tenant.login_url
        ),
    );
    desk.write(
        "people.csv",
        &format!(
            "upn,display_name,usage_location,licence,group\n{KIM},Kim Userov\u{e1},IE,,Keys\n{LEE},Lee Newcomer,NL,SPE_E5,Keys\n\
             sam@contoso.example,Sam Newcomer,NL,SPE_E5,Keys\n"
        ),
    );
    desk
}

/// People sign in with their keys. Kim's page was left half-way once, and Lee was at the wrong place first.
fn sign_in(tenant: &RunningTenant) {
    for what in [
        json!({ "upn": KIM, "interrupted": true }),
        json!({ "upn": LEE, "error": 53003, "reason": "Access has been blocked by Conditional Access policies." }),
        json!({ "upn": LEE }),
        json!({ "upn": "sam@contoso.example" }),
    ] {
        tenant.person_signs_in(&what).expect("signed in");
    }
}

fn policy(tenant: &RunningTenant, named: &str) -> Value {
    let state = tenant.state();
    let all = state["policies"]["conditional_access"].as_array().expect("policies");
    all.iter().find(|one| one["displayName"] == named).unwrap_or_else(|| panic!("no policy {named}")).clone()
}

#[test]
fn the_walk_goes_from_an_empty_tenant_to_signed_in_people_as_it_is_documented() {
    let tenant = empty_tenant();
    let mut desk = desk(&tenant);
    let mut fill: BTreeMap<&str, String> = BTreeMap::new();
    let mut answers: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut codes = Vec::new();
    for line in documented() {
        if line.first().is_some_and(|word| word == "sign-ins") && !fill.contains_key("BATCH") {
            sign_in(&tenant);
            let jobs = desk.events("status --json");
            let job = jobs.iter().find(|event| event["event"] == "job").expect("a job");
            fill.insert("BATCH", job["batch"].as_str().expect("a batch").to_owned());
        }
        let line: Vec<String> = line.iter().map(|word| fill.get(word.as_str()).unwrap_or(word).clone()).collect();
        let answer = desk.run(&line);
        let name = line.iter().take(2).map(String::as_str).collect::<Vec<_>>().join(" ");
        if name == "tenant apply"
            && let Some((_, after)) = answer.split_once("keybench tenant undo ")
        {
            fill.insert("ID", after.chars().take_while(char::is_ascii_alphanumeric).collect());
        }
        if name == "tap issue" {
            codes.push(answer.trim_end().to_owned());
        }
        answers.entry(name).or_default().push(answer);
    }
    let said =
        |name: &str, number: usize| answers.get(name).and_then(|all| all.get(number)).expect("an answer").as_str();

    // What the steps came to.
    let plan = said("tenant plan", 0);
    assert!(plan.contains("security defaults") && plan.contains("No API has these"), "{plan}");
    assert!(!said("tenant apply", 0).contains("Left as it is"), "{}", said("tenant apply", 0));
    for check in &answers["tenant check"] {
        assert!(!check.contains("FAIL"), "{check}");
    }
    assert!(said("people create", 0).contains("2 would be made"), "{}", said("people create", 0));
    assert!(said("people create", 1).contains("2 made, 1 already there"), "{}", said("people create", 1));
    assert!(said("tap sweep", 0).contains("1 deleted, 0 kept"), "{}", said("tap sweep", 0));
    let kim = &answers[&format!("sign-ins {KIM}")][0];
    assert!(kim.contains("signed in") && !kim.contains("FAILED"), "an interrupted page alarms nobody: {kim}");
    let batch = &answers["sign-ins --batch"][0];
    assert!(batch.contains("3 of 3 keys are in use") && batch.contains("blocked by Conditional Access"), "{batch}");
    let page = fs::read_to_string(desk.path("adoption.html")).expect("the page");
    assert!(page.contains("100 %") && page.contains("lee<wbr>@contoso.example"), "everybody has signed in with a key");
    // Spared before they had used a key, in afterwards.
    let strong = policy(&tenant, "keybench: phishing-resistant for who uses a key");
    assert_eq!(strong["conditions"]["users"]["excludeUsers"], json!([]), "{strong}");
    assert!(said("tenant apply", 1).contains("phishing-resistant"), "{}", said("tenant apply", 1));
    assert!(answers["status"][0].contains("activated"), "{}", answers["status"][0]);
    // A second run changes nothing.
    assert!(desk.ask("people create people.csv").contains("0 made, 3 already there, 0 completed, 0 failed."));
    assert!(desk.ask("tenant apply pilot.toml").contains("Nothing to change"));

    // A token besides, so that there is a seed to look for.
    desk.write("oath.toml", "[hardware_oath]\nstate = \"on\"\ninclude = [\"Keys\"]\n");
    desk.ask("tenant apply oath.toml");
    desk.write(
        "tokens.csv",
        &format!("upn,serial number,secret key,time interval,manufacturer,model\n{KIM},1001,{SEED},30,Contoso,C200\n"),
    );
    let weighed = desk.ask("tenant check --mode oath --tokens tokens.csv");
    assert!(!weighed.contains("FAIL"), "{weighed}");
    desk.ask("oath import tokens.csv");
    fs::remove_file(desk.path("tokens.csv")).expect("deleted, as the program says");
    desk.ask(&format!("oath activate 1001 {KIM} --identity custodian.txt"));

    every_write_is_in_the_ledger(&tenant, &mut desk);
    no_secret_is_left(&tenant, &mut desk, &codes);
}

/// Each write that the tenant saw stands in the ledger with the id under which it was sent, and none is left open.
fn every_write_is_in_the_ledger(tenant: &RunningTenant, desk: &mut Desk) {
    const QUESTIONS: [&str; 6] = ["token", "batch", "checkMemberGroups", "getMemberGroups", "evaluate", "users"];
    desk.ask("export audit --out audit.jsonl");
    let audit = fs::read_to_string(desk.path("audit.jsonl")).expect("the audit");
    let mut open = BTreeSet::new();
    for entry in audit.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON")) {
        let entry = entry.get("entry").unwrap_or(&entry);
        let change = entry["change"].as_str().unwrap_or_default().to_owned();
        match entry["act"].as_str() {
            Some("change-intended" | "account-change-intended") => assert!(open.insert(change), "{entry}"),
            Some("change-done" | "change-failed") => assert!(open.remove(&change), "{entry}"),
            _ => {}
        }
    }
    assert_eq!(open, BTreeSet::new(), "changes without an outcome");
    let mut writes = 0;
    for call in tenant.log() {
        let kind = call["kind"].as_str().unwrap_or_default();
        if call["method"] == "GET" || QUESTIONS.contains(&kind) {
            continue;
        }
        writes += 1;
        let id = call["client_request_id"].as_str().unwrap_or_else(|| panic!("without an id: {call}"));
        // The bench's own registrations have entries of their own, by the key's journey.
        assert!(kind == "register" || audit.contains(id), "not in the ledger: {call}");
    }
    assert!(writes > 30, "{writes}");
}

fn no_secret_is_left(tenant: &RunningTenant, desk: &mut Desk, codes: &[String]) {
    let mut secrets = tenant.secrets();
    assert_eq!(secrets.len(), 4, "two passwords, a pass, a seed");
    assert!(codes.len() == 1 && codes.iter().all(|code| code.len() == 12 && secrets.contains(code)), "{codes:?}");
    assert!(secrets.contains(&SEED.to_owned()));
    let jobs = desk.events("status --json");
    for job in jobs.iter().filter(|event| event["event"] == "job") {
        let job = job["job"].as_str().expect("a job");
        let line = [
            "escrow",
            "open",
            "--identity",
            "custodian.txt",
            "--job",
            job,
            "--as",
            "Test",
            "--reason",
            "test",
            "--to-stdout",
        ];
        let pin = String::from_utf8(desk.keybench(&line).stdout).expect("text").trim().to_owned();
        assert_eq!(pin.len(), 16, "the PIN and nothing else");
        secrets.push(pin);
    }
    assert_eq!(secrets.len(), 7, "and three PINs");
    fs::write(desk.path("said"), &desk.said).expect("written");
    let mut files = Vec::new();
    scan::files_below(desk.dir.path(), &mut files);
    let names: Vec<String> = files.iter().map(|path| path.display().to_string()).collect();
    for part in ["ledger.db", "mirror", "said", "adoption.html", "audit.jsonl"] {
        assert!(names.iter().any(|name| name.contains(part)), "{part} was searched: {names:?}");
    }
    let found = |files: &[PathBuf]| -> Vec<PathBuf> {
        let holds = |path: &&PathBuf| {
            let content = fs::read(path).expect("read");
            secrets.iter().any(|secret| scan::holds(&content, secret))
        };
        files.iter().filter(holds).cloned().collect()
    };
    assert_eq!(found(&files), Vec::<PathBuf>::new(), "secrets stand in these");
    // A planted leak is found, each of them, in whatever spelling.
    for secret in &secrets {
        for spelling in scan::spellings(secret) {
            let planted = desk.path("planted");
            fs::write(&planted, [b"before ".as_slice(), &spelling, b" after"].concat()).expect("written");
            assert_eq!(found(std::slice::from_ref(&planted)), [planted]);
        }
    }
}
