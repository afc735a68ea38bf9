//! From settings to a connection to the tenant.

use std::fs;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::{CliError, Context, Exit};
use crate::cli::prompt::Terminal;
use crate::config::secret::client_secret;
use crate::config::{self, Auth, Settings, Tenant};
use crate::graph::{
    Cancel, ClientCertificate, Cloud, DevicePrompt, Flow, Graph, GraphSettings, Observer, SignIn, SignInPrompt,
    SignInSettings,
};
use crate::model::Secret;
use crate::world::Clock;

/// Shows a person where to sign in, on stderr.
struct Prompt;

impl SignInPrompt for Prompt {
    fn device_code(&self, prompt: &DevicePrompt) {
        super::output::aside(&format!(
            "Sign in: open {} on any device and type the code {}\n(good for {} minutes)",
            prompt.verification_uri,
            prompt.user_code,
            prompt.expires_in.as_secs().div_ceil(60)
        ));
    }

    fn visit(&self, url: &str) -> Result<(), String> {
        super::output::aside(&format!("Sign in with the browser. If none opens, visit:\n{url}"));
        // A machine without a browser: the address can be opened by hand.
        let _ = crate::graph::auth::browser::open_in_browser(url);
        Ok(())
    }
}

/// A connection that has said nothing yet. `cancel` ends every wait in it.
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
    let cloud = Cloud::from_settings(Some(tenant.graph_url.as_str()), Some(tenant.login_url.as_str()))?;
    let mut graph = GraphSettings::new(cloud.clone());
    graph.cancel = cancel.clone();
    graph.pace = std::time::Duration::from_millis(tenant.access_pace_ms.into());
    graph.api = match tenant.api {
        config::ApiVersion::V1 => crate::graph::ApiVersion::V1,
        config::ApiVersion::Beta => crate::graph::ApiVersion::Beta,
    };
    let sign_in = SignIn::new(
        SignInSettings {
            cloud,
            tenant: tenant.id.to_string(),
            client_id: tenant.client_id.clone(),
            flow: flow(context, settings, tenant, &**clock)?,
            timeouts: graph.timeouts,
            budget: graph.budget,
            cancel,
        },
        Arc::clone(clock),
        Arc::new(Prompt),
    )?;
    Ok(Graph::connect(graph, Arc::new(sign_in), Arc::clone(clock), observer)?)
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
            let mut key = Zeroizing::new(read(&settings.tenant.key_file)?);
            let key = Secret::new(std::mem::take(&mut *key));
            Flow::Certificate(Box::new(ClientCertificate::from_pem(&certificate, &key, clock.now())?))
        }
    })
}
