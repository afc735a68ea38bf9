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
mod section;
pub mod template;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use url::Url;

use crate::model::{ReleaseRule, Serial, TenantId};
use crate::platform::places::Places;

pub use crate::pin::{Alphabet, ForceChange};
pub use problem::{ConfigError, Origin, Problem, Problems, SecretError};
pub use reader::{Environment, Overrides};
pub use section::is_loopback;

use guard::Guard;
use reader::Reader;

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
    /// From bench to hand.
    pub handover: HandoverSettings,
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
    /// The least milliseconds between two requests to Conditional Access. Default: 1,100.
    pub access_pace_ms: u32,
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
    /// The least milliseconds between two requests to Conditional Access.
    pub access_pace_ms: u32,
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EscrowSettings {
    /// Any one of these opens a PIN; under dual control any one of these and one of `second`.
    pub first: Vec<String>,
    /// Empty unless under dual control.
    pub second: Vec<String>,
    /// How long an opened PIN stays on a screen. Default: 30.
    pub show_seconds: u32,
}

impl EscrowSettings {
    /// Opening takes two people.
    pub fn dual(&self) -> bool {
        !self.second.is_empty()
    }

    /// The first age plugin among the recipients: a program that inherits our environment.
    pub fn plugin(&self) -> Option<String> {
        plugin_of(self.first.iter().chain(&self.second))
    }
}

/// `[ledger]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerSettings {
    /// The SQLite file. Default: `ledger.db` among the bench data.
    pub path: PathBuf,
    /// A second place for every sealed entry.
    pub mirror: Option<PathBuf>,
    /// The head goes to syslog or the Windows Event Log as well, wherever it is printed for keeping.
    pub system_log: bool,
}

/// `[bench]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BenchSettings {
    /// What the ledger calls this bench; else the machine's name.
    pub name: Option<String>,
    /// Serial numbers of keys that are never touched, e.g. the operators' own.
    pub never: Vec<Serial>,
    /// Refuse keys that are on no supplier's list. Default: no.
    pub only_expected: bool,
    /// Two touches of blinking keys closer together than this may have been meant the other way round. Default: a second;
    /// zero where no hand can mix keys up, e.g. on a rig with an actuator a port.
    pub touch_gap: std::time::Duration,
    /// The terminal's bell rings where somebody who looks elsewhere has to be called. Default: yes.
    pub bell: bool,
    /// What a key is called in the tenant: `{model}`, `{serial}` and `{date}` are filled in.
    pub key_name: String,
    /// The FIDO metadata BLOB (MDS3).
    pub mds: Option<PathBuf>,
}

/// `[handover]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandoverSettings {
    /// When the PINs of new batches may leave. Default: on receipt.
    pub release: ReleaseRule,
    /// The organisation's country, ISO 3166-1 alpha-2: letters to others are letters abroad.
    pub country: Option<String>,
    /// Days that a PIN letter lives. Default: 21.
    pub letter_days: u16,
    /// Days that it lives abroad. Default: 30.
    pub letter_days_abroad: u16,
    /// When keys are registered. Default: at the bench.
    pub activation: ActivationSettings,
    /// The command that hands a PIN over: program and arguments. Empty where there is none.
    pub hook: Vec<String>,
    /// The mailbox that mail leaves from when keybench is signed in as the application; a person's leaves from their own.
    pub mail_from: Option<String>,
    /// A PIN may go to the person's manager by mail. Default: no.
    pub pin_to_manager: bool,
    /// The letters' template; else the built-in one.
    pub template: Option<PathBuf>,
    /// Where letters are printed.
    pub printer: Option<String>,
    /// Where labels are printed.
    pub label_printer: Option<String>,
    /// The carrier's column map. With one, `run` checks addresses before the first key.
    pub carrier: Option<PathBuf>,
}

/// `[handover] activate` and what belongs to it. Held activation stands on Graph's beta.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ActivationSettings {
    /// Keys are registered on receipt, and not at the bench.
    pub on_receipt: bool,
    /// The activation keys: age recipients that parsed; any one of them opens a held registration.
    pub recipients: Vec<String>,
    /// How many days a key can be held. Default: 30, the most that Graph takes.
    pub days: u8,
}

impl ActivationSettings {
    /// The first age plugin among the recipients: a program that inherits our environment.
    pub fn plugin(&self) -> Option<String> {
        plugin_of(self.recipients.iter())
    }
}

fn plugin_of<'a>(mut recipients: impl Iterator<Item = &'a String>) -> Option<String> {
    recipients
        .find_map(|text| text.parse::<age::plugin::Recipient>().ok())
        .map(|recipient| format!("age-plugin-{}", recipient.plugin()))
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

impl PinSettings {
    /// As the PIN policy reads them.
    pub fn to_policy(&self) -> crate::pin::PinSettings {
        crate::pin::PinSettings {
            length: Some(self.length),
            alphabet: self.alphabet,
            force_change: self.force_change,
            minimum: Some(self.minimum),
        }
    }
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
        let data =
            places.map_or_else(|_| place::beside(Some(&file), "keybench-data"), |places| places.data().to_owned());
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
            tenant: section::tenant(&mut reader, file),
            pin: section::pin(&mut reader),
            escrow: section::escrow(&mut reader),
            ledger: section::ledger(&mut reader, file, data),
            bench: section::bench(&mut reader, file),
            handover: section::handover(&mut reader, file),
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
                access_pace_ms: self.tenant.access_pace_ms,
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
        None => places.map(|places| (places.config_file(), false)),
    }
}
