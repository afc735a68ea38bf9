//! Sealing to a custodian whose key is in an age plugin, with a plugin made for the test: it "encrypts" a file key by handing it
//! back. It has to be found in PATH, so the test runs itself once more with another PATH.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::sync::Arc;

use jiff::Timestamp;
use zeroize::Zeroizing;

use super::escrow::{self, SealError};
use super::identity::{Identities, NoPrompts, keygen};
use super::recipients::Recipients;
use super::resume::ResumeKey;
use crate::model::{JobId, Pin};

/// The age plugin protocol (C2SP age-plugin), as far as one file key needs it. Asked about a file that is not for it, it answers
/// with an empty key, which is wrong: that must not keep other identities from opening.
const PLUGIN: &str = r#"#!/bin/sh
key= take=
while IFS= read -r line; do
  case "$line" in
    "-> done"*) read -r _; break ;;
    "-> wrap-file-key"* | "-> recipient-stanza 0 keybenchtest"*) take=1 ;;
    "-> "*) take= ;;
    ?*) if [ -n "$take" ]; then key=$line; fi ;;
  esac
done
case "$1" in
  --age-plugin=recipient-v1) printf -- '-> recipient-stanza 0 keybenchtest\n%s\n' "$key" ;;
  --age-plugin=identity-v1) printf -- '-> file-key 0\n%s\n' "$key" ;;
esac
read -r _
read -r _
printf -- '-> done\n\n'
"#;

/// A plugin that wants a PIN, as a hardware token's does: `123456` in base64. Without it, it finds nothing.
fn asking_plugin() -> String {
    PLUGIN.replace("keybenchtest", "keybenchpin").replace(
        "  --age-plugin=identity-v1) printf",
        "  --age-plugin=identity-v1) printf -- '-> request-secret\\nUElO\\n'; read -r _; read -r answer
    if [ \"$answer\" != MTIzNDU2 ]; then printf -- '-> done\\n\\n'; exit; fi
    printf",
    )
}

fn plugin_recipient() -> String {
    bech32_of("age1keybenchtest1")
}

#[test]
fn a_missing_plugin_is_named_before_the_first_key() {
    let recipients = Recipients::single(&[plugin_recipient()]).expect("valid");
    assert_eq!(escrow::probe(&recipients), Err(SealError::PluginMissing("age-plugin-keybenchtest".into())));
    let native = keygen(Timestamp::UNIX_EPOCH).recipient().to_owned();
    escrow::probe(&Recipients::single(&[native]).expect("valid")).expect("native needs nothing");
}

#[test]
fn a_plugin_in_path_seals_and_opens() {
    let dir = tempfile::tempdir().expect("a directory");
    let plugin = dir.path().join("age-plugin-keybenchtest");
    std::fs::write(&plugin, PLUGIN).expect("writes");
    std::fs::set_permissions(&plugin, std::fs::Permissions::from_mode(0o755)).expect("changes");
    let asking = dir.path().join("age-plugin-keybenchpin");
    std::fs::write(&asking, asking_plugin()).expect("writes");
    std::fs::set_permissions(&asking, std::fs::Permissions::from_mode(0o755)).expect("changes");
    let with_path = |debug: Option<&str>, test: &str| {
        let mut again = Command::new(std::env::current_exe().expect("this program"));
        again.args(["--exact", &format!("pin::plugin_tests::{test}"), "--ignored"]);
        again.env("PATH", format!("{}:/usr/bin:/bin", dir.path().display())).env_remove("AGEDEBUG");
        if let Some(value) = debug {
            again.env("AGEDEBUG", value);
        }
        let answer = again.output().expect("runs");
        let text = String::from_utf8_lossy(&answer.stdout);
        assert!(answer.status.success() && text.contains("1 passed"), "{text}");
    };
    with_path(None, "with_the_plugin_in_path");
    with_path(None, "with_a_plugin_that_asks");
    with_path(Some("plugin"), "with_plugin_debugging");
}

#[test]
#[ignore = "run by a_plugin_in_path_seals_and_opens"]
fn with_the_plugin_in_path() {
    let (job, pin) =
        (JobId::new("7K3QZ0M4XN"), Pin::new(Zeroizing::new("kd2rp9vx84tbn5h7".to_owned())).expect("a PIN"));
    let native = keygen(Timestamp::UNIX_EPOCH);
    let plugin = age::plugin::Identity::default_for_plugin("keybenchtest").expect("a name").to_string();
    let with = |files: &[&str]| {
        let mut all = Identities::new();
        for file in files {
            all.add("test", file.as_bytes(), Arc::new(NoPrompts)).expect("reads");
        }
        all
    };
    // Beside a native custodian, each opens alone.
    let either = Recipients::single(&[native.recipient().to_owned(), plugin_recipient()]).expect("valid");
    escrow::probe(&either).expect("works");
    let sealed = escrow::seal(&either, &ResumeKey::generate(), &job, 1, &pin).expect("seals");
    for file in [native.expose_file(), &plugin] {
        let opened = escrow::open(&sealed.custodian, false, &with(&[file]), &job).expect("opens");
        assert_eq!(opened.pin.expose(), pin.expose());
    }
    // Under dual control, neither does.
    let both = Recipients::dual(&[native.recipient().to_owned()], &[plugin_recipient()]).expect("valid");
    let sealed = escrow::seal(&both, &ResumeKey::generate(), &job, 1, &pin).expect("seals");
    for file in [native.expose_file(), &plugin] {
        assert!(escrow::open(&sealed.custodian, true, &with(&[file]), &job).is_err());
    }
    let opened = escrow::open(&sealed.custodian, true, &with(&[&plugin, native.expose_file()]), &job).expect("opens");
    assert_eq!(opened.pin.expose(), pin.expose());
}

/// A custodian who types these, one after another.
struct Typing(std::sync::Mutex<Vec<&'static str>>);

impl super::identity::Prompts for Typing {
    fn tell(&self, _: &str) {}
    fn confirm(&self, _: &str, _: &str, _: Option<&str>) -> Option<bool> {
        None
    }
    fn ask(&self, _: &str) -> Option<String> {
        None
    }
    fn ask_secret(&self, question: &str) -> Option<crate::model::Secret<String>> {
        assert!(question.contains("PIN"), "{question}");
        self.0.lock().expect("whole").pop().map(|typed| crate::model::Secret::new(typed.to_owned()))
    }
}

#[test]
#[ignore = "run by a_plugin_in_path_seals_and_opens"]
fn with_a_plugin_that_asks() {
    let (job, pin) =
        (JobId::new("7K3QZ0M4XN"), Pin::new(Zeroizing::new("kd2rp9vx84tbn5h7".to_owned())).expect("a PIN"));
    let to = Recipients::single(&[bech32_of("age1keybenchpin1")]).expect("valid");
    let sealed: Vec<_> =
        (0..3).map(|_| escrow::seal(&to, &ResumeKey::generate(), &job, 1, &pin).expect("seals")).collect();
    let identity = age::plugin::Identity::default_for_plugin("keybenchpin").expect("a name").to_string();
    // Typed from the last: wrong, right; and after that nobody is there any more.
    let typing = Arc::new(Typing(std::sync::Mutex::new(vec!["123456", "wrong"])));
    let mut hands = Identities::new();
    hands.add("kim.txt", identity.as_bytes(), Arc::clone(&typing) as Arc<dyn super::identity::Prompts>).expect("reads");
    let opens = |number: usize| escrow::open(&sealed[number].custodian, false, &hands, &job).is_ok();
    assert!(!opens(0), "a wrong PIN");
    assert!(opens(0), "typed again, because the wrong one is not repeated");
    assert!(opens(1) && opens(2), "one unlock serves the batch");
    assert_eq!(typing.0.lock().expect("whole").len(), 0, "asked twice in all");
}

#[test]
#[ignore = "run by a_plugin_in_path_seals_and_opens"]
fn with_plugin_debugging() {
    let recipients = Recipients::single(&[plugin_recipient()]).expect("valid");
    assert_eq!(escrow::probe(&recipients), Err(SealError::PluginDebug));
    let plugin = age::plugin::Identity::default_for_plugin("keybenchtest").expect("a name").to_string();
    assert!(Identities::new().add("test", plugin.as_bytes(), Arc::new(NoPrompts)).is_err());
}

/// BIP 173's checksum for `prefix` (which ends in the separator) and one byte of data.
fn bech32_of(prefix: &str) -> String {
    const CHARSET: &[u8] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
    let polymod = |values: &[u8]| {
        values.iter().fold(1u32, |sum, value| {
            let top = sum >> 25;
            let mut sum = (sum & 0x1ff_ffff) << 5 ^ u32::from(*value);
            for (bit, term) in [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3].iter().enumerate() {
                if top >> bit & 1 == 1 {
                    sum ^= term;
                }
            }
            sum
        })
    };
    let hrp = prefix.strip_suffix('1').expect("the separator").as_bytes();
    let data = [0u8, 0];
    let mut values: Vec<u8> = hrp.iter().map(|c| c >> 5).chain([0]).chain(hrp.iter().map(|c| c & 31)).collect();
    values.extend(data);
    let check = polymod(&[values.as_slice(), &[0; 6]].concat()) ^ 1;
    let tail = (0..6).map(|i| (check >> (5 * (5 - i)) & 31) as u8);
    let mut text = prefix.to_owned();
    text.extend(data.into_iter().chain(tail).map(|v| char::from(CHARSET[usize::from(v)])));
    text
}
