//! The way to real keys, on virtual ones: files, selection, banner, the typed word, an actuator and what it reaches, wear, reports. And
//! every mistake that can be made on it: a clear sentence, a status that is not 0, and no key that was touched.

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::Trial;
use crate::rig::keys::Keys;
use crate::rig::program::{Ended, run};
use crate::rig::terminal::Dialogue;
use crate::rig::{Need, Rig, ensure};

pub const FILES: Trial = Trial { name: "dut-files", destroys: "nothing", needs: &[], bench: Some(files), key: None };
pub const LAB: Trial =
    Trial { name: "duts", destroys: "2 keys", needs: &[Need::Uhid, Need::FidoTools], bench: Some(lab), key: None };

/// The whole of one lab.
const PATIENCE: Duration = Duration::from_secs(480);

/// A folder of DUT files, reports, and this program to run on them.
struct Desk {
    folder: tempfile::TempDir,
    keybench: PathBuf,
}

impl Desk {
    fn new(rig: &Rig) -> Result<Self, String> {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        fs::create_dir(folder.path().join("duts")).map_err(|error| error.to_string())?;
        Ok(Self { folder, keybench: rig.keybench.clone() })
    }

    fn place(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn dut(&self, name: &str, text: &str) -> Result<(), String> {
        fs::write(self.place("duts").join(format!("{name}.toml")), text).map_err(|error| error.to_string())
    }

    fn forget(&self, name: &str) {
        let _ = fs::remove_file(self.place("duts").join(format!("{name}.toml")));
    }

    fn command(&self, words: &[&str]) -> Result<Command, String> {
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        let mut command = Command::new(program);
        command.arg("--duts-folder").arg(self.place("duts")).arg("--report").arg(self.place("report")).args(words);
        command.env("HW_KEYBENCH", &self.keybench).env("HOME", self.folder.path());
        Ok(command)
    }

    fn run(&self, words: &[&str]) -> Result<Ended, String> {
        run(&mut self.command(words)?, PATIENCE)
    }

    /// It must end with this status and say this.
    fn says(&self, words: &[&str], code: i32, sentence: &str) -> Result<Ended, String> {
        let ended = self.run(words)?;
        ensure(ended.code == Some(code) && ended.stdout.contains(sentence), || {
            format!(
                "{words:?} ended with {:?} and not {code}, {sentence:?}: {}{}",
                ended.code, ended.stdout, ended.stderr
            )
        })?;
        Ok(ended)
    }
}

const PERSON: &str =
    "model = \"YubiKey 5 NFC\"\nusb = \"1050:0407\"\nserial = \"30000001\"\n\n[operator]\nkind = \"person\"\n";

/// The table that a full run fills: lines of trials that were done are new, others stay, and so does the text around.
fn fills_a_page(desk: &Desk) -> Result<(), String> {
    let (part, page) = (desk.place("part"), desk.place("page.md"));
    let (part_name, page_name) = (part.display().to_string(), page.display().to_string());
    let write = |path: &Path, text: &str| fs::write(path, text).map_err(|error| error.to_string());
    fs::create_dir_all(&part).map_err(|error| error.to_string())?;
    let row = r#"{"dut": "virtual", "trial": "info", "verdict": "passed", "said": "one | two", "seconds": 2.4}"#;
    write(&part.join("last.json"), &format!("{{\"rows\": [{row}], \"models\": {{}}}}"))?;
    let words = ["--join", &part_name, "--figures", &page_name, "--measured", "today, 1.0"];
    write(&page, "no table")?;
    desk.says(&words, 1, "has no lines")?;
    let kept = "| `soak` | passed | 9 | old | then |";
    let around = |lines: &str| format!("above\n<!-- full run: begin -->\n{lines}<!-- full run: end -->\nbelow\n");
    write(
        &page,
        &around(&format!("| `info` | failed | 1 | x | then |\n{kept}\n| `gone` | passed | 1 | x | then |\n")),
    )?;
    desk.says(&words, 0, "1 passed")?;
    let is = fs::read_to_string(&page).map_err(|error| error.to_string())?;
    let head = "| trial | | s | what was tried | measured |\n|---|---|---|---|---|\n";
    let wanted = around(&format!("{head}| `info` | passed | 2 | one \\| two | today, 1.0 |\n{kept}\n"));
    ensure(is == wanted, || format!("the page is\n{is}\nand not\n{wanted}"))
}

/// Needs no key: a file with a mistake begins nothing.
fn files(rig: &Rig) -> Result<String, String> {
    let desk = Desk::new(rig)?;
    let mistakes = Cell::new(0);
    let begins_nothing = |words: &[&str], sentence: &str| {
        mistakes.set(mistakes.get() + 1);
        let ended = desk.says(words, 2, sentence)?;
        ensure(ended.stdout.contains("nothing was begun"), || ended.stdout.clone())
    };
    begins_nothing(&["--duts", "all"], "there is no DUT file in")?;
    desk.dut("mine", PERSON)?;
    begins_nothing(&["--duts", "yours"], "there is no DUT yours in")?;
    begins_nothing(&["--duts", "mine", "--only", "dance"], "there is no trial dance")?;
    // A slip of the pen must not become "all trials".
    begins_nothing(&["--duts", "mine", "--onyl=info"], "there is no option --onyl")?;
    begins_nothing(&["--duts=mine", "--only=dance"], "there is no trial dance")?;
    begins_nothing(&["--duts", "mine", "info"], "info is no option; with --duts trials are named by --only")?;
    begins_nothing(&["--duts", "mine", "--full=yes"], "--full takes no value")?;
    begins_nothing(&["--dut", "mine"], "there is no option --dut")?;
    for (text, sentence) in [
        ("model = ", "bad.toml is wrong: line 1: "),
        (&PERSON.replace("serial", "seriall"), "bad.toml is wrong: line 3: unknown field `seriall`"),
        (&PERSON.replace("person", "robot"), "robot"),
        (&PERSON.replace("usb = \"1050:0407\"\n", ""), "usb is missing"),
        (&PERSON.replace("1050:0407", "yubikey"), "is not of the form"),
        (&PERSON.replace("serial = \"30000001\"\n", ""), "neither serial nor port"),
        (&PERSON.replace("\n[operator]", "may = [\"anything\"]\n[operator]"), "anything"),
        (
            &PERSON.replace("kind = \"person\"", "kind = \"hook\"\ncommand = []\nactuator = \"1\""),
            "operator.command is empty",
        ),
    ] {
        desk.dut("bad", text)?;
        begins_nothing(&["--duts", "bad"], sentence)?;
    }
    desk.dut("bad", PERSON)?;
    begins_nothing(&["--duts", "all"], "two DUTs have one serial number: bad and mine (30000001)")?;
    desk.dut("bad", &PERSON.replace("30000001", "7aff01"))?;
    desk.dut("twin", &PERSON.replace("30000001", "7AFF01"))?;
    begins_nothing(&["--duts", "all"], "two DUTs have one serial number: bad and twin (7AFF01)")?;
    desk.forget("twin");
    desk.dut("bad", &PERSON.replace("serial = \"30000001\"", "port = \"1-4\""))?;
    desk.dut("twin", &PERSON.replace("serial = \"30000001\"", "port = \"1-4\""))?;
    begins_nothing(&["--duts", "bad,twin"], "two DUTs are in one port: bad and twin (1-4)")?;
    desk.forget("twin");
    desk.forget("bad");
    begins_nothing(&["--duts", "/no/such/file.toml"], "can't be read")?;
    fs::create_dir_all(desk.place("report")).map_err(|error| error.to_string())?;
    fs::write(desk.place("report/wear.json"), "torn").map_err(|error| error.to_string())?;
    begins_nothing(&["--duts", "mine"], "wear book")?;
    fills_a_page(&desk)?;
    // The files that are shipped can be read.
    let mut shipped_files = 0;
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("hw-tests/duts");
    let folder = fs::read_dir(&shipped).map_err(|error| error.to_string())?;
    for file in folder.flatten().map(|file| file.path()) {
        let is_file =
            ["toml", "example"].iter().any(|kind| file.extension().is_some_and(|extension| extension == *kind));
        if is_file {
            crate::rig::dut::Dut::read(&file)?;
            shipped_files += 1;
        }
    }
    ensure(shipped_files > 0, || format!("no file in {}", shipped.display()))?;
    Ok(format!("{} mistakes begin nothing; the {shipped_files} shipped files read", mistakes.get()))
}

/// A key that is there, driven through a hook as an actuator would be.
fn lab(rig: &Rig) -> Result<String, String> {
    let desk = Desk::new(rig)?;
    let mut keys = Keys::shared(rig, 1, &[], &desk.place("keys"))?;
    keys.wait_for_nodes()?;
    // Another model beside it, with a PIN: nobody has named it.
    let mut bystander = Keys::start(rig, 1, &["--model", "titan-v2", "--first-port", "90", "--pin", "904316"])?;
    bystander.wait_for_nodes()?;
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let hook = |socket: &str, serial: &str, more: &str| {
        let socket = format!("{}{socket}", desk.place("keys").display());
        format!(
            "model = \"YubiKey 5 NFC\"\nusb = \"1050:0407\"\nserial = {serial:?}\n{more}\n\n[operator]\nkind = \"hook\"\n\
             command = [{:?}, \"--virtual-hook\", {socket:?}]\nactuator = \"1\"\npatience-ms = 25000\n",
            program.to_string_lossy()
        )
    };
    let may = "may = [\"wipe\", \"lock-out\"]\none-way = [\"pin-rules\"]";

    // Keys that are not the one that is meant. Nothing is done to any.
    desk.dut("key", &hook("", "30000009", may))?;
    desk.says(
        &["--duts", "key", "--only", "provision"],
        1,
        "is not there: port sim-1 (serial 30000001), port sim-90 (18d1:9470, not opened)",
    )?;
    desk.dut("key", &hook("", "30000001", &format!("aaguid = \"2fc0579f-8113-47ea-b116-bb5a8db9202a\"\n{may}")))?;
    desk.says(&["--duts", "key", "--only", "provision"], 1, "nothing was done to it")?;
    // What the file does not allow is not done.
    desk.dut("key", &hook("", "30000001", ""))?;
    desk.says(&["--duts", "key", "--only", "provision", "--only", "info"], 0, "its file does not let it be wiped")?;
    desk.dut("key", &hook("", "30000001", "may = [\"wipe\"]"))?;
    desk.says(&["--duts", "key", "--only", "provision"], 2, "sets what only a reset takes back")?;
    desk.dut("key", &hook("", "30000001", &may.replace(", \"lock-out\"", "")))?;
    desk.says(&["--duts", "key", "--only", "pin"], 2, "does not let its PIN tries be spent")?;
    desk.dut("key", &hook("", "30000001", &format!("{may}\nbudget = {{ resets = 0 }}")))?;
    desk.says(&["--duts", "key", "--only", "provision"], 2, "its budget of resets is spent (0 of 0, 1 more needed)")?;
    // An actuator over another port.
    let other = hook("", "30000001", may).replace("actuator = \"1\"", "actuator = \"7\"");
    desk.dut("key", &other)?;
    desk.says(&["--duts", "key", "--only", "provision"], 1, "there is no key 7")?;
    // A person who does not type the word, and one who is not there.
    desk.dut("key", &PERSON.replace("\n[operator]", &format!("{may}\n\n[operator]")))?;
    desk.says(&["--duts", "key", "--only", "provision"], 1, "needs a terminal")?;
    let mut dialogue = Dialogue::start(&mut desk.command(&["--duts", "key", "--only", "provision"])?)?;
    dialogue.until("WIPED by provision", PATIENCE)?;
    dialogue.until("Type 0001 to go on", PATIENCE)?;
    dialogue.say("")?;
    let ended = dialogue.end(PATIENCE)?;
    ensure(ended.code == Some(1) && ended.stdout.contains("the word was not typed"), || ended.stdout.clone())?;
    let inside = keys.ask("inspect 1")?;
    ensure(inside["pin_is_set"] == false && inside["retries"] == 8, || format!("something was done to it: {inside}"))?;

    // Now as it should be: the hook's key and a virtual one, with a report; then again, and what has changed.
    desk.dut("key", &hook("", "30000001", may))?;
    desk.dut(
        "another",
        "model = \"titan-v2\"\nmay = [\"wipe\"]\none-way = [\"pin-rules\"]\n\n[operator]\nkind = \"virtual\"\n",
    )?;
    // The virtual DUT's port is the other key's: one after the other.
    let ended = desk.says(&["--duts", "key", "--only", "info", "--only", "provision"], 0, "WIPED by provision")?;
    ensure(ended.stdout.contains("key leave") && ended.stdout.contains("3 passed"), || ended.stdout.clone())?;
    let inside = keys.ask("inspect 1")?;
    ensure(inside["pin_is_set"] == false, || format!("it was not left blank: {inside}"))?;
    let report =
        |name: &str| fs::read_to_string(desk.place("report").join(name)).map_err(|error| format!("{name}: {error}"));
    let junit = report("junit.xml")?;
    ensure(
        junit.contains("tests=\"3\" failures=\"0\"") && junit.contains("testcase classname=\"key\" name=\"provision\""),
        || junit.clone(),
    )?;
    ensure(report("index.html")?.contains("<td class=\"passed\""), || "the page has no matrix".to_owned())?;
    let wear = report("wear.json")?;
    ensure(wear.contains("serial 30000001") && wear.contains("\"resets\": 1"), || wear.clone())?;

    // A key that disappears for good.
    desk.dut("key", &hook(",lazy", "30000001", may).replace("25000", "3000"))?;
    let lost = desk.says(
        &["--duts", "key", "--only", "provision", "--only", "info"],
        1,
        "did not come back to port sim-1 within 3 s",
    )?;
    ensure(lost.stdout.contains("since the last run: key provision: was passed, is failed"), || lost.stdout.clone())?;
    drop(keys);
    let lab =
        desk.says(&["--duts", "all", "--only", "provision"], 1, "DUT key (1050:0407, serial 30000001) is not there")?;
    ensure(lab.stdout.contains("another provision passed"), || lab.stdout.clone())?;
    let inside = bystander.ask("inspect 1")?;
    ensure(inside["pin_is_set"] == true && inside["retries"] == 8, || format!("a key that nobody named: {inside}"))?;
    Ok("wrong serial, model, actuator, person, budget, and a key that is gone: refused; one by a hook, one virtual: done, with reports".to_owned())
}
