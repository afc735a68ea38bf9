//! The rig's own tools, where a mistake of theirs would cost somebody a key or an evening. Needs no key.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::Trial;
use crate::rig::dut::{Budget, Dut, OperatorSpec};
use crate::rig::program::{run, run_group};
use crate::rig::report::Report;
use crate::rig::wear::{BOOK, WearBook, Worn};
use crate::rig::{Rig, ensure, hidraw};

pub const TRIAL: Trial = Trial { name: "rig", destroys: "nothing", needs: &[], bench: Some(trial), key: None };

fn trial(_: &Rig) -> Result<String, String> {
    devices()?;
    programs()?;
    wear()?;
    reports()?;
    Ok("devices told apart, hooks ended with all they started, wear kept, a part of the trials kept apart".to_owned())
}

/// Which device is a key, and in which port.
fn devices() -> Result<(), String> {
    for (descriptor, is_key) in [
        (&[0x06, 0xD0, 0xF1, 0x09, 0x01, 0xA1, 0x01][..], true),
        (&[0x05, 0x01, 0x09, 0x06, 0x07, 0xD0, 0xF1, 0x00, 0x00], true),
        // The same bytes as data: of a logical maximum, and of a long item.
        (&[0x05, 0x01, 0x27, 0x06, 0xD0, 0xF1, 0x00], false),
        (&[0xFE, 0x03, 0x10, 0x06, 0xD0, 0xF1, 0x05, 0x01], false),
        (&[0x05, 0x01, 0x06, 0xD0], false),
    ] {
        ensure(hidraw::is_fido(descriptor) == is_key, || format!("a key or not: {descriptor:02x?}"))?;
    }
    let behind_a_hub = "/sys/devices/pci0000:00/0000:00:14.0/usb1/1-4/1-4.2/1-4.2:1.0/0003:1050:0407.0003";
    let told = "HID_ID=0003:00001050:00000407\nHID_PHYS=usb-0000:00:14.0-4.2/input0\nHID_UNIQ=\n";
    ensure(hidraw::usb_ids(told) == "1050:0407", || hidraw::usb_ids(told))?;
    let virtual_one = "/sys/devices/virtual/misc/uhid/0003:1050:0407.0001";
    for (device, told, wanted) in [(behind_a_hub, told, "1-4.2"), (virtual_one, "HID_PHYS=sim-3\n", "sim-3")] {
        let port = hidraw::port_of(Path::new(device), told);
        ensure(port == wanted, || format!("{device} is in port {port}, not {wanted}"))?;
    }
    Ok(())
}

/// A script's children go with it at its deadline, and hold nobody up after its end.
fn programs() -> Result<(), String> {
    let begun = Instant::now();
    let mut hook = Command::new("sh");
    let hung = run_group(hook.args(["-c", "sleep 100 & echo $!; wait"]), Duration::from_millis(500));
    let said = hung.err().ok_or("a hook that hangs came to an end")?;
    let (_, child) = said.split_once("500ms: ").ok_or_else(|| said.clone())?;
    let gone = |child: &str| {
        let status = fs::read_to_string(format!("/proc/{}/status", child.trim())).unwrap_or_default();
        !status.contains("Name:\tsleep") || status.contains("State:\tZ")
    };
    crate::rig::eventually(Duration::from_secs(10), "what the hook has started goes", || Ok(gone(child)))?;
    let mut hook = Command::new("sh");
    let ended = run(hook.args(["-c", "sleep 100 & echo $!"]), Duration::from_secs(50))?;
    let child = ended.stdout.trim().to_owned();
    let left = !gone(&child);
    run(Command::new("sh").args(["-c", &format!("kill {child}")]), Duration::from_secs(10))?;
    ensure(ended.code == Some(0) && left, || format!("a hook that leaves something running: {ended:?}"))?;
    ensure(begun.elapsed() < Duration::from_secs(60), || format!("held up for {:?}", begun.elapsed()))
}

/// One book for one key, however its serial number is written.
fn wear() -> Result<(), String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let key = |serial: &str| Dut {
        serial: Some(serial.to_owned()),
        budget: Budget { resets: 2, lock_outs: 0 },
        operator: OperatorSpec::Person,
        ..Dut::virtual_key("any")
    };
    let one = Worn { resets: 1, lock_outs: 0 };
    WearBook::open(folder.path())?.count(&key("7aff01"), one)?;
    let mut book = WearBook::open(folder.path())?;
    ensure(book.of(&key("7AFF01")) == one, || "the same key in capitals has another book".to_owned())?;
    ensure(book.too_much(&key("7AFF01"), one).is_none(), || "a budget of 2 is spent by 1".to_owned())?;
    book.count(&key("7AFF01"), one)?;
    let spent = WearBook::open(folder.path())?.too_much(&key("7aff01"), one).unwrap_or_default();
    ensure(spent.contains("(2 of 2, 1 more needed)"), || format!("a budget of 2 after 2: {spent:?}"))?;
    let files = fs::read_dir(folder.path()).map_err(|error| error.to_string())?;
    let files: Vec<_> = files.flatten().map(|file| file.file_name()).collect();
    ensure(files == [BOOK], || format!("beside the book there is {files:?}"))
}

/// A run of some trials leaves the verdicts of the others for the next whole run.
fn reports() -> Result<(), String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let written = |rows: &[(&str, &str)], part: bool| {
        let row = |(trial, verdict): &(&str, &str)| json!({ "dut": "mine", "trial": trial, "verdict": verdict, "said": "", "seconds": 0.1 });
        let rows: Vec<_> = rows.iter().map(row).collect();
        let report = json!({ "rows": rows, "models": {}, "part": part });
        let report: Report = serde_json::from_value(report).map_err(|error| error.to_string())?;
        report.write(folder.path())
    };
    let none: [String; 0] = [];
    ensure(written(&[("info", "passed"), ("pin", "passed")], false)? == none, || "a first run has changed".to_owned())?;
    let changes = written(&[("pin", "failed")], true)?;
    ensure(changes == ["mine pin: was passed, is failed"], || format!("a part: {changes:?}"))?;
    let changes = written(&[("info", "passed"), ("pin", "passed")], false)?;
    ensure(changes == ["mine pin: was failed, is passed"], || format!("the whole after a part: {changes:?}"))?;
    let changes = written(&[("info", "passed")], false)?;
    ensure(changes == ["mine pin: not done, was passed"], || format!("a whole that lacks one: {changes:?}"))
}
