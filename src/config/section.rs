//! One function a section: from what stands in file, environment and options to checked values, noting what is wrong.

use std::path::{Path, PathBuf};

use url::Url;

use super::place;
use super::problem::Origin;
use super::reader::{Found, Reader};
use super::{
    ActivationSettings, Alphabet, ApiVersion, Auth, BenchSettings, EscrowSettings, FirstDevicePolicy, ForceChange,
    HandoverSettings, KEY_NAME, LedgerSettings, PinSettings, TenantSettings,
};
use crate::model::{ReleaseRule, Serial, TenantId, Upn};
use crate::pin::PinPolicy;

/// The cloud pairs, Graph and sign-in; see <https://learn.microsoft.com/graph/deployments>.
const CLOUDS: &[(&str, &str)] = &[
    ("graph.microsoft.com", "login.microsoftonline.com"),
    ("graph.microsoft.us", "login.microsoftonline.us"),
    ("dod-graph.microsoft.us", "login.microsoftonline.us"),
    ("microsoftgraph.chinacloudapi.cn", "login.partner.microsoftonline.cn"),
    ("microsoftgraph.chinacloudapi.cn", "login.chinacloudapi.cn"),
];

pub(super) fn tenant(reader: &mut Reader<'_>, file: &Path) -> TenantSettings {
    let id = guid(reader, "id");
    let client_id = guid(reader, "client_id");
    let auth = reader.choice(
        "tenant",
        "auth",
        &[
            ("device-code", Auth::DeviceCode),
            ("browser", Auth::Browser),
            ("certificate", Auth::Certificate),
            ("secret", Auth::Secret),
        ],
    );
    let api = reader.choice("tenant", "api", &[("v1.0", ApiVersion::V1), ("beta", ApiVersion::Beta)]);
    let (graph_url, login_url) = endpoints(reader);
    TenantSettings {
        id: id.map(TenantId::new),
        client_id,
        auth: auth.map_or(Auth::DeviceCode, |found| found.value),
        client_secret_file: path(reader, file, "tenant", "client_secret_file"),
        certificate_file: path(reader, file, "tenant", "certificate_file"),
        key_file: path(reader, file, "tenant", "key_file"),
        api: api.map_or(ApiVersion::V1, |found| found.value),
        graph_url,
        login_url,
        allowed_group: reader.text("tenant", "allowed_group").map(|found| found.value.trim().to_owned()),
        access_pace_ms: reader.number("tenant", "access_pace_ms", 0..=60_000).map_or(1_100, |found| found.value),
    }
}

fn guid(reader: &mut Reader<'_>, key: &str) -> Option<String> {
    let found = reader.text("tenant", key)?;
    match uuid::Uuid::try_parse(found.value.trim()) {
        Ok(id) => Some(id.hyphenated().to_string()),
        Err(_) => {
            let what = "this must be a GUID like 72f988bf-86f1-41af-91ab-2d7cd011db47; Entra's overview page shows it";
            reader.note(found.origin, &format!("tenant.{key}"), what);
            None
        }
    }
}

fn path(reader: &mut Reader<'_>, file: &Path, section: &str, key: &str) -> Option<PathBuf> {
    reader.text(section, key).map(|found| match found.origin {
        // What is typed or exported counts from where the person stands.
        Origin::File { .. } | Origin::WholeFile => place::beside(Some(file), &found.value),
        Origin::Environment(_) | Origin::Flag(_) => place::beside(None, &found.value),
    })
}

fn endpoints(reader: &mut Reader<'_>) -> (Url, Url) {
    // infallible: both are constants that a test parses.
    let default = |host: &str| Url::parse(&format!("https://{host}")).expect("a constant URL");
    let (default_graph, default_login) = (default(CLOUDS[0].0), default(CLOUDS[0].1));
    let graph = reader.text("tenant", "graph_url");
    let login = reader.text("tenant", "login_url");
    let one_sided = match (&graph, &login) {
        (Some(graph), None) => Some((graph.origin.clone(), "graph_url", "login_url")),
        (None, Some(login)) => Some((login.origin.clone(), "login_url", "graph_url")),
        _ => None,
    };
    if let Some((origin, given, absent)) = one_sided {
        let what = format!("tenant.{absent} must be given too: the two belong to one cloud");
        reader.note(origin, &format!("tenant.{given}"), what);
        return (default_graph, default_login);
    }
    let (Some(graph_text), Some(login_text)) = (graph, login) else {
        return (default_graph, default_login);
    };
    let (graph, login) = (address(reader, &graph_text, "graph_url"), address(reader, &login_text, "login_url"));
    let (Some(graph), Some(login)) = (graph, login) else {
        return (default_graph, default_login);
    };
    let known = CLOUDS.iter().any(|(g, l)| graph.host_str() == Some(g) && login.host_str() == Some(l));
    let here = is_loopback(&graph) && is_loopback(&login);
    if !known && !here {
        let what = "graph_url and login_url must be those of one Microsoft cloud, or both be on this machine; tokens go \
                    nowhere else";
        reader.note(graph_text.origin, "tenant.graph_url", what);
    }
    (graph, login)
}

fn address(reader: &mut Reader<'_>, found: &Found<String>, key: &str) -> Option<Url> {
    let wrong = match Url::parse(found.value.trim()) {
        Err(_) => "this is not a URL like https://graph.microsoft.com",
        Ok(url) if url.scheme() == "http" && !is_loopback(&url) => "http is only for this machine: use https",
        Ok(url) if !matches!(url.scheme(), "http" | "https") => "this must begin with https://",
        Ok(url) if !url.username().is_empty() || url.password().is_some() => "a URL with a user name is not accepted",
        Ok(url) if url.query().is_some() || url.fragment().is_some() || !matches!(url.path(), "" | "/") => {
            "this ends after the host and port: leave the version and the tenant out"
        }
        Ok(url) => return Some(url),
    };
    reader.note(found.origin.clone(), &format!("tenant.{key}"), wrong);
    None
}

/// Whether a URL points at this machine: 127.0.0.0/8, ::1 or `localhost`.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        Some(url::Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        None => false,
    }
}

pub(super) fn pin(reader: &mut Reader<'_>) -> PinSettings {
    let length = reader.number("pin", "length", 4..=63).map_or(6, |found| found.value);
    let alphabet =
        reader.choice("pin", "alphabet", &[("digits", Alphabet::Digits), ("alphanumeric", Alphabet::Alphanumeric)]);
    let force_change = reader.choice(
        "pin",
        "force_change",
        &[
            ("when-supported", ForceChange::WhenSupported),
            ("require", ForceChange::Require),
            ("never", ForceChange::Never),
        ],
    );
    let minimum = reader.number("pin", "minimum", 4..=63);
    let wanted = crate::pin::PinSettings {
        length: Some(length),
        alphabet: alphabet.as_ref().map_or(Alphabet::Digits, |found| found.value),
        force_change: force_change.as_ref().map_or(ForceChange::WhenSupported, |found| found.value),
        minimum: minimum.as_ref().map(|found| found.value),
    };
    // What fits each by itself may not fit together: the PIN policy's own rules, said at the setting's line.
    if let Err(errors) = PinPolicy::check(&wanted)
        && let Some(origin) = minimum.as_ref().map(|found| found.origin.clone())
    {
        for error in errors {
            let text = error.to_string();
            reader.note(origin.clone(), "pin.minimum", text.strip_prefix("[pin] ").unwrap_or(&text));
        }
    }
    let first_device = reader.choice(
        "pin",
        "first_device",
        &[("warn", FirstDevicePolicy::Warn), ("leave-off", FirstDevicePolicy::LeaveOff)],
    );
    PinSettings {
        length,
        alphabet: alphabet.map_or(Alphabet::Digits, |found| found.value),
        force_change: force_change.map_or(ForceChange::WhenSupported, |found| found.value),
        minimum: minimum.map_or(length, |found| found.value),
        first_device: first_device.map_or(FirstDevicePolicy::Warn, |found| found.value),
    }
}

pub(super) fn escrow(reader: &mut Reader<'_>) -> EscrowSettings {
    let show_seconds = reader.number("escrow", "show_seconds", 5..=600).map_or(30, |found| found.value);
    let (first, second) = groups(reader);
    EscrowSettings { first, second, show_seconds }
}

/// The custodians' groups; the second is empty unless under dual control.
fn groups(reader: &mut Reader<'_>) -> (Vec<String>, Vec<String>) {
    let first = recipients(reader, "escrow", "recipients");
    let second = recipients(reader, "escrow", "second_recipients");
    let dual = reader.boolean("escrow", "dual");
    let texts = |list: &[Found<String>]| list.iter().map(|found| found.value.clone()).collect::<Vec<_>>();
    match dual {
        Some(Found { value: true, origin }) if second.is_empty() => {
            if let [a, b] = first.as_slice()
                && a.value != b.value
            {
                return (vec![a.value.clone()], vec![b.value.clone()]);
            }
            let what = "dual control needs two groups: list the second in escrow.second_recipients, or give exactly two \
                        different recipients, one a group";
            reader.note(origin, "escrow.dual", what);
            Default::default()
        }
        Some(Found { value: true, .. }) => {
            if let Some(both) = second.iter().find(|found| first.iter().any(|other| other.value == found.value)) {
                let what = "this recipient is in both groups, and could open PINs alone";
                reader.note(both.origin.clone(), "escrow.second_recipients", what);
            }
            (texts(&first), texts(&second))
        }
        Some(_) | None => {
            if let Some(found) = second.first() {
                let what = "this has an effect only with escrow.dual = true";
                reader.note(found.origin.clone(), "escrow.second_recipients", what);
            }
            (texts(&first), Vec::new())
        }
    }
}

fn recipients(reader: &mut Reader<'_>, section: &'static str, key: &'static str) -> Vec<Found<String>> {
    let field = format!("{section}.{key}");
    let mut good: Vec<Found<String>> = Vec::new();
    for mut found in reader.texts(section, key).unwrap_or_default() {
        found.value = found.value.trim().to_owned();
        let text = found.value.as_str();
        let wrong = if text.to_ascii_uppercase().starts_with("AGE-SECRET-KEY-") || text.starts_with("AGE-PLUGIN-") {
            // Never repeated in the message.
            Some("this is an identity, the secret half: it must not be on the bench. Give its recipient, age1…")
        } else if text.parse::<age::x25519::Recipient>().is_err() && text.parse::<age::plugin::Recipient>().is_err() {
            Some("this is not an age recipient (age1…); keybench escrow keygen makes one")
        } else if good.iter().any(|other| other.value == found.value) {
            Some("this recipient is listed twice")
        } else {
            None
        };
        match wrong {
            Some(what) => reader.note(found.origin.clone(), &field, what),
            None => good.push(found),
        }
    }
    good
}

pub(super) fn ledger(reader: &mut Reader<'_>, file: &Path, data: &Path) -> LedgerSettings {
    let mut path_of_ledger = crate::platform::places::ledger_file(data);
    if let Some(found) = reader.text("ledger", "url") {
        let base = match found.origin {
            Origin::File { .. } | Origin::WholeFile => Some(file),
            Origin::Environment(_) | Origin::Flag(_) => None,
        };
        match found.value.trim().strip_prefix("sqlite:") {
            Some(rest) if !rest.trim().is_empty() => {
                // `sqlite:///srv/bench.db`, as other programs write it, means the same.
                let rest = rest.strip_prefix("//").filter(|rest| rest.starts_with('/')).unwrap_or(rest);
                path_of_ledger = place::beside(base, rest);
            }
            _ => {
                let what = if found.value.starts_with("postgres") {
                    "PostgreSQL is not supported yet: use \"sqlite:PATH\""
                } else {
                    "this must be \"sqlite:PATH\""
                };
                reader.note(found.origin, "ledger.url", what);
            }
        }
    }
    let system_log = reader.boolean("ledger", "system_log").is_some_and(|found| found.value);
    LedgerSettings { path: path_of_ledger, mirror: path(reader, file, "ledger", "mirror"), system_log }
}

pub(super) fn bench(reader: &mut Reader<'_>, file: &Path) -> BenchSettings {
    let mut never = Vec::new();
    for found in reader.texts("bench", "never").unwrap_or_default() {
        let serial = found.value.trim();
        if serial.is_empty() || !serial.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
            reader.note(found.origin, "bench.never", "a serial number has letters, digits and dashes only");
        } else {
            never.push(Serial::new(serial));
        }
    }
    let key_name = reader.text("bench", "key_name");
    if let Some(found) = &key_name
        && let Err(what) = check_key_name(&found.value)
    {
        reader.note(found.origin.clone(), "bench.key_name", what);
    }
    BenchSettings {
        name: reader.text("bench", "name").map(|found| found.value.trim().to_owned()),
        never,
        touch_gap: std::time::Duration::from_millis(
            reader.number("bench", "touch_gap_ms", 0..=10_000).map_or(1_000, |found| found.value.into()),
        ),
        only_expected: reader.boolean("bench", "only_expected").is_some_and(|found| found.value),
        bell: reader.boolean("bench", "bell").is_none_or(|found| found.value),
        key_name: key_name.map_or_else(|| KEY_NAME.to_owned(), |found| found.value),
        mds: path(reader, file, "bench", "mds"),
    }
}

pub(super) fn handover(reader: &mut Reader<'_>, file: &Path) -> HandoverSettings {
    let release = reader.choice("handover", "release", &ReleaseRule::ALL.map(|rule| (rule.word(), rule)));
    let country = reader.text("handover", "country").and_then(|found| {
        let text = found.value.trim().to_ascii_uppercase();
        if text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_uppercase()) {
            return Some(text);
        }
        reader.note(found.origin, "handover.country", "this must be a country's two letters, like NL (ISO 3166-1)");
        None
    });
    let mut days = |key: &str, default: u16| {
        let found = reader.number("handover", key, 1..=365);
        found.and_then(|found| u16::try_from(found.value).ok()).unwrap_or(default)
    };
    let (letter_days, letter_days_abroad) = (days("letter_days", 21), days("letter_days_abroad", 30));
    let hook = reader.texts("handover", "hook").unwrap_or_default();
    let mail_from = reader.text("handover", "mail_from").and_then(|found| match Upn::parse(&found.value) {
        Some(address) => Some(address.to_string()),
        None => {
            reader.note(found.origin, "handover.mail_from", "this must be a mailbox, like it-desk@example.com");
            None
        }
    });
    let text = |reader: &mut Reader<'_>, key: &'static str| {
        reader.text("handover", key).map(|found| found.value.trim().to_owned()).filter(|text| !text.is_empty())
    };
    let longest = if country.is_some() { letter_days.max(letter_days_abroad) } else { letter_days };
    HandoverSettings {
        activation: activation(reader, longest),
        template: path(reader, file, "handover", "template"),
        printer: text(reader, "printer"),
        label_printer: text(reader, "label_printer"),
        carrier: path(reader, file, "handover", "carrier"),
        release: release.map_or(ReleaseRule::OnReceipt, |found| found.value),
        country,
        letter_days,
        letter_days_abroad,
        hook: hook.into_iter().map(|found| found.value).collect(),
        mail_from,
        pin_to_manager: reader.boolean("handover", "pin_to_manager").is_some_and(|found| found.value),
    }
}

/// When a key is registered. A held registration has to outlive the letter whose PIN is released after it.
fn activation(reader: &mut Reader<'_>, letter_days: u16) -> ActivationSettings {
    let when = reader.choice("handover", "activate", &[("at-bench", false), ("on-receipt", true)]);
    let recipients = recipients(reader, "handover", "activation_recipients");
    let days = reader.number("handover", "activation_days", 1..=30);
    let on_receipt = when.as_ref().is_some_and(|found| found.value);
    let days_of_hold = days.as_ref().and_then(|found| u8::try_from(found.value).ok()).unwrap_or(30);
    if let Some(Found { value: true, origin }) = &when {
        if recipients.is_empty() {
            let what = "held registrations are sealed to somebody: name them in handover.activation_recipients \
                        (keybench escrow keygen makes an identity)";
            reader.note(origin.clone(), "handover.activate", what);
        }
        if u16::from(days_of_hold) < letter_days {
            let origin = days.map_or_else(|| origin.clone(), |found| found.origin);
            let what = format!(
                "a PIN letter may be released for {letter_days} days, and a key held for {days_of_hold} days could not be \
                 activated any more by then: shorten handover.letter_days, or hold for longer (30 days at most)"
            );
            reader.note(origin, "handover.activation_days", what);
        }
    }
    ActivationSettings {
        on_receipt,
        recipients: recipients.into_iter().map(|found| found.value).collect(),
        days: days_of_hold,
    }
}

/// Only `{model}`, `{serial}` and `{date}` may stand in braces, and the fixed text must leave room: the tenant takes 30
/// characters, and the serial is never cut off.
fn check_key_name(template: &str) -> Result<(), String> {
    let mut rest = template.to_owned();
    for known in ["{model}", "{serial}", "{date}"] {
        rest = rest.replace(known, "");
    }
    if rest.contains(['{', '}']) {
        return Err("only {model}, {serial} and {date} can stand in braces".to_owned());
    }
    if template.chars().any(char::is_control) {
        return Err("this must be one line of text".to_owned());
    }
    if rest.chars().count() > 15 {
        return Err("the fixed part has more than 15 characters: the tenant takes 30 in all".to_owned());
    }
    Ok(())
}
