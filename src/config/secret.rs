//! What the application signs in with. The client secret: from a file, else the environment, else a prompt; never from an option,
//! where every process of the machine could read it. The certificate's key: from a file that nobody else can read.

use std::path::Path;

use zeroize::Zeroizing;

use super::guard::{Guard, read_guarded};
use super::problem::{ConfigError, SecretError};
use super::{Environment, Settings};
use crate::model::Secret;

/// The environment variable.
pub const VARIABLE: &str = "KEYBENCH_CLIENT_SECRET";

/// Finds the client secret. `ask` asks the person at the terminal without echo, and gives `None` where nobody is.
///
/// # Errors
/// [`ConfigError::Exposed`] when others can read the file, [`ConfigError::Secret`] when the secret is in the environment
/// while an age plugin would inherit that, or when there is none.
pub fn client_secret(
    settings: &Settings,
    environment: Environment<'_>,
    ask: impl FnOnce(&str) -> Option<Secret<String>>,
) -> Result<Secret<String>, ConfigError> {
    let in_environment = environment(VARIABLE).filter(|text| !text.is_empty()).map(Zeroizing::new);
    // Refused even where the file is used: it is in the environment all the same.
    if in_environment.is_some()
        && let Some(plugin) = settings
            .escrow
            .plugin()
            .or_else(|| settings.handover.activation.plugin())
            .or_else(|| settings.handover.hook.first().cloned())
    {
        return Err(ConfigError::Secret(SecretError::EnvironmentShared { plugin }));
    }
    if let Some(path) = &settings.tenant.client_secret_file {
        let bytes = secret_file("tenant.client_secret_file", path)?;
        return one_line(&bytes, &path.display().to_string());
    }
    if let Some(text) = in_environment {
        return one_line(text.as_bytes(), VARIABLE);
    }
    ask("Client secret of the application").ok_or(ConfigError::Secret(SecretError::Nowhere))
}

/// Reads the certificate's private key.
///
/// # Errors
/// [`ConfigError::Exposed`] when others can read it.
pub fn private_key(path: &Path) -> Result<Zeroizing<Vec<u8>>, ConfigError> {
    secret_file("tenant.key_file", path)
}

fn secret_file(setting: &'static str, path: &Path) -> Result<Zeroizing<Vec<u8>>, ConfigError> {
    read_guarded(path, Guard::Read).map_err(|error| match error {
        ConfigError::NotFound { path } => ConfigError::Secret(SecretError::NoFile { setting, path }),
        other => other,
    })
}

fn one_line(bytes: &[u8], from: &str) -> Result<Secret<String>, ConfigError> {
    let wrong = || ConfigError::Secret(SecretError::NotOneLine { from: from.to_owned() });
    let bytes = bytes.strip_prefix(&[0xEF, 0xBB, 0xBF]).unwrap_or(bytes);
    let text = std::str::from_utf8(bytes).map_err(|_| wrong())?.trim();
    if text.is_empty() {
        return Err(ConfigError::Secret(SecretError::Empty { from: from.to_owned() }));
    }
    if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(wrong());
    }
    Ok(Secret::new(text.to_owned()))
}
