//! A whole run of the real program, and then a search for its PINs in everything it left and everything it said: ledger,
//! write-ahead log, mirror, resume keys, traffic record, log lines, stdout and stderr. The same for passwords, Temporary Access
//! Passes and seeds of tokens. A planted copy must be found.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use keybench::sim::tenant::{TenantSpec, people_default, start};

#[path = "support/scan.rs"]
mod scan;

use scan::{files_below, holds, spellings};

const PEOPLE: usize = 3;

struct Bench {
    dir: tempfile::TempDir,
}

impl Bench {
    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn keybench(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_keybench"))
            .args(["--config", "bench.toml"])
            .args(arguments)
            .current_dir(self.dir.path())
            .env_clear()
            .env("HOME", self.dir.path())
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("KEYBENCH_LOG", "trace")
            .output()
            .expect("the program starts")
    }
}

#[cfg(unix)]
fn make_private(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("a mode");
}

#[cfg(not(unix))]
fn make_private(_: &Path) {}

/// Settings that point at a simulated tenant, with a custodian.
fn settle_in(bench: &Bench, tenant: &keybench::sim::tenant::RunningTenant) {
    fs::write(bench.path("secret"), &tenant.client_secret).expect("written");
    make_private(&bench.path("secret"));
    fs::write(bench.path("bench.toml"), "").expect("written");
    make_private(&bench.path("bench.toml"));
    let made = bench.keybench(&["escrow", "keygen", "--out", "custodian.txt"]);
    let recipient = String::from_utf8(made.stdout).expect("text").trim().to_owned();
    assert!(recipient.starts_with("age1"), "{recipient}");
    let settings = format!(
        "[tenant]\nid = \"{}\"\nclient_id = \"{}\"\nauth = \"secret\"\nclient_secret_file = \"secret\"\ngraph_url = \"{}\"\nlogin_url = \"{}\"\n\
         [pin]\nlength = 16\nalphabet = \"alphanumeric\"\n[escrow]\nrecipients = [\"{recipient}\"]\n\
         [ledger]\nurl = \"sqlite:ledger.db\"\nmirror = \"mirror\"\n",
        tenant.tenant_id, tenant.client_id, tenant.graph_url, tenant.login_url
    );
    fs::write(bench.path("bench.toml"), settings).expect("written");
}

#[test]
fn no_password_pass_or_seed_is_left_anywhere_and_a_planted_one_is_found() {
    const SEED: &str = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXQ";
    let mut spec = TenantSpec { people: people_default(2, 7), ..TenantSpec::default() };
    // Long enough not to be found by chance.
    spec.tap.length = 24;
    // Whoever may not use a token is given none.
    let on =
        serde_json::json!({ "state": "enabled", "includeTargets": [{ "id": "all_users", "targetType": "group" }] });
    spec.policies.methods.insert("HardwareOath".into(), on.as_object().cloned().expect("an object"));
    let tenant = start(spec, "127.0.0.1:0".parse().expect("an address")).expect("a tenant");
    let bench = Bench { dir: tempfile::tempdir().expect("a folder") };
    settle_in(&bench, &tenant);
    let upn = tenant.upns.first().expect("somebody").clone();
    fs::write(bench.path("new.csv"), "upn,display_name,usage_location,licence\nnew@contoso.example,New,IE,SPE_E5\n")
        .expect("written");
    fs::write(
        bench.path("tokens.csv"),
        format!("upn,serial number,secret key,time interval,manufacturer,model\n{upn},1001,{SEED},30,Contoso,C200\n"),
    )
    .expect("written");
    let mut codes = Vec::new();
    let mut said = Vec::new();
    let mut run = |line: &[&str]| {
        let line: Vec<&str> = ["-vvv"].iter().chain(line).copied().collect();
        let output = bench.keybench(&line);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{line:?}: {}\n{stderr}", String::from_utf8_lossy(&output.stdout));
        // One command shows a secret, and shows nothing else.
        if line.contains(&"issue") {
            codes.push(String::from_utf8(output.stdout).expect("text").trim_end().to_owned());
        } else {
            said.extend(output.stdout);
        }
        said.extend(output.stderr);
    };
    run(&["people", "create", "new.csv", "--json"]);
    run(&["people", "create", "new.csv"]);
    run(&[
        "tap",
        "issue",
        "new@contoso.example",
        "--by",
        "call",
        "--identified",
        "called back",
        "--to-stdout",
        "--json",
    ]);
    run(&["tap", "issue", &upn, "--by", "call", "--identified", "called back", "--multi-use", "--to-stdout"]);
    run(&["tap", "list", "--json"]);
    run(&["oath", "import", "tokens.csv", "--json"]);
    run(&["oath", "activate", "1001", &upn, "--identity", "custodian.txt"]);
    run(&["methods", &upn, "--json"]);
    run(&["tap", "revoke", &upn]);
    run(&["status"]);
    fs::remove_file(bench.path("tokens.csv")).expect("deleted, as the program says");
    fs::write(bench.path("said"), &said).expect("written");

    let secrets = tenant.secrets();
    assert_eq!(secrets.len(), 4, "a password, two passes, a seed");
    assert!(codes.iter().all(|code| secrets.contains(code) && code.len() == 24), "{codes:?}");
    assert!(secrets.contains(&SEED.to_owned()));
    let mut files = Vec::new();
    files_below(bench.dir.path(), &mut files);
    for path in &files {
        let content = fs::read(path).expect("read");
        for secret in &secrets {
            assert!(!holds(&content, secret), "a secret stands in {}", path.display());
        }
    }
    assert!(files.iter().any(|path| path.ends_with("said")) && files.iter().any(|path| path.ends_with("ledger.db")));
    // A planted leak is found, in the ledger's own file as well.
    for secret in &secrets {
        let mut leaked = fs::read(bench.path("ledger.db")).expect("read");
        leaked.splice(100..100, secret.bytes());
        assert!(holds(&leaked, secret));
    }
}

#[test]
fn no_pin_is_left_anywhere_and_a_planted_one_is_found() {
    let tenant = start(
        TenantSpec { people: people_default(PEOPLE, 7), ..TenantSpec::default() },
        "127.0.0.1:0".parse().expect("an address"),
    )
    .expect("a tenant");
    let bench = Bench { dir: tempfile::tempdir().expect("a folder") };
    settle_in(&bench, &tenant);
    fs::write(bench.path("people.csv"), format!("upn\n{}\n", tenant.upns.join("\n"))).expect("written");

    let run = bench.keybench(&["-vvv", "run", "people.csv", "--sim-keys", "2", "--traffic", "traffic", "--json"]);
    let stdout = String::from_utf8_lossy(&run.stdout).into_owned();
    assert!(run.status.success(), "{stdout}\n{}", String::from_utf8_lossy(&run.stderr));
    fs::write(bench.path("said.stdout"), &run.stdout).expect("written");
    fs::write(bench.path("said.stderr"), &run.stderr).expect("written");

    let events: Vec<serde_json::Value> =
        stdout.lines().map(|line| serde_json::from_str(line).expect("one JSON object a line")).collect();
    let pins: Vec<String> = events
        .iter()
        .filter(|event| event["event"] == "finished")
        .map(|event| {
            let job = event["job"].as_str().expect("a job");
            let opened = bench.keybench(&[
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
            ]);
            String::from_utf8(opened.stdout).expect("text").trim().to_owned()
        })
        .collect();
    assert_eq!(pins.len(), PEOPLE);
    assert!(pins.iter().all(|pin| pin.len() == 16), "the PIN and nothing else");

    let mut files = Vec::new();
    files_below(bench.dir.path(), &mut files);
    let names: Vec<String> = files.iter().map(|path| path.display().to_string()).collect();
    for part in ["ledger.db", "mirror", "stay-", "said.stdout", "said.stderr"] {
        assert!(names.iter().any(|name| name.contains(part)), "{part} was searched: {names:?}");
    }
    for path in &files {
        let content = fs::read(path).expect("read");
        for pin in &pins {
            assert!(!holds(&content, pin), "a PIN stands in {}", path.display());
        }
    }

    // The search itself: one planted copy in each spelling, in the middle of other bytes.
    for pin in &pins {
        for spelling in spellings(pin) {
            let planted = [b"before ".as_slice(), &spelling, b" after"].concat();
            assert!(holds(&planted, pin));
        }
        for offset in 0..3 {
            let text = STANDARD_NO_PAD.encode([&b"xyz"[..offset], pin.as_bytes(), b"tail"].concat());
            assert!(holds(text.as_bytes(), pin), "base64 at offset {offset}");
        }
    }
}
