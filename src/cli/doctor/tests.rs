//! The doctor against a simulated tenant and simulated ports.

use super::bench::keys_in;
use super::{Findings, Verdict};
use crate::cli::testing::{Desk, Ran, output};
use crate::cli::{Context, Exit, Global};
use crate::config::{Overrides, Settings};
use crate::ctap2::hid::packet::{DeviceError, PacketDevice};
use crate::model::{PlugId, PortName};
use crate::sim::key::Model;
use crate::sim::key::{Birth, SimKey};
use crate::sim::ports::{Denial, SimPorts};
use crate::sim::tenant::{RunningTenant, TenantSpec, start};
use crate::world::{KeyPorts, PluggedKey, PortEvent, PortsError};

fn tenant(change: impl FnOnce(&mut TenantSpec)) -> RunningTenant {
    let mut spec = TenantSpec::from_people_argument("3").expect("people");
    change(&mut spec);
    start(spec, "127.0.0.1:0".parse().expect("an address")).expect("a tenant")
}

/// Settings of a bench whose secret is right, unless another is given.
fn desk(tenant: &RunningTenant, secret: Option<&str>) -> Desk {
    let desk = Desk::new(1);
    desk.write("secret", secret.unwrap_or(&tenant.client_secret));
    let recipient = desk.custodians[0].recipient();
    desk.settings(&format!(
        "[tenant]\nid = \"{}\"\nclient_id = \"{}\"\nauth = \"secret\"\nclient_secret_file = \"secret\"\ngraph_url = \"{}\"\n\
         login_url = \"{}\"\n[escrow]\nrecipients = [\"{recipient}\"]\n",
        tenant.tenant_id, tenant.client_id, tenant.graph_url, tenant.login_url
    ));
    desk
}

/// The verdict on one thing.
fn verdict(ran: &Ran, name: &str) -> (String, String) {
    let line = ran.lines().into_iter().find(|line| line["name"].as_str() == Some(name));
    let line = line.unwrap_or_else(|| panic!("nothing was said of {name}: {}", ran.out));
    let text = |member: &str| line[member].as_str().unwrap_or_default().to_owned();
    (text("verdict"), text("evidence"))
}

#[test]
fn a_bench_in_order_is_told_so() {
    let tenant = tenant(|_| {});
    let desk = desk(&tenant, None);
    desk.story();
    let ran = desk.run(&["doctor", "--json"]);
    for name in [
        "settings",
        "custodians",
        "ledger",
        "mirror",
        "cloud",
        "sign-in",
        "permissions",
        "passkeys on",
        "self-service set-up",
        "clock",
    ] {
        assert_eq!(verdict(&ran, name).0, "ok", "{name}: {}", ran.out);
    }
    assert!(verdict(&ran, "custodians").1.contains("has in force"), "{}", ran.out);
    let summary = ran.lines().pop().expect("a summary");
    assert_eq!(summary["event"].as_str(), Some("doctor"));
    assert!(!ran.out.contains(&tenant.client_secret));
}

#[test]
fn a_wrong_secret_ends_with_the_code_of_credentials() {
    let tenant = tenant(|_| {});
    let desk = desk(&tenant, Some("wrong-secret"));
    let ran = desk.run(&["doctor", "--json"]);
    assert_eq!(verdict(&ran, "sign-in").0, "fail");
    assert_eq!(ran.exit, Exit::Usage);
    let offline = desk.run(&["doctor", "--offline", "--json"]);
    assert_eq!(verdict(&offline, "tenant").0, "unknown");
}

#[test]
fn what_stands_against_the_tenant_is_named() {
    let closed = tenant(|spec| spec.policy.self_service = false);
    let ran = desk(&closed, None).run(&["doctor", "--json"]);
    assert_eq!(verdict(&ran, "self-service set-up").0, "fail");
    assert_eq!(ran.exit, Exit::Tenant);
    let poor = tenant(|spec| spec.app.permissions.retain(|held| !held.starts_with("UserAuth")));
    let ran = desk(&poor, None).run(&["doctor", "--json"]);
    let (found, evidence) = verdict(&ran, "permissions");
    assert_eq!(found, "fail", "{}", ran.out);
    assert!(evidence.contains("UserAuthMethod-Passkey.ReadWrite.All"), "{evidence}");
    assert_eq!(ran.exit, Exit::Tenant);
}

#[test]
fn what_stands_against_the_bench_is_named() {
    let tenant = tenant(|_| {});
    let other = desk(&tenant, None);
    other.story();
    // The ledger's custodian is another than the settings'.
    let stranger = crate::pin::keygen(jiff::Timestamp::UNIX_EPOCH);
    other.settings(&format!("[escrow]\nrecipients = [\"{}\"]\n", stranger.recipient()));
    let ran = other.run(&["doctor", "--offline", "--json"]);
    assert_eq!(verdict(&ran, "custodians").0, "fail", "{}", ran.out);
    assert_eq!(ran.exit, Exit::Usage);
    std::fs::write(other.path("ledger.db"), b"rubbish that is no ledger at all").expect("spoilt");
    let ran = other.run(&["doctor", "--offline", "--json"]);
    assert_eq!(verdict(&ran, "ledger").0, "fail", "{}", ran.out);
    other.write("config.toml", "[pin]\nlenght = 6\n");
    let ran = other.run(&["doctor", "--json"]);
    let (found, evidence) = verdict(&ran, "settings");
    assert_eq!((found.as_str(), ran.exit), ("fail", Exit::Usage));
    assert!(evidence.contains("length"), "{evidence}");
}

#[test]
fn each_key_is_judged() {
    let ports = SimPorts::numbered(3);
    let plug = |port: &str, key| ports.plug(&PortName::new(port), key).expect("plugged");
    plug("sim-1", SimKey::new(&Model::usual(), 1));
    plug("sim-2", SimKey::born(&Model::usual(), 2, &Birth { u2f_only: true, ..Birth::default() }));
    plug("sim-3", SimKey::new(&Model::usual(), 3));
    ports.deny(&PortName::new("sim-3"), Some(Denial::NoRight));
    let (output, out, _) = output(false);
    let context = Context { global: &Global::default(), output: &output, environment: &|_| None };
    let mut findings = Findings { context: &context, seen: Vec::new() };
    let models = keys_in(&mut findings, None, &ports);
    assert_eq!(models.len(), 1);
    let verdicts: Vec<Verdict> = findings.seen.iter().map(|(verdict, _)| *verdict).collect();
    assert_eq!(verdicts, [Verdict::Ok, Verdict::Warn, Verdict::Fail], "{}", out.text());
    assert_eq!(findings.exit(), Exit::Keys);
    assert!(out.text().contains("u2f-only") && out.text().contains("Next: "), "{}", out.text());
}

/// Ports that write down which keys are opened.
struct Watched {
    ports: SimPorts,
    opened: std::sync::Mutex<Vec<PlugId>>,
}

impl KeyPorts for Watched {
    fn list(&self) -> Result<Vec<PluggedKey>, PortsError> {
        self.ports.list()
    }
    fn watch(&self) -> Result<std::sync::mpsc::Receiver<PortEvent>, PortsError> {
        self.ports.watch()
    }
    fn open(&self, plug: PlugId) -> Result<Box<dyn PacketDevice>, DeviceError> {
        self.opened.lock().expect("no thread failed").push(plug);
        self.ports.open(plug)
    }
}

#[test]
fn a_key_on_the_never_list_is_not_opened_where_usb_tells_its_number() {
    let titan = SimKey::new(&Model::by_id("titan-v2").expect("a model"), 1);
    let yubikey = SimKey::new(&Model::usual(), 2);
    let number = |key: &SimKey| key.serial().expect("a serial number").to_string();
    let text = format!("[bench]\nnever = [{:?}, {:?}]\n", number(&titan), number(&yubikey));
    let (file, data) = (std::path::Path::new("/bench/config.toml"), std::path::Path::new("/data"));
    let settings = Settings::parse(&text, file, true, data, &|_| None, &Overrides::new()).expect("settings");
    let ports = SimPorts::numbered(2);
    ports.plug(&PortName::new("sim-1"), titan).expect("plugged");
    ports.plug(&PortName::new("sim-2"), yubikey).expect("plugged");
    let ports = Watched { ports, opened: std::sync::Mutex::default() };
    let (output, out, _) = output(false);
    let context = Context { global: &Global::default(), output: &output, environment: &|_| None };
    let mut findings = Findings { context: &context, seen: Vec::new() };
    let models = keys_in(&mut findings, Some(&settings), &ports);
    assert!(models.is_empty(), "{}", out.text());
    // A YubiKey tells its number only when it is asked.
    let yubikey = ports.list().expect("keys")[1].plug;
    assert_eq!(*ports.opened.lock().expect("no thread failed"), [yubikey]);
    assert!(out.text().contains("on [bench] never, it is not opened"), "{}", out.text());
    assert!(out.text().contains("on [bench] never; it was asked who it is"), "{}", out.text());
}
