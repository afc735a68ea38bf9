//! For tests of commands: the command line run in this process, with what it printed, and a ledger with a story in it.

use std::io::Write;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use serde_json::Value;
use zeroize::Zeroizing;

use super::{Exit, Level, Output, Style, run_command_line};
use crate::ledger::{
    Act, Append, BlobHash, Counts, Entry, ForcedChange, Ledger, Opening, RunEnd, SqliteLedger, open_writer,
};
use crate::model::{
    Aaguid, BatchId, BenchId, CredentialId, Firmware, JobId, KeyRef, MethodId, Person, Pin, PortName, PostalAddress,
    RunId, Serial, TenantId, Upn, UserId,
};
use crate::pin::{NewIdentity, Recipients, ResumeKey, keygen, seal};
use crate::world::{SystemClock, SystemEntropy};

#[path = "../../tests/support/schema.rs"]
pub(super) mod schema;

pub(super) const PIN: &str = "kd2rp9vx84tbn5h7";

#[derive(Clone, Default)]
pub(super) struct Sink(Arc<Mutex<Vec<u8>>>);

impl Sink {
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Streams that are remembered.
pub(super) fn output(json: bool) -> (Output, Sink, Sink) {
    let (out, err) = (Sink::default(), Sink::default());
    let style =
        Style { json, color: false, level: Level::Normal, stdout_is_terminal: false, stderr_is_terminal: false };
    (Output::new(Box::new(out.clone()), Box::new(err.clone()), style), out, err)
}

/// A browser whose person agrees to everything: follows the sign-in page back to the program.
pub(super) fn browse(url: String) {
    std::thread::spawn(move || {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::blocking::Client::builder().no_proxy().build().expect("a client");
        // What it shows in the end is for people.
        let _ = client.get(url).send();
    });
}

/// How a command ended and what it printed.
pub(super) struct Ran {
    pub(super) exit: Exit,
    pub(super) out: String,
    #[cfg_attr(
        not(any(unix, feature = "sim")),
        expect(dead_code, reason = "read by tests that are for Unix or for simulated tenants")
    )]
    pub(super) err: String,
}

impl Ran {
    /// The answer, a JSON value a line.
    pub(super) fn lines(&self) -> Vec<Value> {
        self.out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }
}

/// A bench in a folder of its own: settings, custodians, and a ledger when it was told a story.
pub(super) struct Desk {
    folder: tempfile::TempDir,
    pub(super) custodians: Vec<NewIdentity>,
}

impl Desk {
    /// With so many custodians: two are under dual control.
    pub(super) fn new(custodians: usize) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let custodians: Vec<NewIdentity> = (0..custodians).map(|_| keygen(Timestamp::UNIX_EPOCH)).collect();
        let desk = Self { folder, custodians };
        let listed: Vec<String> = desk.custodians.iter().map(|one| format!("\"{}\"", one.recipient())).collect();
        desk.settings(&format!("[escrow]\nrecipients = [{}]\ndual = {}\n", listed.join(", "), listed.len() == 2));
        for (number, one) in desk.custodians.iter().enumerate() {
            desk.write(&format!("custodian-{number}.txt"), one.expose_file());
        }
        desk
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn write(&self, name: &str, text: &str) {
        crate::platform::private::write_atomic(
            &self.path(name),
            text.as_bytes(),
            crate::platform::private::Readers::OnlyMe,
        )
        .expect("written");
    }

    /// Adds to the settings: the bench's own places come first.
    pub(super) fn settings(&self, text: &str) {
        let own = "[ledger]\nurl = \"sqlite:ledger.db\"\nmirror = \"mirror\"\n";
        self.write("config.toml", &format!("{own}{text}"));
    }

    /// With settings that point at a simulated tenant, as the application.
    #[cfg(feature = "sim")]
    pub(super) fn at(tenant: &crate::sim::tenant::RunningTenant) -> Self {
        let desk = Self::new(1);
        desk.point_at(tenant);
        desk
    }

    /// Settings that point at a simulated tenant.
    #[cfg(feature = "sim")]
    pub(super) fn point_at(&self, tenant: &crate::sim::tenant::RunningTenant) {
        let desk = self;
        desk.write("client-secret", &tenant.client_secret);
        desk.settings(&format!(
            "[tenant]\nid = \"{}\"\nclient_id = \"{}\"\nauth = \"secret\"\nclient_secret_file = \"client-secret\"\ngraph_url = \"{}\"\nlogin_url = \"{}\"\n\
             [escrow]\nrecipients = [\"{}\"]\n",
            tenant.tenant_id, tenant.client_id, tenant.graph_url, tenant.login_url, desk.custodians[0].recipient()
        ));
    }

    /// Runs `keybench` here; stdout and stderr are no terminals.
    pub(super) fn run(&self, line: &[&str]) -> Ran {
        let (output, out, err) = output(false);
        let exit = self.run_into(&output, line);
        Ran { exit, out: out.text(), err: err.text() }
    }

    /// The same with streams of the test's own.
    pub(super) fn run_into(&self, output: &Output, line: &[&str]) -> Exit {
        let config = self.path("config.toml").display().to_string();
        let arguments = ["keybench", "--config", &config].iter().chain(line).map(Into::into).collect::<Vec<_>>();
        let home = self.folder.path().display().to_string();
        let environment = move |name: &str| matches!(name, "HOME" | "ProgramData").then(|| home.clone());
        run_command_line(arguments, output, &environment)
    }

    pub(super) fn ledger(&self) -> SqliteLedger {
        open_writer(&Opening {
            path: self.path("ledger.db"),
            mirror: Some(self.path("mirror")),
            bench: BenchId::new("bench-1"),
            clock: Arc::new(SystemClock::new()),
            entropy: &SystemEntropy,
        })
        .expect("a ledger")
    }

    fn recipients(&self) -> Recipients {
        let texts: Vec<String> = self.custodians.iter().map(|one| one.recipient().to_owned()).collect();
        Recipients::from_settings(&texts, &[], texts.len() == 2).expect("recipients")
    }

    /// Kim's key is finished; Sam's try failed; Lee waits; Guest is refused. Gives their jobs.
    pub(super) fn story(&self) -> [JobId; 4] {
        let ledger = self.ledger();
        let tenant = TenantId::new("72f988bf-86f1-41af-91ab-2d7cd011db47");
        let batch = BatchId::new("batch-1");
        let run = RunId::new("run-1");
        let (first, second) = self.recipients().fingerprints();
        let people = ["kim", "sam", "lee", "guest"].map(|name| Person {
            address: Some(PostalAddress {
                lines: vec!["1 Main St".into(), "Town".into()],
                country: Some("CZ".into()),
                parts: None,
            }),
            ..Person::new(
                UserId::new(format!("id-of-{name}")),
                Upn::parse(&format!("{name}@contoso.example")).expect("a UPN"),
                if name == "kim" { "=Kim \"the\" Lee".to_owned() } else { name.to_uppercase() },
            )
        });
        let jobs = people.each_ref().map(|person| JobId::derive(&tenant, &person.id, 1));
        let mut entries = vec![
            Entry::CustodiansSet { first, second, by: "config".into() },
            Entry::RunStarted {
                run: run.clone(),
                batch: batch.clone(),
                tenant: tenant.clone(),
                roster: BlobHash([1; 32]),
                source: Some("people.csv".into()),
                operator: "operator".into(),
                account: "account".into(),
                version: "0.1.0".into(),
            },
        ];
        for (job, person) in jobs.iter().zip(&people) {
            entries.push(Entry::JobPlanned {
                job: job.clone(),
                tenant: tenant.clone(),
                user: person.id.clone(),
                ordinal: 1,
                batch: batch.clone(),
            });
        }
        entries.push(Entry::JobRefused { job: jobs[3].clone(), code: "guest".into() });
        ledger.append(Append { entries, people: people.to_vec(), ..Append::default() }).expect("planned");
        self.begin(&ledger, &jobs[0], "19283746", true);
        self.begin(&ledger, &jobs[1], "19283747", false);
        let counts = Counts { planned: 4, finished: 1, failed: 1, refused: 1, parked: 1, ..Counts::default() };
        let refused = KeyRef { serial: Some(Serial::new("555")), ..key("555") };
        ledger
            .append(Append::entries([
                Entry::KeyRefused { key: refused, code: "has-pin".into() },
                Entry::RunEnded { run, end: RunEnd::Idle, counts },
            ]))
            .expect("ended");
        jobs
    }

    /// A finished key of one person, as [`Self::story`] has Kim's; gives its job.
    #[cfg(feature = "sim")]
    pub(super) fn finished_key(&self, person: Person, serial: &str) -> JobId {
        let ledger = self.ledger();
        let tenant = TenantId::new("72f988bf-86f1-41af-91ab-2d7cd011db47");
        let job = JobId::derive(&tenant, &person.id, 1);
        let (first, second) = self.recipients().fingerprints();
        let planned = Entry::JobPlanned {
            job: job.clone(),
            tenant,
            user: person.id.clone(),
            ordinal: 1,
            batch: BatchId::new("batch-1"),
        };
        let entries = vec![Entry::CustodiansSet { first, second, by: "config".into() }, planned];
        ledger.append(Append { entries, people: vec![person], ..Append::default() }).expect("planned");
        self.begin(&ledger, &job, serial, true);
        job
    }

    /// Adds to the settings that are there.
    #[cfg(feature = "sim")]
    pub(super) fn more_settings(&self, text: &str) {
        let now = std::fs::read_to_string(self.path("config.toml")).expect("settings");
        self.write("config.toml", &format!("{now}{text}"));
    }

    fn begin(&self, ledger: &SqliteLedger, job: &JobId, serial: &str, finished: bool) {
        let (job, attempt) = (job.clone(), 1);
        let claim = ledger.claim(&job).expect("claimed");
        let append = |entries: Vec<Entry>| ledger.append(Append::entries(entries).under(&claim)).expect("kept");
        append(vec![Entry::AttemptStarted { job: job.clone(), attempt, key: key(serial) }]);
        let pin = Pin::new(Zeroizing::new(PIN.to_owned())).expect("a PIN");
        let sealed = seal(&self.recipients(), &ResumeKey::generate(), &job, attempt, &pin).expect("sealed");
        ledger.append_seal(&claim, attempt, &sealed).expect("kept");
        append(vec![
            Entry::Intent { job: job.clone(), attempt, act: Act::SetPin },
            Entry::PinSet { job: job.clone(), attempt },
        ]);
        if !finished {
            append(vec![Entry::AttemptFailed {
                job: job.clone(),
                attempt,
                code: "proof-failed".into(),
                pin_on_key: true,
            }]);
            ledger.release(&claim).expect("released");
            return;
        }
        let record = b"record".to_vec();
        let made = Entry::CredentialMade {
            job: job.clone(),
            attempt,
            credential: CredentialId::new(vec![0xfb, 0xef, 0xbe, 1]),
            record: BlobHash::of(&record),
            expires: Timestamp::UNIX_EPOCH,
        };
        ledger.append(Append::entry(made).with_document(record).under(&claim)).expect("kept");
        append(vec![
            Entry::Registered { job: job.clone(), attempt, method: MethodId::new("method-1"), found: false },
            Entry::ReadBack { job: job.clone(), attempt },
            Entry::PinRulesSet { job: job.clone(), attempt, minimum: 6, forced: ForcedChange::Forced },
            Entry::Finished { job: job.clone(), attempt },
            Entry::ResumeKeyDestroyed { job: job.clone(), attempt },
            Entry::KeyTaken { job: job.clone(), attempt },
        ]);
        ledger.release(&claim).expect("released");
    }
}

fn key(serial: &str) -> KeyRef {
    KeyRef {
        aaguid: Aaguid::parse("2fc0579f-8113-47ea-b116-bb5a8db9202a").expect("a GUID"),
        serial: Some(Serial::new(serial)),
        firmware: Some(Firmware::new("5.7.1")),
        model: Some("YubiKey 5 NFC".into()),
        port: PortName::new("1-4"),
    }
}

/// The entries of a ledger that may be in use.
#[cfg(unix)]
pub(super) fn kinds(path: &std::path::Path) -> Vec<Entry> {
    let ledger = crate::ledger::open_reader(path).expect("a ledger");
    let mut all = Vec::new();
    ledger
        .visit(1, &mut |recorded| {
            all.push(recorded.entry);
            std::ops::ControlFlow::Continue(())
        })
        .expect("read");
    all
}
