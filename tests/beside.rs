//! A bench at work and, beside it, the mail room: letters, packing, receipts, a lost key, an opening. Real processes on one ledger.
#![cfg(unix)]

use std::fs;
use std::io::Write as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use keybench::handover::code::{Code, CodeKind};
use keybench::model::JobId;
use keybench::sim::tenant::{PersonSpec, TenantSpec, start};
use serde_json::Value;

#[path = "support/desk.rs"]
#[allow(dead_code, reason = "each walk uses a part of it")]
mod desk;

use desk::Desk;

const FIRST: usize = 4;
const MORE: usize = 60;

fn code_of(desk: &Desk, arguments: &[&str]) -> (i32, String) {
    let output = desk.keybench(arguments);
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.code().unwrap_or(-1), said)
}

/// A bench that is at work on its own people.
struct Bench(Child);

impl Bench {
    fn start(desk: &Desk) -> Self {
        let out = fs::File::create(desk.path("bench.out")).expect("a file");
        let child = desk
            .command(&["run", "more.csv", "--sim-keys", "1", "--json"])
            .stdout(out)
            .stderr(Stdio::null())
            .spawn()
            .expect("the bench starts");
        let deadline = Instant::now() + Duration::from_secs(60);
        while !fs::read_to_string(desk.path("bench.out")).unwrap_or_default().contains("\"finished\"") {
            assert!(Instant::now() < deadline, "the bench finishes its first key");
            std::thread::sleep(Duration::from_millis(20));
        }
        Self(child)
    }

    fn is_at_work(&mut self) -> bool {
        self.0.try_wait().expect("asked").is_none()
    }

    /// As Ctrl-C does.
    fn interrupt(mut self) -> Option<i32> {
        Command::new("kill").args(["-INT", &self.0.id().to_string()]).status().expect("told");
        self.0.wait().expect("it ends").code()
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn letters_packing_receipts_and_losses_work_beside_a_running_bench() {
    let people = (0..FIRST + MORE).map(|n| PersonSpec::new(format!("person{n:02}@contoso.example"))).collect();
    let mut spec = TenantSpec { people, ..TenantSpec::default() };
    spec.latency_ms = 150;
    let tenant = start(spec, "127.0.0.1:0".parse().expect("an address")).expect("a tenant");
    let desk = Desk::new(&tenant, |_| String::new());
    let named: Vec<&String> = tenant.upns.iter().filter(|upn| upn.starts_with("person")).collect();
    let (first, more) = named.split_at(FIRST);
    let rows: String = first.iter().map(|upn| format!("{upn},\"1 Main St, Town\",NL\n")).collect();
    desk.write("people.csv", &format!("upn,address,country\n{rows}"));
    let more: Vec<&str> = more.iter().map(|upn| upn.as_str()).collect();
    desk.write("more.csv", &format!("upn\n{}\n", more.join("\n")));
    let (exit, said) = code_of(&desk, &["run", "people.csv", "--sim-keys", "4"]);
    assert_eq!(exit, 0, "{said}");
    let status = desk.keybench(&["status", "--json"]);
    let jobs: Vec<String> = String::from_utf8(status.stdout)
        .expect("text")
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"))
        .filter(|line| line["event"] == "job")
        .map(|line| line["job"].as_str().expect("a job").to_owned())
        .collect();
    let code = |kind, job: &str| Code::new(kind, &JobId::new(job), 1, 1).expect("a code").digits().to_owned();

    let mut bench = Bench::start(&desk);
    let mut beside = |arguments: &[&str], wanted: i32| {
        let (exit, said) = code_of(&desk, arguments);
        assert_eq!(exit, wanted, "{arguments:?}: {said}");
        assert!(bench.is_at_work(), "{arguments:?} was beside a running bench");
        said
    };
    let [a, b, c, _] = jobs.as_slice() else { panic!("{FIRST} jobs") };
    beside(&["letters", "make", "--identity", "custodian.txt", "--out", "letters", "--only", a, "--only", b], 0);
    beside(&["letters", "confirm", "--all"], 0);
    let pin = ["escrow", "open", "--identity", "custodian.txt", "--job", a, "--as", "Kim", "--reason", "lost letter"];
    beside(&[&pin[..], &["--to-stdout"]].concat(), 0);
    let card = code(CodeKind::Parcel, a);
    {
        let mut pack = desk.command(&["pack", "--as", "Robin Roe", "--no-tracking"]);
        let mut pack = pack.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("starts");
        let scans = format!("{}\n{card}\n", code(CodeKind::Key, a));
        pack.stdin.take().expect("its stdin").write_all(scans.as_bytes()).expect("it reads");
        assert_eq!(pack.wait().expect("it ends").code(), Some(0));
    }
    beside(&["receipt", "card", &card], 0);
    beside(&["receipt", "verify", a, "--how", "manager", "--as", "Sam Roe"], 0);
    beside(&["release", a, "--as", "Sam Roe"], 0);
    beside(&["lost", c, "--reason", "stolen", "--yes", "--as", "Sam Roe"], 0);
    // What needs the ledger alone, or would be a second bench, is refused and told who is there.
    let second = beside(&["run", "people.csv", "--sim-keys", "1"], 5);
    assert!(second.contains("in use"), "{second}");
    let alone = beside(&["ledger", "forget", first[0], "--reason", "left", "--yes"], 5);
    assert!(alone.contains("in use"), "{alone}");

    assert_eq!(bench.interrupt(), Some(130), "the bench noticed nothing of it");
    let (exit, said) = code_of(&desk, &["audit", "verify"]);
    assert_eq!(exit, 0, "{said}");
    let entries: usize = said
        .split(" entries")
        .next()
        .and_then(|text| text.rsplit(' ').next())
        .and_then(|n| n.parse().ok())
        .expect("a count");
    let mirrored = fs::read_to_string(desk.path("mirror")).expect("the mirror").lines().count();
    assert_eq!(mirrored, entries, "the mirror has what both wrote");
    let (_, story) = code_of(&desk, &["show", a]);
    for what in ["was opened by Kim", "Robin Roe", "Sam Roe"] {
        assert!(story.contains(what), "{what}: {story}");
    }
}
