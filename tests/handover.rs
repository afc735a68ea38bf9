//! From bench to hand, by the real program: a batch is provisioned, packed with two deliberate mismatches, delivered, verified
//! and released; one parcel is lost, one key is replaced, one person leaves. In the end ledger and tenant agree.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use keybench::handover::code::{Code, CodeKind};
use keybench::model::JobId;
use keybench::sim::tenant::{RunningTenant, TenantSpec, people_default, start};
use serde_json::Value;

const PEOPLE: usize = 30;

struct Desk {
    dir: tempfile::TempDir,
}

impl Desk {
    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_keybench"));
        command
            .args(["--config", "desk.toml"])
            .args(arguments)
            .current_dir(self.dir.path())
            .env_clear()
            .env("HOME", self.dir.path())
            .env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command
    }

    fn keybench(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("the program starts")
    }

    /// The answers, and how it ended.
    fn json(&self, arguments: &[&str]) -> (i32, Vec<Value>, String) {
        told(self.keybench(&[arguments, &["--json"]].concat()))
    }

    fn scanning(&self, arguments: &[&str], lines: &str) -> (i32, Vec<Value>, String) {
        let mut child = self
            .command(&[arguments, &["--json"]].concat())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        child.stdin.take().expect("its stdin").write_all(lines.as_bytes()).expect("it reads");
        told(child.wait_with_output().expect("it ends"))
    }

    fn ok(&self, arguments: &[&str]) -> Vec<Value> {
        let (code, answers, said) = self.json(arguments);
        assert_eq!(code, 0, "{arguments:?}: {said}");
        answers
    }
}

fn told(output: Output) -> (i32, Vec<Value>, String) {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let said = format!("{text}{}", String::from_utf8_lossy(&output.stderr));
    let answers =
        text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("JSON: {line}"))).collect();
    (output.status.code().unwrap_or(-1), answers, said)
}

#[cfg(unix)]
fn make_private(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("a mode");
}

#[cfg(not(unix))]
fn make_private(_: &Path) {}

fn desk(tenant: &RunningTenant) -> Desk {
    let desk = Desk { dir: tempfile::tempdir().expect("a folder") };
    fs::write(desk.path("secret"), &tenant.client_secret).expect("written");
    make_private(&desk.path("secret"));
    fs::write(desk.path("desk.toml"), "").expect("written");
    make_private(&desk.path("desk.toml"));
    let made = desk.keybench(&["escrow", "keygen", "--out", "custodian.txt"]);
    let recipient = String::from_utf8(made.stdout).expect("text").trim().to_owned();
    let settings = format!(
        "[tenant]\nid = \"{}\"\nclient_id = \"{}\"\nauth = \"secret\"\nclient_secret_file = \"secret\"\ngraph_url = \"{}\"\nlogin_url = \"{}\"\n\
         [escrow]\nrecipients = [\"{recipient}\"]\n[ledger]\nurl = \"sqlite:ledger.db\"\nmirror = \"mirror\"\n\
         [handover]\nhook = [\"sh\", \"-c\", \"cat >> handed-over\"]\n",
        tenant.tenant_id, tenant.client_id, tenant.graph_url, tenant.login_url
    );
    fs::write(desk.path("desk.toml"), settings).expect("written");
    desk
}

/// Passkeys of a person, by the tenant's own account.
fn passkeys(tenant: &RunningTenant, upn: &str) -> usize {
    let state = tenant.state();
    let person =
        state["people"].as_array().expect("people").iter().find(|person| person["upn"] == upn).expect("somebody");
    person["methods"].as_array().expect("methods").len()
}

fn code(kind: CodeKind, job: &str, attempt: u32) -> String {
    Code::new(kind, &JobId::new(job), attempt, 1).expect("a code").digits().to_owned()
}

fn places(desk: &Desk) -> BTreeMap<String, u64> {
    let answers = desk.ok(&["receipt", "list"]);
    let counts = answers.last().expect("a summary")["counts"].as_object().expect("counts").clone();
    counts
        .into_iter()
        .map(|(place, count)| (place, count.as_u64().expect("a number")))
        .filter(|(_, count)| *count > 0)
        .collect()
}

fn run(desk: &Desk) -> Value {
    let answers = desk.ok(&["run", "people.csv", "--sim-keys", "8"]);
    answers.into_iter().find(|event| event["event"] == "summary").expect("a summary")
}

#[test]
#[cfg_attr(not(unix), ignore = "the hook of this walk is a Unix shell's")]
fn a_batch_goes_from_bench_to_hand() {
    let people = people_default(PEOPLE, 7);
    let tenant = start(TenantSpec { people, ..TenantSpec::default() }, "127.0.0.1:0".parse().expect("an address"))
        .expect("a tenant");
    let desk = desk(&tenant);
    fs::write(desk.path("people.csv"), format!("upn\n{}\n", tenant.upns.join("\n"))).expect("written");
    let first = run(&desk);
    assert_eq!(first["finished"].as_u64(), Some(PEOPLE as u64), "{first}");
    assert_eq!(places(&desk), BTreeMap::from([("to-pack".to_owned(), PEOPLE as u64)]));
    let jobs: Vec<(String, String)> = desk
        .ok(&["status"])
        .iter()
        .filter(|line| line["event"] == "job")
        .map(|line| (line["job"].as_str().expect("a job").to_owned(), line["upn"].as_str().expect("a UPN").to_owned()))
        .collect();
    assert_eq!(jobs.len(), PEOPLE);

    // The packing table: two mismatches first, then everybody.
    let mut scans = String::new();
    let [(a, _), (b, _), ..] = jobs.as_slice() else { panic!("people") };
    scans += &format!("{}\n{}\n", code(CodeKind::Key, a, 1), code(CodeKind::Parcel, b, 1));
    scans += &format!("{}\n{}\n", code(CodeKind::Key, b, 1), code(CodeKind::Key, a, 1));
    for (number, (job, _)) in jobs.iter().enumerate() {
        scans += &format!("{}\n{}\nJD{number:04}\n", code(CodeKind::Key, job, 1), code(CodeKind::Parcel, job, 1));
    }
    let (exit, answers, said) = desk.scanning(&["pack", "--as", "Robin Roe"], &scans);
    assert_eq!(exit, 1, "{said}");
    let summary = answers.last().expect("a summary");
    assert_eq!((summary["packed"].as_u64(), summary["stopped"].as_u64()), (Some(PEOPLE as u64), Some(2)), "{said}");
    assert_eq!(said.matches("other-parcel").count(), 2, "{said}");

    // One parcel never arrives; the carrier lists the others.
    let [.., (lost, lost_upn)] = jobs.as_slice() else { panic!("people") };
    let mut list = "Nr;Status\n".to_owned();
    for number in 0..PEOPLE {
        list += &format!("JD{number:04};{}\n", if number == PEOPLE - 1 { "lost" } else { "Delivered" });
    }
    fs::write(desk.path("carrier.csv"), list).expect("written");
    desk.ok(&["receipt", "carrier", "carrier.csv", "--number", "Nr", "--status", "Status", "--delivered", "delivered"]);
    assert_eq!(
        places(&desk),
        BTreeMap::from([("on-the-way".to_owned(), 1), ("to-verify".to_owned(), PEOPLE as u64 - 1)])
    );
    assert_eq!(passkeys(&tenant, lost_upn), 1);
    let unasked = desk.json(&["lost", &format!("JD{:04}", PEOPLE - 1), "--reason", "carrier lost it"]);
    assert!(unasked.0 == 2 && passkeys(&tenant, lost_upn) == 1, "{}", unasked.2);
    desk.ok(&["lost", &format!("JD{:04}", PEOPLE - 1), "--reason", "carrier lost it", "--revoke-sessions", "--yes"]);
    assert_eq!(passkeys(&tenant, lost_upn), 0, "a key stolen on the way opens nothing");
    assert_eq!(tenant.state()["signed_out"].as_array().map(Vec::len), Some(1));

    // Verified and released, by somebody else than the packer.
    let release =
        |upn: &str, by: &str| desk.json(&["release", upn, "--as", by, "--by", "hook", "--identity", "custodian.txt"]);
    for (_, upn) in jobs.iter().take(3) {
        let (exit, _, said) = release(upn, "Sam Roe");
        assert!(exit == 1 && said.contains("nobody has made sure"), "{said}");
        desk.ok(&["receipt", "verify", upn, "--how", "call-back", "--as", "Sam Roe"]);
        let (exit, _, said) = release(upn, "robin roe");
        assert!(exit == 1 && said.contains("does not release its PIN"), "{said}");
        assert_eq!(release(upn, "Sam Roe").0, 0);
    }
    assert_eq!(fs::read_to_string(desk.path("handed-over")).expect("PINs").lines().count(), 3);

    // One key is replaced, one person leaves. The next run gives two people another key.
    let (replaced, leaver) = (&jobs[4].1, &jobs[5].1);
    desk.ok(&["replace", replaced, "--reason", "letter expired", "--yes"]);
    desk.ok(&["leaver", leaver, "--reason", "left", "--yes"]);
    assert_eq!((passkeys(&tenant, replaced), passkeys(&tenant, leaver)), (0, 0));
    fs::write(
        desk.path("people.csv"),
        format!("upn\n{}\n", tenant.upns.iter().filter(|upn| *upn != leaver).cloned().collect::<Vec<_>>().join("\n")),
    )
    .expect("written");
    let second = run(&desk);
    assert_eq!(
        (second["finished"].as_u64(), second["already"].as_u64()),
        (Some(2), Some(PEOPLE as u64 - 3)),
        "{second}"
    );
    for (_, upn) in &jobs {
        assert_eq!(passkeys(&tenant, upn), usize::from(upn != leaver), "{upn}");
    }
    // The old label is of a key that is gone.
    let old = format!("{}\n", code(CodeKind::Key, lost, 1));
    let (_, answers, said) = desk.scanning(&["pack", "--as", "Robin Roe"], &old);
    assert!(said.contains("of an earlier key") && answers.last().expect("a summary")["packed"] == 0, "{said}");
    let again = format!("{}\n{}\nnone\n", code(CodeKind::Key, lost, 2), code(CodeKind::Parcel, lost, 2));
    assert_eq!(desk.scanning(&["pack", "--as", "Robin Roe"], &again).0, 0);
    // Everybody who has a key is told of it, once; who left is not.
    let told = |sent: u64, already: u64| {
        let answers = desk.ok(&["notify", "--text", "--phone", "+49 30 1234567"]);
        let sum = answers.last().expect("a summary");
        assert_eq!((sum["sent"].as_u64(), sum["already"].as_u64()), (Some(sent), Some(already)), "{sum}");
    };
    told(PEOPLE as u64 - 1, 0);
    told(0, PEOPLE as u64 - 1);
    desk.ok(&["ledger", "verify"]);
    let agreed = desk.ok(&["reconcile"]);
    assert_eq!(agreed.last().expect("a summary")["differences"].as_u64(), Some(0));
}
