//! The way to real keys, on virtual ones: files, selection, banner, the typed word, an actuator and what it reaches, wear, reports. And
//! every mistake that can be made on it: a clear sentence, a status that is not 0, and no key that was touched.

use std::cell::Cell;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::Trial;
use crate::rig::keys::Keys;
use crate::rig::program::{Ended, run};
use crate::rig::terminal::Dialogue;
use crate::rig::{Need, Rig, ensure, hook};

pub const FILES: Trial = Trial { name: "dut-files", destroys: "nothing", needs: &[], bench: Some(files), key: None };
pub const LAB: Trial =
    Trial { name: "duts", destroys: "4 keys", needs: &[Need::Uhid, Need::FidoTools], bench: Some(lab), key: None };

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

    fn read(&self, name: &str) -> Result<String, String> {
        fs::read_to_string(self.place(name)).map_err(|error| format!("{name}: {error}"))
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
    let skipped = r#"{"dut": "virtual", "trial": "soak", "verdict": "skipped", "said": "not here", "seconds": 0}"#;
    write(&part.join("last.json"), &format!("{{\"rows\": [{row}, {skipped}], \"models\": {{}}}}"))?;
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
        (
            &PERSON.replace("\n[operator]", "port = \"1-4.2\"\npower = { location = \"1-4\", port = 3 }\n[operator]"),
            "[power] switches port 1-4.3, and the key is in port 1-4.2",
        ),
        (
            &PERSON.replace("\n[operator]", "port = \"1-4\"\npower = { location = \"2\", port = 4 }\n[operator]"),
            "[power] switches port 2-4, and the key is in port 1-4",
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
    fs::write(desk.place("duts/wear.json"), "torn").map_err(|error| error.to_string())?;
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

/// A PIN of somebody's, on keys that must keep it.
const THEIRS: &str = "904316";
/// What the hooks' keys may lose.
const MAY: &str = "may = [\"wipe\", \"lock-out\"]\none-way = [\"pin-rules\"]";
const PROVISION: [&str; 4] = ["--duts", "key", "--only", "provision"];

/// A DUT whose hand is this program, at the keys of this socket.
fn hooked(socket: &str, serial: &str, more: &str) -> Result<String, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    Ok(format!(
        "model = \"YubiKey 5 NFC\"\nusb = \"1050:0407\"\nserial = {serial:?}\n{more}\n\n[operator]\nkind = \"hook\"\n\
         command = [{:?}, \"--virtual-hook\", {socket:?}]\nactuator = \"1\"\npatience-ms = 25000\n",
        program.to_string_lossy()
    ))
}

/// Two keys of one model that are there, one of them named and driven through a hook as an actuator would be.
fn lab(rig: &Rig) -> Result<String, String> {
    let desk = Desk::new(rig)?;
    // Nobody has named it. It is there first, so that whoever goes through all keys comes to it first.
    let mut bystander = Keys::start(rig, 1, &["--model", "titan-v2", "--first-port", "90", "--pin", THEIRS])?;
    bystander.wait_for_nodes()?;
    let mut keys = Keys::shared(rig, 2, &["--pin", THEIRS], &desk.place("keys"))?;
    keys.wait_for_nodes()?;
    refused(&desk, &mut keys)?;

    // From here on the other key of the model is not spoken to either: ours is asked first, and tells its serial number.
    keys.ask("power-cycle 2")?;
    keys.wait_for_nodes()?;
    let socket = desk.place("keys").to_string_lossy().into_owned();
    done(&desk, &mut keys, &socket)?;

    // A key that disappears for good.
    desk.dut("key", &hooked(&format!("{socket},lazy"), "30000001", MAY)?.replace("25000", "3000"))?;
    let lost = desk.says(
        &["--duts", "key", "--only", "provision", "--only", "info"],
        1,
        "did not come back to port sim-1 within 3 s",
    )?;
    ensure(lost.stdout.contains("since the last run: key provision: was passed, is failed"), || lost.stdout.clone())?;
    let swapped = swapped(rig, &desk, &mut keys, &socket);
    let heard = keys.state(2)?["heard"].clone();
    ensure(heard == 0, || format!("a key of the same model that nobody named got {heard} reports"))?;
    drop(keys);
    swapped?;
    let lab =
        desk.says(&["--duts", "all", "--only", "provision"], 1, "DUT key (1050:0407, serial 30000001) is not there")?;
    ensure(lab.stdout.contains("another provision passed"), || lab.stdout.clone())?;
    desk.forget("another");
    particular(rig, &desk)?;
    let heard = bystander.state(1)?["heard"].clone();
    ensure(heard == 0, || format!("a key that nobody named got {heard} reports"))?;
    let inside = bystander.ask("inspect 1")?;
    ensure(inside["pin_is_set"] == true && inside["retries"] == 8, || format!("a key that nobody named: {inside}"))?;
    Ok("wrong serial, model, actuator, switch, person, budget, a key that is gone, another put back: refused; by a hook, \
        by a switching hub, with a long touch, without a list of passkeys, and virtual: done, with reports"
        .to_owned())
}

/// What must not be done is not: the key keeps its PIN.
fn refused(desk: &Desk, keys: &mut Keys) -> Result<(), String> {
    let socket = desk.place("keys").to_string_lossy().into_owned();
    let dut = |serial: &str, more: &str| desk.dut("key", &hooked(&socket, serial, more)?);

    // Keys that are not the one that is meant.
    dut("30000009", MAY)?;
    let ended = desk.says(&PROVISION, 1, "DUT key (1050:0407, serial 30000009) is not there: ")?;
    for seen in ["port sim-1 (serial 30000001)", "port sim-2 (serial 30000002)", "port sim-90 (18d1:9470, not opened)"]
    {
        ensure(ended.stdout.contains(seen), || format!("{seen} is not told: {}", ended.stdout))?;
    }
    dut("30000001", &format!("aaguid = \"2fc0579f-8113-47ea-b116-bb5a8db9202a\"\n{MAY}"))?;
    desk.says(&PROVISION, 1, "nothing was done to it")?;
    let by_port = hooked(&socket, "30000001", MAY)?.replace("serial = \"30000001\"", "port = \"sim-1\"");
    desk.dut("key", &by_port)?;
    desk.says(&PROVISION, 1, "tells its serial number 30000001, and the file names none")?;
    // What the file does not allow is not done.
    dut("30000001", "")?;
    desk.says(&["--duts", "key", "--only", "provision", "--only", "info"], 0, "its file does not let it be wiped")?;
    dut("30000001", "may = [\"wipe\"]")?;
    desk.says(&PROVISION, 2, "sets what only a reset takes back")?;
    dut("30000001", &MAY.replace(", \"lock-out\"", ""))?;
    desk.says(&["--duts", "key", "--only", "pin"], 2, "does not let its PIN tries be spent")?;
    // Enough to begin with, and not to leave it blank.
    dut("30000001", &format!("{MAY}\nbudget = {{ resets = 1 }}"))?;
    desk.says(&PROVISION, 2, "its budget of resets is spent (0 of 1, 2 more needed)")?;
    // An actuator that is not there, and one over another key: the hook succeeds, and ours goes on blinking.
    desk.dut("key", &hooked(&socket, "30000001", MAY)?.replace("actuator = \"1\"", "actuator = \"7\""))?;
    desk.says(&PROVISION, 1, "there is no key 7")?;
    let brief = hooked(&format!("{socket},brief"), "30000001", MAY)?;
    desk.dut("key", &brief.replace("actuator = \"1\"", "actuator = \"2\""))?;
    keys.ask("touch-timeout 1 5000")?;
    let ended = desk.says(&PROVISION, 1, "the actuator does not reach the key in port sim-1; nothing was wiped")?;
    ensure(!ended.stdout.contains("ended with Some(1)"), || format!("the hook failed: {}", ended.stdout))?;
    keys.ask("touch-timeout 1 30000")?;
    // A switch of another port.
    let wrong = "[power]\nlocation = \"sim\"\nport = 4\n";
    desk.dut("key", &format!("{}\n{wrong}", hooked(&socket, "30000001", MAY)?))?;
    desk.says(&PROVISION, 1, "[power] switches port sim-4, and the key is in port sim-1; nothing was done to it")?;
    // A person who does not type the word, and one who is not there.
    desk.dut("key", &PERSON.replace("\n[operator]", &format!("{MAY}\n\n[operator]")))?;
    desk.says(&PROVISION, 1, "needs a terminal")?;
    let mut dialogue = Dialogue::start(&mut desk.command(&PROVISION)?)?;
    dialogue.until("WIPED by provision", PATIENCE)?;
    dialogue.until("Type 0001 to go on", PATIENCE)?;
    dialogue.say("")?;
    let ended = dialogue.end(PATIENCE)?;
    ensure(ended.code == Some(1) && ended.stdout.contains("the word was not typed"), || ended.stdout.clone())?;
    for number in 1..=2 {
        let inside = keys.ask(&format!("inspect {number}"))?;
        let is = keys.ask(&format!("pin-is {number} {THEIRS}"))?["pin_is"] == true;
        ensure(is && inside["retries"] == 8, || format!("something was done to key {number}: {inside}"))?;
    }
    Ok(())
}

/// As it should be: wiped, provisioned, left blank, with a report.
fn done(desk: &Desk, keys: &mut Keys, socket: &str) -> Result<(), String> {
    desk.dut("key", &hooked(socket, "30000001", MAY)?)?;
    // The virtual DUT's port is the other key's: one after the other.
    desk.dut(
        "another",
        "model = \"titan-v2\"\nmay = [\"wipe\"]\none-way = [\"pin-rules\"]\n\n[operator]\nkind = \"virtual\"\n",
    )?;
    let ended = desk.says(&["--duts", "key", "--only", "info", "--only", "provision"], 0, "WIPED by provision")?;
    ensure(ended.stdout.contains("key leave") && ended.stdout.contains("3 passed"), || ended.stdout.clone())?;
    let inside = keys.ask("inspect 1")?;
    ensure(inside["pin_is_set"] == false, || format!("it was not left blank: {inside}"))?;
    let junit = desk.read("report/junit.xml")?;
    ensure(
        junit.contains("tests=\"3\" failures=\"0\"") && junit.contains("testcase classname=\"key\" name=\"provision\""),
        || junit.clone(),
    )?;
    ensure(desk.read("report/index.html")?.contains("<td class=\"passed\""), || "the page has no matrix".to_owned())?;
    let wear = desk.read("duts/wear.json")?;
    ensure(wear.contains("serial 30000001") && wear.contains("\"resets\": 2"), || wear.clone())
}

/// Somebody's own key is put in where the finished one was: no PIN is tried on it.
fn swapped(rig: &Rig, desk: &Desk, keys: &mut Keys, socket: &str) -> Result<(), String> {
    let options = ["--serial", "39999997", "--pin", THEIRS, "--unplugged"];
    let mut other = Keys::shared(rig, 1, &options, Path::new(&format!("{socket}.other")))?;
    keys.ask("plug 1")?;
    keys.wait_for_nodes()?;
    fs::write(hook::asked(socket), "").map_err(|error| error.to_string())?;
    desk.dut("key", &hooked(&format!("{socket},swap"), "30000001", MAY)?)?;
    let stopped = "the key in port sim-1 is another one (serial \"39999997\", not 30000001); nothing was done to it";
    let ended = desk.says(&PROVISION, 1, stopped)?;
    // By the trial itself; that the key is to be left blank comes later.
    let by_itself = |line: &str| line.starts_with("hw key provision") && line.contains(stopped);
    ensure(ended.stdout.lines().any(by_itself), || format!("another key was not noticed at once: {}", ended.stdout))?;
    let inside = other.ask("inspect 1")?;
    let is = other.ask(&format!("pin-is 1 {THEIRS}"))?["pin_is"] == true;
    ensure(is && inside["retries"] == 8, || format!("something was done to the other key: {inside}"))?;
    ensure(keys.ask("inspect 1")?["residents"].as_array().is_some_and(|all| all.len() == 1), || {
        "the key was not finished before the other came".to_owned()
    })
}

/// A key that wants a long touch for its reset and lists no passkeys, in a hub that switches power.
fn particular(rig: &Rig, desk: &Desk) -> Result<(), String> {
    let usual = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/models/yubikey-5-nfc.toml");
    let mut text = fs::read_to_string(usual).map_err(|error| error.to_string())?;
    for (from, to) in [
        ("options_removed = [", "options_removed = [\"credMgmt\", "),
        (", credentialMgmtPreview = true", ""),
        ("preview_credential_management = true", ""),
        ("members_added = {", "members_added = { \"0x18\" = true,"),
    ] {
        ensure(text.contains(from), || format!("the model says {from} no more"))?;
        text = text.replace(from, to);
    }
    let model = desk.place("model.toml");
    fs::write(&model, text).map_err(|error| error.to_string())?;
    let socket = desk.place("particular").to_string_lossy().into_owned();
    let model = model.to_string_lossy().into_owned();
    let options = ["--model", &model, "--serial", "39999996", "--first-port", "50", "--pin", THEIRS];
    let mut keys = Keys::shared(rig, 1, &options, Path::new(&socket))?;
    keys.wait_for_nodes()?;
    // As uhubctl is called: -l HUB -p PORT -a on|off.
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let script = format!(
        "#!/bin/sh\n[ \"$1 $2 $3 $4 $5\" = \"-l sim -p 50 -a\" ] || exit 9\ncase $6 in on) verb=insert;; off) verb=remove;; esac\n\
         exec '{}' --virtual-hook '{socket}' $verb 1 sim-50\n",
        program.display()
    );
    let switch = desk.place("switch");
    fs::write(&switch, script).map_err(|error| error.to_string())?;
    fs::set_permissions(&switch, fs::Permissions::from_mode(0o755)).map_err(|error| error.to_string())?;
    let power = format!("[power]\ncommand = {:?}\nlocation = \"sim\"\nport = 50\n", switch.to_string_lossy());
    desk.dut("key", &format!("{}\n{power}", hooked(&socket, "39999996", MAY)?))?;
    let ended = desk.says(&PROVISION, 0, "key leave")?;
    ensure(ended.stdout.contains("2 passed, 0 failed"), || ended.stdout.clone())?;
    let inside = keys.ask("inspect 1")?;
    ensure(inside["pin_is_set"] == false, || format!("it was not left blank: {inside}"))?;
    let asked = fs::read_to_string(hook::asked(&socket)).map_err(|error| error.to_string())?;
    let count = |verb: &str| asked.lines().filter(|line| *line == verb).count();
    // Two resets; the hand was proven, and a passkey made.
    ensure((count("touch-long"), count("touch")) == (2, 2), || format!("the hand was asked for: {asked}"))?;
    ensure(count("insert") >= 3 && count("insert") == count("remove"), || format!("the switch was asked for: {asked}"))
}
