//! Command line transcripts: the program run as a person runs it, with what it must say kept as data in `fixtures/cli`.
//! The README there explains the form.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Transcript {
    about: String,
    #[serde(default)]
    unix_only: bool,
    #[serde(default)]
    files: BTreeMap<String, File>,
    step: Vec<Step>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    text: String,
    /// Octal, Unix only.
    #[serde(default)]
    mode: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    args: Vec<String>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    exit: i32,
    /// The whole of it.
    #[serde(default)]
    stdout: Option<String>,
    #[serde(default)]
    stderr: Option<String>,
    /// Parts of it.
    #[serde(default)]
    stdout_has: Vec<String>,
    #[serde(default)]
    stderr_has: Vec<String>,
    /// What must be nowhere in either.
    #[serde(default)]
    never: Vec<String>,
    /// Files that must be there afterwards, with their mode (octal, Unix only).
    #[serde(default)]
    leaves: BTreeMap<String, String>,
}

fn transcripts() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/cli");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("fixtures/cli")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    files.sort();
    files
}

/// Runs the steps of one transcript in a folder of their own; gives what went wrong.
fn play(name: &str, transcript: &Transcript) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a folder");
    // The system may know the folder by a longer name.
    let root = folder.path().canonicalize().expect("a path");
    let place = root.display().to_string();
    let fill = |text: &str| text.replace("{dir}", &place);
    for (path, file) in &transcript.files {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(&path, fill(&file.text)).expect("written");
        set_mode(&path, file.mode.as_deref().unwrap_or("600"));
    }
    let mut wrong = Vec::new();
    for (index, step) in transcript.step.iter().enumerate() {
        let mut command = Command::new(env!("CARGO_BIN_EXE_keybench"));
        command
            .args(step.args.iter().map(|argument| fill(argument)))
            .current_dir(&root)
            .stdin(std::process::Stdio::null());
        for (variable, _) in std::env::vars_os() {
            let keep = ["PATH", "SYSTEMROOT", "TEMP", "TMP"];
            if !keep.iter().any(|name| variable.eq_ignore_ascii_case(name)) {
                command.env_remove(&variable);
            }
        }
        command.env("HOME", &root).env("ProgramData", &root).env("COLUMNS", "100");
        command.envs(step.env.iter().map(|(name, value)| (name, fill(value))));
        let output = command.output().expect("the program runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace("\r\n", "\n").replace(&place, "{dir}");
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        let mut say = |what: String| wrong.push(format!("{name}, step {}: {what}", index + 1));
        if output.status.code() != Some(step.exit) {
            say(format!("exit {:?}, not {}\n{stdout}{stderr}", output.status.code(), step.exit));
        }
        for (stream, found, whole, parts) in
            [("stdout", &stdout, &step.stdout, &step.stdout_has), ("stderr", &stderr, &step.stderr, &step.stderr_has)]
        {
            if let Some(whole) = whole
                && whole != found
            {
                say(format!("{stream} is\n{found}\nand should be\n{whole}"));
            }
            for part in parts.iter().filter(|part| !found.contains(*part)) {
                say(format!("{stream} lacks {part:?}:\n{found}"));
            }
        }
        for secret in step.never.iter().filter(|secret| stdout.contains(*secret) || stderr.contains(*secret)) {
            say(format!("{secret:?} was printed"));
        }
        for (path, mode) in &step.leaves {
            if let Err(what) = has_mode(&root.join(path), mode) {
                say(what);
            }
        }
    }
    wrong
}

#[cfg(unix)]
fn set_mode(path: &Path, mode: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = u32::from_str_radix(mode, 8).expect("an octal mode");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("mode");
}

#[cfg(not(unix))]
fn set_mode(_path: &Path, _mode: &str) {}

#[cfg(unix)]
fn has_mode(path: &Path, mode: &str) -> Result<(), String> {
    use std::os::unix::fs::PermissionsExt as _;
    let found = std::fs::metadata(path).map_err(|error| format!("{}: {error}", path.display()))?.permissions().mode();
    let found = format!("{:o}", found & 0o777);
    if found == mode { Ok(()) } else { Err(format!("{} has mode {found}, not {mode}", path.display())) }
}

#[cfg(not(unix))]
fn has_mode(path: &Path, _mode: &str) -> Result<(), String> {
    path.exists().then_some(()).ok_or_else(|| format!("{} is not there", path.display()))
}

#[test]
fn the_program_says_what_the_transcripts_say() {
    let mut wrong = Vec::new();
    let files = transcripts();
    assert!(files.len() >= 5, "the transcripts are gone");
    for path in files {
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).expect("a transcript");
        let transcript: Transcript = toml::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(!transcript.about.is_empty(), "{name}");
        if transcript.unix_only && !cfg!(unix) {
            continue;
        }
        wrong.extend(play(&name, &transcript));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// One line of JSON with exactly these members, then it serves until it is told to end, and ends as it should.
#[cfg(unix)]
#[test]
fn a_simulated_tenant_says_where_it_is_and_ends_at_a_signal() {
    use std::io::{BufRead as _, BufReader, Read as _};

    let mut tenant = Command::new(env!("CARGO_BIN_EXE_keybench"))
        .args(["sim", "tenant", "--listen", "127.0.0.1:0", "--people", "3"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("the program runs");
    let mut stdout = BufReader::new(tenant.stdout.take().expect("a pipe"));
    let mut line = String::new();
    stdout.read_line(&mut line).expect("a line");
    let line: serde_json::Value = serde_json::from_str(&line).expect("JSON");
    let members: Vec<&str> = line.as_object().expect("an object").keys().map(String::as_str).collect();
    assert_eq!(members, ["graph_url", "login_url", "tenant_id", "client_id", "client_secret", "upns"]);
    assert_eq!(line["upns"].as_array().map(Vec::len), Some(3));
    let address = line["graph_url"].as_str().and_then(|url| url.strip_prefix("http://")).expect("no version in it");
    assert!(std::net::TcpStream::connect(address).is_ok(), "it serves");

    let told = Command::new("kill").args(["-INT", &tenant.id().to_string()]).status().expect("kill");
    assert!(told.success());
    assert_eq!(tenant.wait().expect("it ends").code(), Some(0));
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).expect("the rest");
    assert_eq!(rest, "", "one line and no more");
}
