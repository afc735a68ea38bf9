//! Settings: options of the command line over the environment over a TOML file over the defaults, checked as a whole.
//!
//! Promise: [`Settings`] exist only when nothing in them is wrong; otherwise every problem is named at once, with file,
//! line, column and setting. A file that others may change is not read. Secrets are not settings: the file names where
//! they are ([`secret`]).
//!
//! Every setting can be given in the environment as `KEYBENCH_SECTION_KEY` (lists with commas), e.g.
//! `KEYBENCH_LEDGER_URL`. Relative paths count from the settings file's folder.

mod guard;
mod place;
mod problem;
pub(crate) mod reader;
pub mod secret;
pub mod template;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use url::Url;

use crate::model::{Serial, TenantId};

pub use place::Places;
pub use problem::{ConfigError, Origin, Problem, Problems, SecretError};
pub use reader::{Environment, Overrides};

use guard::Guard;
use reader::{Found, Reader};

/// All settings, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The file they are from, or would be from.
    pub file: PathBuf,
    /// That file exists.
    pub file_exists: bool,
    /// Where bench data is kept unless a setting says otherwise.
    pub data: PathBuf,
    /// `[tenant]`.
    pub tenant: TenantSettings,
    /// `[pin]`.
    pub pin: PinSettings,
    /// `[escrow]`.
    pub escrow: EscrowSettings,
    /// `[ledger]`.
    pub ledger: LedgerSettings,
    /// `[bench]`.
    pub bench: BenchSettings,
}

/// How to sign in to the tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Auth {
    /// A code typed at another device.
    DeviceCode,
    /// The system's browser, answering on loopback (PKCE).
    Browser,
    /// The application's certificate.
    Certificate,
    /// The application's secret.
    Secret,
}

/// Which version of Graph the registration calls go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApiVersion {
    /// v1.0: a challenge lasts 5 minutes.
    V1,
    /// beta: its lifetime can be chosen.
    Beta,
}

/// `[tenant]` as it stands: what a command needs of it is asked for by [`Settings::tenant`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantSettings {
    /// The tenant.
    pub id: Option<TenantId>,
    /// The application's id: a GUID in lower case.
    pub client_id: Option<String>,
    /// Default: device code.
    pub auth: Auth,
    /// A file with the client secret and nothing else.
    pub client_secret_file: Option<PathBuf>,
    /// PEM.
    pub certificate_file: Option<PathBuf>,
    /// PEM; the certificate's private key.
    pub key_file: Option<PathBuf>,
    /// Default: v1.0.
    pub api: ApiVersion,
    /// Graph, without a version. Default: `https://graph.microsoft.com`.
    pub graph_url: Url,
    /// The sign-in service. Default: `https://login.microsoftonline.com`.
    pub login_url: Url,
    /// Only members of this group (name or object id) may get a key.
    pub allowed_group: Option<String>,
}

/// What signing in needs, all present.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    /// The tenant.
    pub id: TenantId,
    /// The application's id.
    pub client_id: String,
    /// How.
    pub auth: Auth,
    /// Graph's version.
    pub api: ApiVersion,
    /// Graph, without a version.
    pub graph_url: Url,
    /// The sign-in service.
    pub login_url: Url,
    /// Only members of this group may get a key.
    pub allowed_group: Option<String>,
}

/// What PINs are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alphabet {
    /// 0 to 9.
    Digits,
    /// Digits and lower-case letters that are on the same key of every usual keyboard layout.
    Alphanumeric,
}

/// Whether the user must change the PIN at first use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForceChange {
    /// Where the key can; otherwise it is recorded as unsupported.
    WhenSupported,
    /// A key that can't is refused.
    Require,
    /// Never.
    Never,
}

/// What to do for a person whose first device can't change a PIN by force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FirstDevicePolicy {
    /// Force the change all the same, and warn.
    Warn,
    /// Leave the forced change off for that person, and say so.
    LeaveOff,
}

/// `[pin]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PinSettings {
    /// Code points, 4 to 63. Default: 6.
    pub length: u32,
    /// Default: digits.
    pub alphabet: Alphabet,
    /// Default: where the key can.
    pub force_change: ForceChange,
    /// The minimum length set on the key, in code points; at most `length`. Default: `length`.
    pub minimum: u32,
    /// Default: warn.
    pub first_device: FirstDevicePolicy,
}

/// `[escrow]`: whom PINs are sealed to. The texts are age recipients that parsed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EscrowSettings {
    /// Any one of these opens a PIN; under dual control any one of these and one of `second`.
    pub first: Vec<String>,
    /// Empty unless under dual control.
    pub second: Vec<String>,
}

impl EscrowSettings {
    /// Opening takes two people.
    pub fn dual(&self) -> bool {
        !self.second.is_empty()
    }

    /// The first age plugin among the recipients: a program that inherits our environment.
    pub fn plugin(&self) -> Option<String> {
        self.first
            .iter()
            .chain(&self.second)
            .find_map(|text| text.parse::<age::plugin::Recipient>().ok())
            .map(|recipient| format!("age-plugin-{}", recipient.plugin()))
    }
}

/// `[ledger]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerSettings {
    /// The SQLite file. Default: `ledger.db` among the bench data.
    pub path: PathBuf,
    /// A second place for every sealed entry.
    pub mirror: Option<PathBuf>,
}

/// `[bench]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BenchSettings {
    /// What the ledger calls this bench; else the machine's name.
    pub name: Option<String>,
    /// Serial numbers of keys that are never touched, e.g. the operators' own.
    pub never: Vec<Serial>,
    /// A label is due for every finished key. Default: yes.
    pub label: bool,
    /// What a key is called in the tenant: `{model}`, `{serial}` and `{date}` are filled in.
    pub key_name: String,
    /// The FIDO metadata BLOB (MDS3).
    pub mds: Option<PathBuf>,
}

/// The default of `[bench] key_name`.
pub const KEY_NAME: &str = "{model} {serial}";

/// Where the settings are looked for, and what outranks them.
pub struct Sources<'a> {
    /// `--config`.
    pub named: Option<&'a Path>,
    /// The environment.
    pub environment: Environment<'a>,
    /// Options.
    pub overrides: &'a Overrides,
}

impl Settings {
    /// Finds the file (`--config`, then `KEYBENCH_CONFIG`, then the system's place), reads and checks it. A file that was
    /// named must exist; the one in the system's place need not.
    ///
    /// # Errors
    /// [`ConfigError`], with everything that is wrong.
    pub fn load(sources: &Sources<'_>) -> Result<Self, ConfigError> {
        let places = Places::find(sources.environment);
        let (file, named) = match settings_file(sources.named, sources.environment, places.as_ref().ok()) {
            Some(found) => found,
            None => return Err(ConfigError::NoHome),
        };
        // Without a home there is still a settings file by name; what is kept goes beside it.
        let data = places.map_or_else(|_| place::beside(Some(&file), "keybench-data"), |places| places.data);
        let text = match guard::read_guarded(&file, Guard::Change) {
            Ok(bytes) => Some(
                std::str::from_utf8(&bytes)
                    .map_err(|_| ConfigError::Unreadable { path: file.clone(), cause: "it is not UTF-8 text".into() })?
                    .to_owned(),
            ),
            Err(ConfigError::NotFound { .. }) if !named => None,
            Err(error) => return Err(error),
        };
        let exists = text.is_some();
        Self::parse(&text.unwrap_or_default(), &file, exists, &data, sources.environment, sources.overrides)
            .map_err(ConfigError::Wrong)
    }

    /// Checks settings that are at hand as text. `file` and `data` are where relative paths count from and where bench
    /// data goes; nothing is read or written.
    ///
    /// # Errors
    /// All [`Problems`].
    pub fn parse(
        text: &str,
        file: &Path,
        file_exists: bool,
        data: &Path,
        environment: Environment<'_>,
        overrides: &Overrides,
    ) -> Result<Self, Problems> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut reader = Reader::new(text, environment, overrides);
        let settings = Self {
            file: file.to_owned(),
            file_exists,
            data: data.to_owned(),
            tenant: tenant(&mut reader, file),
            pin: pin(&mut reader),
            escrow: escrow(&mut reader),
            ledger: ledger(&mut reader, file, data),
            bench: bench(&mut reader, file),
        };
        if reader.problems.is_empty() {
            return Ok(settings);
        }
        let mut list = reader.problems;
        list.sort_by_key(|problem| match problem.origin {
            Origin::Flag(_) => (0, 0, 0),
            Origin::Environment(_) => (1, 0, 0),
            Origin::File { line, column } => (2, line, column),
            Origin::WholeFile => (3, 0, 0),
        });
        Err(Problems { file: Some(file.to_owned()), list })
    }

    /// What signing in needs.
    ///
    /// # Errors
    /// [`ConfigError::Missing`] names every setting that nobody made.
    pub fn tenant(&self) -> Result<Tenant, ConfigError> {
        let mut names = Vec::new();
        if self.tenant.id.is_none() {
            names.push("tenant.id");
        }
        if self.tenant.client_id.is_none() {
            names.push("tenant.client_id");
        }
        if self.tenant.auth == Auth::Certificate {
            if self.tenant.certificate_file.is_none() {
                names.push("tenant.certificate_file");
            }
            if self.tenant.key_file.is_none() {
                names.push("tenant.key_file");
            }
        }
        match (&self.tenant.id, &self.tenant.client_id) {
            (Some(id), Some(client_id)) if names.is_empty() => Ok(Tenant {
                id: id.clone(),
                client_id: client_id.clone(),
                auth: self.tenant.auth,
                api: self.tenant.api,
                graph_url: self.tenant.graph_url.clone(),
                login_url: self.tenant.login_url.clone(),
                allowed_group: self.tenant.allowed_group.clone(),
            }),
            _ => Err(ConfigError::Missing { path: self.file.clone(), names }),
        }
    }

    /// Whom PINs are sealed to.
    ///
    /// # Errors
    /// [`ConfigError::Missing`] when there is nobody.
    pub fn custodians(&self) -> Result<&EscrowSettings, ConfigError> {
        if self.escrow.first.is_empty() {
            return Err(ConfigError::Missing { path: self.file.clone(), names: vec!["escrow.recipients"] });
        }
        Ok(&self.escrow)
    }
}

/// The settings file to use, and whether somebody named it.
pub fn settings_file(
    named: Option<&Path>,
    environment: Environment<'_>,
    places: Option<&Places>,
) -> Option<(PathBuf, bool)> {
    if let Some(path) = named {
        return Some((path.to_owned(), true));
    }
    match environment("KEYBENCH_CONFIG").filter(|path| !path.is_empty()) {
        Some(path) => Some((PathBuf::from(path), true)),
        None => places.map(|places| (places.settings.clone(), false)),
    }
}

/// The cloud pairs, Graph and sign-in; see <https://learn.microsoft.com/graph/deployments>.
const CLOUDS: &[(&str, &str)] = &[
    ("graph.microsoft.com", "login.microsoftonline.com"),
    ("graph.microsoft.us", "login.microsoftonline.us"),
    ("dod-graph.microsoft.us", "login.microsoftonline.us"),
    ("microsoftgraph.chinacloudapi.cn", "login.partner.microsoftonline.cn"),
    ("microsoftgraph.chinacloudapi.cn", "login.chinacloudapi.cn"),
];

fn tenant(reader: &mut Reader<'_>, file: &Path) -> TenantSettings {
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

fn pin(reader: &mut Reader<'_>) -> PinSettings {
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
    if let Some(minimum) = &minimum
        && minimum.value > length
    {
        let what = format!("the key's minimum can't be above the length of the PINs we set ({length})");
        reader.note(minimum.origin.clone(), "pin.minimum", what);
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

fn escrow(reader: &mut Reader<'_>) -> EscrowSettings {
    let first = recipients(reader, "recipients");
    let second = recipients(reader, "second_recipients");
    let dual = reader.boolean("escrow", "dual");
    let texts = |list: &[Found<String>]| list.iter().map(|found| found.value.clone()).collect::<Vec<_>>();
    match dual {
        Some(Found { value: true, origin }) if second.is_empty() => {
            if let [a, b] = first.as_slice()
                && a.value != b.value
            {
                return EscrowSettings { first: vec![a.value.clone()], second: vec![b.value.clone()] };
            }
            let what = "dual control needs two groups: list the second in escrow.second_recipients, or give exactly two \
                        different recipients, one a group";
            reader.note(origin, "escrow.dual", what);
            EscrowSettings::default()
        }
        Some(Found { value: true, .. }) => {
            if let Some(both) = second.iter().find(|found| first.iter().any(|other| other.value == found.value)) {
                let what = "this recipient is in both groups, and could open PINs alone";
                reader.note(both.origin.clone(), "escrow.second_recipients", what);
            }
            EscrowSettings { first: texts(&first), second: texts(&second) }
        }
        Some(_) | None => {
            if let Some(found) = second.first() {
                let what = "this has an effect only with escrow.dual = true";
                reader.note(found.origin.clone(), "escrow.second_recipients", what);
            }
            EscrowSettings { first: texts(&first), second: Vec::new() }
        }
    }
}

fn recipients(reader: &mut Reader<'_>, key: &str) -> Vec<Found<String>> {
    let field = format!("escrow.{key}");
    let mut good: Vec<Found<String>> = Vec::new();
    for mut found in reader.texts("escrow", key).unwrap_or_default() {
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

fn ledger(reader: &mut Reader<'_>, file: &Path, data: &Path) -> LedgerSettings {
    let mut path_of_ledger = data.join("ledger.db");
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
    LedgerSettings { path: path_of_ledger, mirror: path(reader, file, "ledger", "mirror") }
}

fn bench(reader: &mut Reader<'_>, file: &Path) -> BenchSettings {
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
        label: reader.boolean("bench", "label").is_none_or(|found| found.value),
        key_name: key_name.map_or_else(|| KEY_NAME.to_owned(), |found| found.value),
        mds: path(reader, file, "bench", "mds"),
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
