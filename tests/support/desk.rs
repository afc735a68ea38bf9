//! A desk in a folder of its own, at which the real program is run as a person types it: settings, a custodian, a simulated tenant.

use std::cell::RefCell;
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use keybench::sim::tenant::RunningTenant;
use serde_json::Value;

#[path = "schema.rs"]
mod schema;

pub struct Desk {
    dir: tempfile::TempDir,
    /// All that was printed, for a look for secrets.
    said: RefCell<Vec<u8>>,
}

impl Desk {
    /// With more settings; `more` is given the recipient of a new identity that it asks for by its file's name.
    pub fn new(tenant: &RunningTenant, more: impl FnOnce(&dyn Fn(&str) -> String) -> String) -> Self {
        let desk = Self { dir: tempfile::tempdir().expect("a folder"), said: RefCell::default() };
        desk.write("secret", &tenant.client_secret);
        desk.write("desk.toml", "");
        let recipient = desk.keygen("custodian.txt");
        let more = more(&|file| desk.keygen(file));
        desk.write(
            "desk.toml",
            &format!(
                "[tenant]\nid = \"{}\"\nclient_id = \"{}\"\nauth = \"secret\"\nclient_secret_file = \"secret\"\ngraph_url = \"{}\"\nlogin_url = \"{}\"\n\
                 [escrow]\nrecipients = [\"{recipient}\"]\n[ledger]\nurl = \"sqlite:ledger.db\"\nmirror = \"mirror\"\n{more}",
                tenant.tenant_id, tenant.client_id, tenant.graph_url, tenant.login_url
            ),
        );
        desk
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A file that is the account's alone.
    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("written");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o600)).expect("a mode");
        }
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).expect("a text")
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
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

    pub fn keybench(&self, arguments: &[&str]) -> Output {
        self.heard(self.command(arguments).output().expect("the program starts"))
    }

    /// The recipient of a new identity.
    pub fn keygen(&self, file: &str) -> String {
        let made = self.keybench(&["escrow", "keygen", "--out", file]);
        String::from_utf8(made.stdout).expect("text").trim().to_owned()
    }

    /// How it ended, the answers, and all that was said.
    pub fn json(&self, arguments: &[&str]) -> (i32, Vec<Value>, String) {
        told(self.keybench(&[arguments, &["--json"]].concat()))
    }

    /// The same, with these lines on its stdin.
    pub fn scanning(&self, arguments: &[&str], lines: &str) -> (i32, Vec<Value>, String) {
        let mut child = self
            .command(&[arguments, &["--json"]].concat())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        child.stdin.take().expect("its stdin").write_all(lines.as_bytes()).expect("it reads");
        told(self.heard(child.wait_with_output().expect("it ends")))
    }

    pub fn ok(&self, arguments: &[&str]) -> Vec<Value> {
        let (code, answers, said) = self.json(arguments);
        assert_eq!(code, 0, "{arguments:?}: {said}");
        answers
    }

    /// Everything that was printed so far.
    pub fn said(&self) -> Vec<u8> {
        self.said.borrow().clone()
    }

    fn heard(&self, output: Output) -> Output {
        let mut said = self.said.borrow_mut();
        said.extend_from_slice(&output.stdout);
        said.extend_from_slice(&output.stderr);
        output
    }
}

fn told(output: Output) -> (i32, Vec<Value>, String) {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let said = format!("{text}{}", String::from_utf8_lossy(&output.stderr));
    let answers: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("JSON: {line}"))).collect();
    for answer in &answers {
        schema::assert_described(answer, &said);
    }
    (output.status.code().unwrap_or(-1), answers, said)
}
