//! `keybench tenant app`: the app registration for the commands that are to be used.

use std::collections::BTreeSet;
use std::sync::Arc;

use clap::Args;
use serde_json::{Value, json};

use crate::cli::connect::{over, sign_in};
use crate::cli::login::commands;
use crate::cli::prompt::Terminal;
use crate::cli::rights::{self, GRAPH_APP_ID, Rights, permission_id};
use crate::cli::{CliError, Context, Exit};
use crate::config::{Auth, Settings, Tenant};
use crate::graph::auth::sign_in_problem;
use crate::graph::{Cancel, GraphError, GraphEvent};
use crate::ledger::{Append, BlobHash, Entry, Ledger, SqliteLedger, TenantEntry};
use crate::model::{ChangeId, TenantId};
use crate::platform::who;
use crate::world::{Clock, Operator as _, SystemClock};

/// Microsoft's own public client for administrators, "Microsoft Graph Command Line Tools": known in every tenant, and what an
/// administrator signs in with before there is a registration of one's own.
const MICROSOFTS_TOOL: &str = "14d82eec-204b-4c2f-b7e8-296a70dab67e";

/// What goes wrong with a registration, in the order in which one meets it: for people, and for the application itself.
const PROBLEMS: [u32; 6] = [700_016, 50011, 7_000_218, 65001, 50105, 53003];
const PROBLEMS_OF_APPS: [u32; 4] = [700_016, 65001, 700_027, 7_000_215];

/// `keybench tenant app`
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  keybench tenant app                                  for login, whoami and run
  keybench tenant app --for run --for sign-ins --for tap
  keybench tenant app --for all --json | jq .manifest
  keybench tenant app --app-only                       for auth = \"certificate\"
  keybench tenant app --create                         makes it, after asking
  keybench tenant app --explain AADSTS65001

Printing asks nobody. --create signs an administrator in with Microsoft's own command line
application, because there is none of yours yet.")]
pub struct AppArgs {
    /// A command that is to work with it; `all` for every one [default: run]
    #[arg(long = "for", value_name = "COMMAND")]
    pub commands: Vec<String>,
    /// For the application itself, without a person
    #[arg(long)]
    pub app_only: bool,
    /// Its name in the tenant
    #[arg(long, value_name = "NAME", default_value = "keybench")]
    pub name: String,
    /// Make the registration in the tenant
    #[arg(long)]
    pub create: bool,
    /// With --create: show what would be sent, and send nothing
    #[arg(long, requires = "create")]
    pub dry_run: bool,
    /// With --create: don't ask
    #[arg(long, requires = "create")]
    pub yes: bool,
    /// With --create: the application to sign in with, by its client id
    #[arg(long, value_name = "CLIENT-ID", requires = "create", default_value = MICROSOFTS_TOOL)]
    pub sign_in_with: String,
    /// Explain an error number of signing in
    #[arg(long, value_name = "AADSTS-NUMBER", conflicts_with_all = ["create", "commands", "app_only"])]
    pub explain: Option<String>,
}

/// The registration, for these commands.
struct Registration {
    rows: Vec<&'static Rights>,
    scopes: BTreeSet<&'static str>,
    app_only: bool,
    name: String,
}

pub(super) fn run(context: &Context<'_>, args: &AppArgs) -> Result<Exit, CliError> {
    if let Some(code) = &args.explain {
        return explain(context, code);
    }
    let settings = context.settings()?;
    let registration = Registration::of(args)?;
    if args.create {
        return create(context, args, &settings, &registration);
    }
    registration.show(context, &settings, settings.tenant.client_id.as_deref());
    Ok(Exit::Done)
}

fn explain(context: &Context<'_>, code: &str) -> Result<Exit, CliError> {
    let digits = code.trim().trim_start_matches(|c: char| c.is_ascii_alphabetic());
    let known = digits.parse::<u32>().ok().and_then(|number| Some((number, sign_in_problem(number)?)));
    let Some((number, (cause, next))) = known else {
        let fact = format!("{} is no sign-in error that is known here.", code.trim());
        let next = "look it up at https://login.microsoftonline.com/error.";
        return Err(CliError::new(Exit::Usage, "usage", fact, next));
    };
    context
        .output
        .json(&json!({ "event": "explained", "code": format!("AADSTS{number}"), "meaning": cause, "next": next }));
    context.output.answer(&format!("AADSTS{number}: {cause}\nNext: {next}"));
    Ok(Exit::Done)
}

impl Registration {
    fn of(args: &AppArgs) -> Result<Self, CliError> {
        let mut rows = if args.commands.is_empty() {
            commands(&["run".to_owned()])?
        } else if args.commands.iter().any(|name| name == "all") {
            rights::all().collect()
        } else {
            commands(&args.commands)?
        };
        // An application signs in by itself.
        if !args.app_only {
            for name in ["login", "whoami"] {
                let row = rights::of(name).filter(|row| !rows.contains(row));
                rows.extend(row);
            }
        }
        // Making a registration is Microsoft's tool's business: ours needs no right to change registrations.
        rows.retain(|row| row.command != "tenant app");
        let mut scopes = rights::scopes_of(rows.iter().copied());
        if args.app_only {
            scopes.remove("User.Read");
        }
        let name = args.name.trim().to_owned();
        if name.is_empty() || name.chars().count() > 120 || name.chars().any(char::is_control) {
            let fact = "--name must be one line of at most 120 characters.";
            return Err(CliError::new(
                Exit::Usage,
                "usage",
                fact,
                "choose a name that people recognise on the consent page.",
            ));
        }
        Ok(Self { rows, scopes, app_only: args.app_only, name })
    }

    /// The body of "Create application", which is also what the portal's manifest holds.
    fn body(&self) -> Value {
        let kind = if self.app_only { "Role" } else { "Scope" };
        let access: Vec<Value> = self
            .scopes
            .iter()
            .filter_map(|scope| Some(json!({ "id": permission_id(scope, self.app_only)?, "type": kind })))
            .collect();
        let mut body = json!({
            "displayName": self.name,
            "signInAudience": "AzureADMyOrg",
            "requiredResourceAccess": [{ "resourceAppId": GRAPH_APP_ID, "resourceAccess": access }],
        });
        if !self.app_only {
            body["isFallbackPublicClient"] = true.into();
            body["publicClient"] = json!({ "redirectUris": ["http://localhost"] });
        }
        body
    }

    /// Where an administrator consents; without a client id there is nowhere yet.
    fn consent_url(settings: &Settings, client_id: Option<&str>) -> Option<String> {
        let tenant = settings.tenant.id.as_ref()?;
        let mut url = settings.tenant.login_url.clone();
        url.set_path(&format!("/{tenant}/adminconsent"));
        url.query_pairs_mut().append_pair("client_id", client_id?);
        Some(url.to_string())
    }

    fn show(&self, context: &Context<'_>, settings: &Settings, client_id: Option<&str>) {
        let output = context.output;
        let consent = Self::consent_url(settings, client_id);
        let permissions: Vec<Value> = self
            .scopes
            .iter()
            .map(|scope| json!({ "name": scope, "id": permission_id(scope, self.app_only) }))
            .collect();
        let names: Vec<&str> = self.rows.iter().map(|row| row.command).collect();
        let mut roles: Vec<String> = Vec::new();
        for any in self.rows.iter().flat_map(|row| row.roles) {
            let line = any.join(" or ");
            if !roles.contains(&line) {
                roles.push(line);
            }
        }
        output.json(&json!({
            "event": "app", "for": names, "app_only": self.app_only, "permissions": permissions, "roles": roles,
            "manifest": self.body(), "client_id": client_id, "consent_url": consent,
        }));
        output.answer(&format!("App registration for: {}\n", names.join(", ")));
        let line = |name: &str, text: &str| output.answer(&format!("  {name:<28} {text}"));
        line("Name", &self.name);
        line("Supported account types", "accounts in this organizational directory only");
        if self.app_only {
            line("Certificates & secrets", "upload the certificate of `certificate_file`");
        } else {
            line(
                "Authentication",
                "platform \u{201c}Mobile and desktop applications\u{201d}, redirect URI http://localhost",
            );
            line("Allow public client flows", "Yes");
        }
        let kind = if self.app_only { "application" } else { "delegated" };
        output.answer(&format!("\n  API permissions > Microsoft Graph, {kind} permissions:"));
        for scope in &self.scopes {
            output.answer(&format!(
                "    {scope:<44} {}",
                permission_id(scope, self.app_only).unwrap_or("no such permission")
            ));
        }
        if self.app_only {
            output.answer(
                "\n  No role is needed, which makes this application as strong as its permissions: docs/SECURITY.md.",
            );
        } else if !roles.is_empty() {
            output.answer("\n  Roles of whoever signs in, active, one of each line:");
            for role in &roles {
                output.answer(&format!("    {role}"));
            }
        }
        output.answer("\n  Consent by an administrator, once:");
        match &consent {
            Some(url) => output.answer(&format!("    {url}")),
            None => output.answer("    API permissions > Grant admin consent (its address is shown here once tenant.id and tenant.client_id are set)"),
        }
        output.answer("\n  When signing in fails:");
        let problems: &[u32] = if self.app_only { &PROBLEMS_OF_APPS } else { &PROBLEMS };
        for code in problems {
            if let Some((cause, next)) = sign_in_problem(*code) {
                output.answer(&format!("    AADSTS{code}: {cause}\n      Next: {next}"));
            }
        }
    }
}

fn create(
    context: &Context<'_>,
    args: &AppArgs,
    settings: &Settings,
    registration: &Registration,
) -> Result<Exit, CliError> {
    let body = registration.body();
    let Some(id) = settings.tenant.id.clone() else {
        let fact = "The settings don't say which tenant.";
        return Err(CliError::new(Exit::Usage, "config-missing", fact, "set tenant.id in the settings file."));
    };
    let shown = serde_json::to_string_pretty(&body).unwrap_or_default();
    if args.dry_run {
        context
            .output
            .json(&json!({ "event": "app-create", "dry_run": true, "call": "POST /applications", "sent": body }));
        context.output.answer(&format!("Would send, to tenant {id}:\n\nPOST /applications\n{shown}\n\nPOST /servicePrincipals\n{{ \"appId\": its application id }}\n\nNothing was sent."));
        return Ok(Exit::Done);
    }
    context.output.progress(&format!("To be made in tenant {id}:\n{shown}"));
    let agreed = args.yes || Terminal::new(context.output).confirm("Make this app registration?", "make");
    if !agreed {
        let fact = "Nothing was made: nobody agreed.";
        return Err(CliError::new(Exit::Usage, "not-confirmed", fact, "answer yes at a terminal, or add --yes."));
    }
    let ledger = ledger_to_begin(settings)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let tenant = Tenant {
        id: id.clone(),
        client_id: args.sign_in_with.clone(),
        auth: if settings.tenant.auth == Auth::Browser { Auth::Browser } else { Auth::DeviceCode },
        api: settings.tenant.api,
        graph_url: settings.tenant.graph_url.clone(),
        login_url: settings.tenant.login_url.clone(),
        allowed_group: None,
        access_pace_ms: settings.tenant.access_pace_ms,
    };
    let cancel = Cancel::new();
    let source = Arc::new(sign_in(context, settings, &tenant, &clock, cancel.clone(), &["Application.ReadWrite.All"])?);
    let graph = over(source, &tenant, &clock, Arc::new(|_: GraphEvent| {}), cancel)?;
    let account = graph.sign_in()?;
    let account = account.object_id.as_ref().map(ToString::to_string).or(account.app_id).unwrap_or_default();
    let journal = Journal { ledger: &ledger, tenant: id, account };
    let made = journal.write("POST /applications", &body, || {
        let made = graph.create_application(&body)?;
        Ok((made.json.clone(), made.request.clone(), made))
    })?;
    let principal = json!({ "appId": made.app_id });
    journal.write("POST /servicePrincipals", &principal, || {
        let request = graph.create_service_principal(&made.app_id)?;
        Ok((principal.clone(), request, ()))
    })?;
    context.output.json(&json!({
        "event": "app-create", "dry_run": false, "client_id": made.app_id, "object_id": made.object_id,
        "consent_url": Registration::consent_url(settings, Some(&made.app_id)),
    }));
    context.output.answer(&format!("Made: application (client) id {}\n", made.app_id));
    context
        .output
        .answer(&format!("Next: 1. write `client_id = \"{}\"` under [tenant] in the settings file", made.app_id));
    if let Some(url) = Registration::consent_url(settings, Some(&made.app_id)) {
        context.output.answer(&format!("      2. have an administrator consent, once: {url}"));
    }
    context.output.answer("      3. `keybench login`, then `keybench whoami --for run`");
    Ok(Exit::Done)
}

/// The ledger; made where there is none, because this comes before the first run.
pub(super) fn ledger_to_begin(settings: &Settings) -> Result<SqliteLedger, CliError> {
    crate::cli::ledger::to_begin(settings)
}

/// An id for a change: ten characters, forty random bits.
pub(super) fn new_change() -> ChangeId {
    ChangeId::new(uuid::Uuid::new_v4().simple().to_string().to_uppercase().chars().take(10).collect::<String>())
}

/// Writes down what is done, before and after.
struct Journal<'a> {
    ledger: &'a SqliteLedger,
    tenant: TenantId,
    account: String,
}

impl Journal<'_> {
    fn write<T>(
        &self,
        call: &str,
        sent: &Value,
        act: impl FnOnce() -> Result<(Value, Option<String>, T), GraphError>,
    ) -> Result<T, CliError> {
        let change = new_change();
        let document = sent.to_string().into_bytes();
        let intended = TenantEntry::ChangeIntended {
            change: change.clone(),
            tenant: self.tenant.clone(),
            area: "app-registration".into(),
            call: call.to_owned(),
            before: None,
            sent: Some(BlobHash::of(&document)),
            operator: who::operator(),
            account: self.account.clone(),
        };
        self.ledger.append(Append::entry(Entry::Tenant(intended)).with_document(document))?;
        match act() {
            Ok((after, request, made)) => {
                let document = after.to_string().into_bytes();
                let done = TenantEntry::ChangeDone { change, after: Some(BlobHash::of(&document)), request };
                self.ledger.append(Append::entry(Entry::Tenant(done)).with_document(document))?;
                Ok(made)
            }
            Err(error) => {
                // Where no answer came nobody knows, and the ledger says so by its silence.
                if error.kind() != crate::graph::ErrorKind::Unknown {
                    let failed = TenantEntry::ChangeFailed {
                        change,
                        code: error.kind().word().to_owned(),
                        request: error.ids().client_request_id.clone(),
                    };
                    self.ledger.append(Append::entry(Entry::Tenant(failed)))?;
                }
                Err(error.into())
            }
        }
    }
}

#[cfg(all(test, feature = "sim"))]
mod tests;
