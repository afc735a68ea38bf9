//! A recording of a look at the key, as we would like to get them from people (hw-tests/README.md): kept with `--record DIR`.

use std::fs;
use std::process::Command;

use crate::rig::bench::PATIENCE;
use crate::rig::program::run;
use crate::rig::subject::{LOOKS, Subject};
use crate::rig::{Rig, ensure};
use crate::{OnKey, Trial};

pub const TRIAL: Trial = Trial {
    name: "record",
    destroys: "nothing",
    needs: &[],
    bench: None,
    key: Some(OnKey { asks: LOOKS, models: &["yubikey-5-nfc", "titan-v2"], run: trial }),
};

fn trial(rig: &Rig, subject: &mut Subject) -> Result<String, String> {
    let temporary = tempfile::tempdir().map_err(|error| error.to_string())?;
    let folder = match &rig.recordings {
        Some(folder) => {
            fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
            folder.as_path()
        }
        None => temporary.path(),
    };
    let name = if subject.is_virtual() { &subject.dut.model } else { &subject.dut.name };
    let out = folder.join(format!("{}.jsonl", name.replace('/', "-")));
    let before = subject.recognise()?;
    // It plays back what it wrote, and fails where that says something else.
    run(Command::new(&rig.keybench).args(["record", "--port", &subject.port, "--out"]).arg(&out), PATIENCE)?.good()?;
    let text = fs::read_to_string(&out).map_err(|error| format!("{}: {error}", out.display()))?;
    let reports = text.lines().filter(|line| !line.starts_with('#')).count();
    ensure(reports >= 4, || format!("{reports} reports: that is no look at a key\n{text}"))?;
    let after = subject.recognise()?;
    ensure(before["pin_tries_left"] == after["pin_tries_left"], || format!("recording spent a PIN try: {after}"))?;
    let kept = if rig.recordings.is_some() { format!(", kept in {}", out.display()) } else { String::new() };
    Ok(format!("{reports} reports, which read the same when played back{kept}"))
}
