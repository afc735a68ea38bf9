//! Another account: without a udev rule it learns why it can't open the keys and what to do; with the rule that our package installs, under
//! systemd's own udev, it works, also for keys that come later.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::Trial;
use crate::rig::bench::{Bench, PATIENCE};
use crate::rig::inspect::inspect;
use crate::rig::keys::Keys;
use crate::rig::program::{Live, run};
use crate::rig::{Need, Rig, ensure, eventually};

pub const WITHOUT: Trial = Trial {
    name: "permission",
    destroys: "a key",
    needs: &[Need::Uhid, Need::Root],
    bench: Some(without_a_rule),
    key: None,
};
pub const UDEV: Trial = Trial {
    name: "udev-rule",
    destroys: "a key",
    needs: &[Need::Uhid, Need::Root, Need::Udev],
    bench: Some(with_the_shipped_rule),
    key: None,
};

/// `nobody`.
const NOBODY: u32 = 65534;
/// The group of the rule's commented line.
const GROUP: u32 = 4711;

fn without_a_rule(rig: &Rig) -> Result<String, String> {
    let mut keys = Keys::plugged(rig, 1)?;
    let node = keys.node(1)?;
    let as_nobody = |words: &[&str]| {
        let mut command = Command::new(&rig.keybench);
        command.args(words).uid(NOBODY).gid(NOBODY).current_dir("/").env("HOME", "/").env_remove("KEYBENCH_CONFIG");
        run(&mut command, PATIENCE)
    };
    let list = |json: bool| as_nobody(if json { &["key", "info", "--json"] } else { &["key", "info"] });
    // The doctor's word on the keys: verdict and evidence, from the check that begins so.
    let doctor = |name: &str| {
        let told = as_nobody(&["doctor", "--offline", "--json"])?.stdout;
        let mut checks = told.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let check = checks.find(|check| check["name"].as_str().is_some_and(|found| found.starts_with(name)));
        check.ok_or_else(|| format!("the doctor says nothing of {name}: {told}"))
    };
    fs::set_permissions(&node, fs::Permissions::from_mode(0o600)).map_err(|error| error.to_string())?;
    let refused = list(false)?;
    ensure(refused.code == Some(4), || {
        format!("without the right the exit code is {:?}: {}", refused.code, refused.stderr)
    })?;
    ensure(refused.stderr.contains("udev") && refused.stderr.contains("Next:"), || {
        format!("it does not say what is missing: {}", refused.stderr)
    })?;
    ensure(!refused.stderr.contains("no key"), || {
        format!("a key that may not be opened is no missing key: {}", refused.stderr)
    })?;
    let said = doctor("key in port")?;
    ensure(
        said["verdict"] == "fail" && said["next"].as_str().is_some_and(|next| next.contains("70-keybench.rules")),
        || format!("the doctor on a key without the right: {said}"),
    )?;
    fs::set_permissions(&node, fs::Permissions::from_mode(0o666)).map_err(|error| error.to_string())?;
    let told = list(true)?.good()?;
    ensure(told.contains("30000001"), || format!("with the right: {told}"))?;
    // The kernel has the key and nobody made its node, as in a container.
    fs::remove_file(&node).map_err(|error| error.to_string())?;
    let said = doctor("key in port")?;
    ensure(said["evidence"].as_str().is_some_and(|why| why.contains("no-node")), || {
        format!("the doctor on a key without a node: {said}")
    })?;
    drop(keys);
    let said = doctor("keys")?;
    ensure(said["evidence"].as_str().is_some_and(|why| why.contains("none in any port: this is a")), || {
        format!("the doctor in a machine that is no real one: {said}")
    })?;
    late(rig)?;
    Ok("no right, no node, no key: each with its reason; let in with the right, also when that comes late".to_owned())
}

/// The right comes long after the key: it need not be taken out and put back for that.
fn late(rig: &Rig) -> Result<(), String> {
    let bench = Bench::new(rig, 1, "")?;
    let folder = bench.place("");
    let roster = bench.roster("people.csv", [0])?;
    let chown = |to: &str| run(Command::new("chown").args(["-R", to]).arg(&folder), PATIENCE)?.good();
    chown(&format!("{NOBODY}:{NOBODY}"))?;
    let mut keys = Keys::start(rig, 1, &["--touch"])?;
    keys.wait_for_nodes()?;
    let node = keys.node(1)?;
    let mut command = bench.run_command(&roster);
    let mut bench_run = Live::start(command.uid(NOBODY).gid(NOBODY))?;
    let refused = bench_run.until("key-refused", PATIENCE)?;
    ensure(refused["code"] == "no-right", || format!("without the right: {refused}"))?;
    fs::set_permissions(&node, fs::Permissions::from_mode(0o666)).map_err(|error| error.to_string())?;
    bench_run.until("finished", PATIENCE)?;
    keys.ask("unplug 1")?;
    let code = bench_run.end(PATIENCE)?;
    ensure(code == 0, || format!("exit code {code}; {}", bench_run.told()))?;
    chown("0:0")?;
    inspect(&bench, &mut keys, 1).map(drop)
}

fn udev_daemon() -> Result<Live, String> {
    let daemon = Live::start(&mut Command::new("/lib/systemd/systemd-udevd"))?;
    std::thread::sleep(Duration::from_millis(500));
    Ok(daemon)
}

/// Nobody sits at this machine: what can be seen is the tag by which logind gives a key to whoever does. No other rule sets it here.
fn as_shipped(rig: &Rig) -> Result<(), String> {
    for folder in ["/usr/lib/udev/rules.d", "/lib/udev/rules.d", "/etc/udev/rules.d"] {
        for file in fs::read_dir(folder).into_iter().flatten().flatten().map(|file| file.path()) {
            let ours = file.ends_with("70-keybench.rules");
            if !ours && fs::read_to_string(&file).is_ok_and(|text| text.contains("uaccess")) {
                fs::remove_file(&file).map_err(|error| format!("{}: {error}", file.display()))?;
            }
        }
    }
    let daemon = udev_daemon()?;
    let mut keys = Keys::plugged(rig, 1)?;
    let node = keys.node(1)?;
    let number = fs::metadata(&node).map_err(|error| format!("{}: {error}", node.display()))?.rdev();
    let (major, minor) = (rustix::fs::major(number), rustix::fs::minor(number));
    let tag = format!("/run/udev/tags/uaccess/c{major}:{minor}");
    eventually(PATIENCE, "the shipped rule lets whoever sits there open the key", || Ok(Path::new(&tag).exists()))?;
    drop(daemon);
    Ok(())
}

fn with_the_shipped_rule(rig: &Rig) -> Result<String, String> {
    ensure(std::env::var_os("HW_GUEST").is_some(), || "only in the guest: it would change this machine".to_owned())?;
    let udev = std::env::var_os("HW_UDEV").unwrap_or_default();
    // A machine with udev, as far as that goes: its files, the group, our rule with the line for a group switched on.
    // `/lib` may be a link there and a folder here.
    let unpack = "tar -c . | tar -x -C / --keep-directory-symlink";
    run(Command::new("sh").args(["-c", unpack]).current_dir(&udev), PATIENCE)?.good()?;
    // The package as a newcomer installs it; then the group's line is switched on, as packaging/README.md says.
    let package = std::env::var("HW_DEB").unwrap_or_default();
    ensure(!package.is_empty(), || "packaging/linux/deb built no package; HW_DEB names it".to_owned())?;
    run(Command::new("dpkg-deb").args(["--extract", package.trim(), "/"]), PATIENCE)?.good()?;
    let installed = run(Command::new("/usr/bin/keybench").arg("--version"), PATIENCE)?.good()?;
    ensure(installed.starts_with("keybench "), || format!("the installed program says {installed}"))?;
    let rules = Path::new("/usr/lib/udev/rules.d/70-keybench.rules");
    let rule = fs::read_to_string(rules).map_err(|error| format!("{}: {error}", rules.display()))?;
    as_shipped(rig)?;
    let switched = rule.replace("#ENV{ID_SECURITY_TOKEN}", "ENV{ID_SECURITY_TOKEN}");
    ensure(switched != rule, || "the rule has no line for a group".to_owned())?;
    fs::write(rules, switched).map_err(|error| error.to_string())?;
    let groups = fs::read_to_string("/etc/group").map_err(|error| error.to_string())?;
    fs::write("/etc/group", format!("{groups}keybench:x:{GROUP}:\n")).map_err(|error| error.to_string())?;
    let daemon = udev_daemon()?;
    let bench = Bench::new(rig, 1, "")?;
    let folder = bench.place("");
    run(Command::new("chown").args(["-R", &format!("{NOBODY}:{GROUP}")]).arg(&folder), PATIENCE)?.good()?;
    let mut keys = Keys::start(rig, 1, &["--unplugged", "--touch"])?;
    let roster = bench.roster("people.csv", [0])?;
    let mut command = bench.run_command(&roster);
    let mut bench_run = Live::start(command.uid(NOBODY).gid(GROUP))?;
    bench_run.until("started", PATIENCE)?;
    // The node comes as root's alone, and udev hands it over a moment later.
    keys.ask("plug 1")?;
    bench_run.until("finished", PATIENCE)?;
    let node = keys.node(1)?;
    eventually(PATIENCE, "udev gives the node to the group", || {
        Ok(fs::metadata(&node).is_ok_and(|node| node.gid() == GROUP && node.mode() & 0o777 == 0o660))
    })?;
    keys.ask("unplug 1")?;
    let code = bench_run.end(PATIENCE)?;
    ensure(code == 0, || format!("exit code {code}; {}", bench_run.told()))?;
    drop(daemon);
    // The folder goes back to who looks into it now: keybench reads no settings of others.
    run(Command::new("chown").args(["-R", "0:0"]).arg(&folder), PATIENCE)?.good()?;
    inspect(&bench, &mut keys, 1)?;
    Ok("package built and unpacked; its rule as shipped gives the key to whoever sits there; provisioned by an account of the group, the key plugged in later".to_owned())
}
