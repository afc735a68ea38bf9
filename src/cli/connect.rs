//! From settings to a connection to the tenant.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use super::{CliError, Context, Exit};
use crate::cli::prompt::Terminal;
use crate::config::secret::{client_secret, private_key};
use crate::config::{self, Auth, Settings, Tenant};
use crate::graph::{
    Cancel, ClientCertificate, Cloud, DevicePrompt, Flow, Graph, GraphSettings, Keeper, Observer, SignIn, SignInPrompt,
    SignInSettings,
};
use crate::model::Secret;
use crate::platform::keyring;
use crate::world::Clock;

/// Shows a person where to sign in, on stderr.
struct Prompt {
    /// stderr is a terminal.
    seen: bool,
}

impl SignInPrompt for Prompt {
    /// Tests play the person.
    fn is_seen(&self) -> bool {
        self.seen || cfg!(test)
    }

    fn device_code(&self, prompt: &DevicePrompt) {
        super::output::aside(&format!(
            "Sign in: open {} on any device and type the code {}\n(good for {} minutes)",
            prompt.verification_uri,
            prompt.user_code,
            prompt.expires_in.as_secs().div_ceil(60)
        ));
    }

    #[cfg(test)]
    fn visit(&self, url: &str) -> Result<(), String> {
        super::testing::browse(url.to_owned());
        Ok(())
    }

    #[cfg(not(test))]
    fn visit(&self, url: &str) -> Result<(), String> {
        super::output::aside(&format!("Sign in with the browser. If none opens, visit:\n{url}"));
        // A machine without a browser: the address can be opened by hand.
        let _ = crate::graph::auth::browser::open_in_browser(url);
        Ok(())
    }
}

/// The sign-in kept in the system's keyring, for one tenant and one application.
pub(super) struct Kept(String);

impl Kept {
    pub(super) fn of(tenant: &Tenant) -> Self {
        let host = tenant.login_url.authority();
        Self(format!("{host}/{}/{}", tenant.id, tenant.client_id).to_lowercase())
    }
}

impl Keeper for Kept {
    fn load(&self) -> Result<Option<Secret<String>>, String> {
        let text = keyring::read(&self.0).map_err(|error| error.to_string())?;
        Ok(text.map(|mut text| Secret::new(std::mem::take(&mut *text))))
    }

    fn store(&self, refresh: &Secret<String>) -> Result<(), String> {
        keyring::write(&self.0, refresh.expose()).map_err(|error| error.to_string())
    }

    fn forget(&self) -> Result<(), String> {
        keyring::remove(&self.0).map(drop).map_err(|error| error.to_string())
    }
}

/// A connection that has said nothing yet. `cancel` ends every wait in it. It uses the sign-in that `keybench login` kept, if
/// there is one, and asks for the permissions that this command needs ([`super::rights`]).
///
/// # Errors
/// Settings that can't work, a secret or certificate that can't be read.
pub fn connect(
    context: &Context<'_>,
    settings: &Settings,
    tenant: &Tenant,
    clock: &Arc<dyn Clock>,
    observer: Arc<dyn Observer>,
    cancel: Cancel,
) -> Result<Graph, CliError> {
    let scopes = super::rights::of(&context.global.command).map_or(&[][..], |rights| rights.scopes);
    let sign_in = sign_in(context, settings, tenant, clock, cancel.clone(), scopes)?;
    over(Arc::new(sign_in), tenant, clock, observer, cancel)
}

/// A connection over a sign-in of one's own.
///
/// # Errors
/// Settings that can't work.
pub(super) fn over(
    sign_in: Arc<SignIn>,
    tenant: &Tenant,
    clock: &Arc<dyn Clock>,
    observer: Arc<dyn Observer>,
    cancel: Cancel,
) -> Result<Graph, CliError> {
    let mut graph = GraphSettings::new(cloud(tenant)?);
    graph.cancel = cancel;
    graph.pace = std::time::Duration::from_millis(tenant.access_pace_ms.into());
    graph.api = match tenant.api {
        config::ApiVersion::V1 => crate::graph::ApiVersion::V1,
        config::ApiVersion::Beta => crate::graph::ApiVersion::Beta,
    };
    Ok(Graph::connect(graph, sign_in, Arc::clone(clock), observer)?)
}

/// How this tenant is signed in to, asking for these permissions; none asks for what the app registration lists.
///
/// # Errors
/// As [`connect`].
pub(super) fn sign_in(
    context: &Context<'_>,
    settings: &Settings,
    tenant: &Tenant,
    clock: &Arc<dyn Clock>,
    cancel: Cancel,
    scopes: &[&str],
) -> Result<SignIn, CliError> {
    let cloud = cloud(tenant)?;
    let defaults = GraphSettings::new(cloud.clone());
    let settings = SignInSettings {
        cloud,
        tenant: tenant.id.to_string(),
        client_id: tenant.client_id.clone(),
        flow: flow(context, settings, tenant, &**clock)?,
        timeouts: defaults.timeouts,
        budget: defaults.budget,
        cancel,
    };
    let prompt = Prompt { seen: context.output.style().stderr_is_terminal };
    let sign_in = SignIn::new(settings, Arc::clone(clock), Arc::new(prompt))?;
    Ok(sign_in.asking_for(scopes).kept_by(Arc::new(Kept::of(tenant))))
}

fn cloud(tenant: &Tenant) -> Result<Cloud, CliError> {
    Ok(Cloud::from_settings(Some(tenant.graph_url.as_str()), Some(tenant.login_url.as_str()))?)
}

fn flow(context: &Context<'_>, settings: &Settings, tenant: &Tenant, clock: &dyn Clock) -> Result<Flow, CliError> {
    Ok(match tenant.auth {
        Auth::DeviceCode => Flow::DeviceCode,
        Auth::Browser => Flow::Browser,
        Auth::Secret => {
            let terminal = Terminal::new(context.output);
            Flow::Secret(client_secret(settings, context.environment, |what| terminal.ask_secret(what))?)
        }
        Auth::Certificate => {
            let read = |path: &Option<std::path::PathBuf>| {
                let path = path.clone().unwrap_or_default();
                fs::read(&path).map_err(|error| {
                    CliError::new(
                        Exit::Usage,
                        "certificate-unreadable",
                        format!("{} can't be read.", path.display()),
                        "check tenant.certificate_file and tenant.key_file, and your rights.",
                    )
                    .because(error.to_string())
                })
            };
            let certificate = read(&settings.tenant.certificate_file)?;
            let mut key = private_key(settings.tenant.key_file.as_deref().unwrap_or(Path::new("")))?;
            let key = Secret::new(std::mem::take(&mut *key));
            Flow::Certificate(Box::new(ClientCertificate::from_pem(&certificate, &key, clock.now())?))
        }
    })
}
