//! A bench: a simulated tenant, settings, a custodian's identity, a ledger, all in a folder that goes with it.

use std::cell::Cell;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::Value;

use super::Rig;
use super::program::{Ended, Live, run};

/// How long a command may take that waits for no hand. An emulated machine on a busy one is slow; what hangs, hangs longer.
pub const PATIENCE: Duration = Duration::from_secs(240);

/// Benches whose world nobody has looked at yet; a trial that leaves one has not shown what it says.
pub static UNSEEN: AtomicUsize = AtomicUsize::new(0);

/// A bench.
pub struct Bench {
    seen: Cell<bool>,
    // The tenant goes before its folder.
    _tenant: Live,
    keybench: PathBuf,
    graph: String,
    secret: String,
    folder: tempfile::TempDir,
    /// The people of the tenant.
    pub upns: Vec<String>,
}

fn text(value: &Value, name: &str) -> Result<String, String> {
    value[name].as_str().map(str::to_owned).ok_or_else(|| format!("the tenant told no {name}"))
}

impl Bench {
    /// With so many people in its tenant. More settings may follow.
    pub fn new(rig: &Rig, people: usize, settings: &str) -> Result<Self, String> {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let mut command = Command::new(&rig.keybench);
        command.args(["sim", "tenant", "--people", &people.to_string()]);
        let mut tenant = Live::start(&mut command)?;
        let told = tenant.next(PATIENCE).ok_or_else(|| format!("the tenant did not start; {}", tenant.told()))?;
        let upns =
            told["upns"].as_array().into_iter().flatten().filter_map(|upn| upn.as_str().map(str::to_owned)).collect();
        let graph = text(&told, "graph_url")?;
        let secret = text(&told, "client_secret")?;
        UNSEEN.fetch_add(1, Ordering::Relaxed);
        let bench = Self {
            seen: Cell::new(false),
            _tenant: tenant,
            keybench: rig.keybench.clone(),
            graph,
            secret,
            folder,
            upns,
        };
        let recipient = bench.keybench(&["escrow", "keygen", "--out", &bench.identity()], PATIENCE)?.good()?;
        let settings = format!(
            "[tenant]\nid = {:?}\nclient_id = {:?}\nauth = \"secret\"\ngraph_url = {:?}\nlogin_url = {:?}\n\n\
             [escrow]\nrecipients = [{:?}]\n\n[ledger]\nurl = \"sqlite:ledger.db\"\n\n[bench]\nname = \"trial\"\ntouch_gap_ms = 0\n\n{settings}\n",
            text(&told, "tenant_id")?,
            text(&told, "client_id")?,
            bench.graph,
            text(&told, "login_url")?,
            recipient.trim(),
        );
        fs::write(bench.place("keybench.toml"), settings).map_err(|error| error.to_string())?;
        Ok(bench)
    }

    /// Its world was looked at.
    pub fn seen(&self) {
        if !self.seen.replace(true) {
            UNSEEN.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// A file of the bench.
    pub fn place(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn identity(&self) -> String {
        self.place("custodian.txt").to_string_lossy().into_owned()
    }

    /// A command line of `keybench`, in a clean environment.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.keybench);
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.folder.path())
            // One file of certificates, not a folder of hundreds: nothing here speaks TLS, and the guest reads slowly.
            .env("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt")
            .env("KEYBENCH_CONFIG", self.place("keybench.toml"))
            .env("KEYBENCH_CLIENT_SECRET", &self.secret);
        command
    }

    /// Runs a command of `keybench` to its end.
    pub fn keybench(&self, arguments: &[&str], patience: Duration) -> Result<Ended, String> {
        run(&mut self.command(arguments), patience)
    }

    /// A roster of these people (places in [`Self::upns`], from 0).
    pub fn roster(&self, name: &str, people: impl IntoIterator<Item = usize>) -> Result<PathBuf, String> {
        let mut csv = "upn\n".to_owned();
        for person in people {
            csv.push_str(self.upns.get(person).ok_or_else(|| format!("the tenant has no person {person}"))?);
            csv.push('\n');
        }
        let path = self.place(name);
        fs::write(&path, csv).map_err(|error| error.to_string())?;
        Ok(path)
    }

    /// A roster of one person who gets the key with this serial number: another one that is put in is refused.
    pub fn roster_for(&self, name: &str, person: usize, serial: &str) -> Result<PathBuf, String> {
        let upn = self.upns.get(person).ok_or_else(|| format!("the tenant has no person {person}"))?;
        let path = self.place(name);
        fs::write(&path, format!("upn,serial\n{upn},{serial}\n")).map_err(|error| error.to_string())?;
        Ok(path)
    }

    /// The command line of `keybench run`, on the ports of virtual keys only: a real key is none of its business.
    pub fn run_command(&self, roster: &Path) -> Command {
        let ports: Vec<String> = (1..=100).map(|number| format!("sim-{number}")).collect();
        self.run_on(roster, &ports.join(","))
    }

    /// The same on this port alone.
    pub fn run_on(&self, roster: &Path, ports: &str) -> Command {
        self.command(&["run", &roster.to_string_lossy(), "--ports", ports, "--idle", "5", "--json"])
    }

    /// Starts it.
    pub fn run(&self, roster: &Path) -> Result<Live, String> {
        Live::start(&mut self.run_command(roster))
    }

    /// What the tenant holds.
    pub fn state(&self) -> Result<Value, String> {
        let address = self.graph.strip_prefix("http://").ok_or("the tenant's address")?;
        let mut stream = TcpStream::connect(address).map_err(|error| format!("the tenant: {error}"))?;
        let asked = format!("GET /sim/state HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        stream.write_all(asked.as_bytes()).map_err(|error| error.to_string())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).map_err(|error| error.to_string())?;
        let (_, body) = answer.split_once("\r\n\r\n").ok_or("the tenant's answer has no body")?;
        // Chunked or not, the object is between the first and the last brace.
        let body = body.find('{').zip(body.rfind('}')).and_then(|(from, to)| body.get(from..=to)).unwrap_or_default();
        serde_json::from_str(body).map_err(|error| format!("the tenant's state: {error}: {body}"))
    }

    /// The custodian opens a job's PIN.
    pub fn open_pin(&self, job: &str) -> Result<String, String> {
        let identity = self.identity();
        let asked = [
            "escrow",
            "open",
            "--identity",
            &identity,
            "--job",
            job,
            "--as",
            "Trial",
            "--reason",
            "trial",
            "--to-stdout",
        ];
        let opened = self
            .keybench(&asked, PATIENCE)?
            .good()
            .map_err(|error| format!("the custodian can't open {job}: {error}"))?;
        Ok(opened.trim_end().to_owned())
    }

    /// The ledger, for reading beside whoever writes.
    pub fn ledger(&self) -> Result<rusqlite::Connection, String> {
        let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
        rusqlite::Connection::open_with_flags(self.place("ledger.db"), flags)
            .map_err(|error| format!("the ledger: {error}"))
    }

    /// What the ledger keeps of a job's registration, as JSON.
    pub fn registration(&self, job: &str) -> Result<Vec<u8>, String> {
        let asked = "SELECT bytes FROM blobs WHERE job = ?1 ORDER BY length(bytes) DESC LIMIT 1";
        let read = self.ledger()?.query_row(asked, [job], |row| row.get(0));
        read.map_err(|error| format!("the registration record of {job}: {error}"))
    }

    /// Every entry, oldest first, as JSON.
    pub fn entries(&self) -> Result<Vec<Value>, String> {
        let ledger = self.ledger()?;
        let read = || -> rusqlite::Result<Vec<String>> {
            ledger.prepare("SELECT body FROM entries ORDER BY seq")?.query_map([], |row| row.get(0))?.collect()
        };
        let bodies = read().map_err(|error| format!("the ledger: {error}"))?;
        bodies.iter().map(|body| serde_json::from_str(body).map_err(|error| error.to_string())).collect()
    }
}
