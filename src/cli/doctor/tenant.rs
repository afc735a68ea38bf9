//! What stands in the tenant: cloud, sign-in, clock, permissions, passkey policy.

use std::sync::Arc;

use jiff::SignedDuration;

use super::Findings;
use crate::cli::connect::connect;
use crate::cli::{CliError, Exit};
use crate::config::{Auth, Settings};
use crate::graph::auth::PERMISSIONS;
use crate::graph::methods_policy::{Fido2Policy, Models, Objection};
use crate::graph::{Account, Cancel, ErrorKind, Graph, GraphEvent};
use crate::model::Aaguid;
use crate::world::{Clock, SystemClock};

/// Beyond this, a certificate's assertion or a token is refused for its time.
const SKEW: SignedDuration = SignedDuration::from_mins(5);

/// Roles that may register passkeys for people who hold no role, by template id
/// (<https://learn.microsoft.com/entra/identity/role-based-access-control/permissions-reference>).
const ROLES: [(&str, &str); 3] = [
    ("c4e39bd9-1100-46d3-8c65-fb160da0071f", "Authentication Administrator"),
    ("7be44c8a-adaf-4e2a-84d6-ab2649e08a13", "Privileged Authentication Administrator"),
    ("62e90394-69f5-4237-9190-012177145e10", "Global Administrator"),
];

pub(super) fn examine(findings: &mut Findings<'_>, settings: &Settings, models: &[(String, Aaguid)]) {
    let tenant = match settings.tenant() {
        Ok(tenant) => tenant,
        Err(error) => return findings.error("tenant", &error.into()),
    };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let silent = Arc::new(|_: GraphEvent| {});
    let graph = match connect(findings.context, settings, &tenant, &clock, silent, Cancel::new()) {
        Ok(graph) => graph,
        Err(error) => return findings.error("tenant", &error),
    };
    let cloud = &graph.settings().cloud;
    let place = if cloud.is_loopback() { "a simulated tenant on this machine" } else { "Microsoft's cloud" };
    findings.ok("cloud", format!("{} and {}: {place}", tenant.graph_url, tenant.login_url));
    let asks_a_person = matches!(tenant.auth, Auth::DeviceCode | Auth::Browser);
    if asks_a_person && !findings.context.output.style().stderr_is_terminal {
        let evidence = "signing in takes a person, and this is not a terminal";
        return findings.unknown("sign-in", evidence, "run `keybench doctor` at a terminal.");
    }
    let account = match graph.sign_in() {
        Ok(account) => account,
        Err(error) => return findings.error("sign-in", &error.into()),
    };
    sign_in(findings, &account, tenant.id.as_str());
    clock_skew(findings, &graph);
    permissions(findings, &account);
    policy(findings, &graph, models);
    if let Some(name) = &tenant.allowed_group {
        match graph.find_group(name) {
            Ok(group) => findings.ok("allowed group", format!("{} ({})", group.name, group.id)),
            Err(error) => findings.error("allowed group", &CliError::from(error)),
        }
    }
}

fn sign_in(findings: &mut Findings<'_>, account: &Account, wanted: &str) {
    let who = account.name.clone().or_else(|| account.app_id.clone()).unwrap_or_else(|| "an account".into());
    let how = if account.app_only { "the application itself" } else { "a person" };
    match &account.tenant {
        Some(found) if !found.as_str().eq_ignore_ascii_case(wanted) => {
            let evidence = format!("signed in as {who} to tenant {found}, but the settings name {wanted}");
            findings.fail("sign-in", Exit::Usage, evidence, "correct tenant.id, or sign in with another account.");
        }
        _ => findings.ok("sign-in", format!("as {who} ({how})")),
    }
}

fn clock_skew(findings: &mut Findings<'_>, graph: &Graph) {
    // The clock is compared at Graph's first answer; signing in need not have asked Graph.
    let _ = graph.fido2_policy();
    match graph.clock_skew() {
        None => findings.unknown("clock", "Graph told no time", "nothing; it is read again in a run."),
        Some(skew) if skew.abs() > SKEW => {
            let evidence = format!("this machine's clock is {} s away from Graph's", skew.as_secs());
            findings.warn("clock", evidence, "set the clock: certificates and ledger entries go by it.");
        }
        Some(skew) => findings.ok("clock", format!("{} s away from Graph's", skew.abs().as_secs())),
    }
}

fn permissions(findings: &mut Findings<'_>, account: &Account) {
    const NAME: &str = "permissions";
    const NEXT: &str = "add them to the app registration and give admin consent; see docs/SETUP.md.";
    if account.permissions.is_empty() {
        findings.unknown(NAME, "the token does not tell them", "nothing; a run shows what is missing.");
    } else {
        let missing: Vec<&str> = PERMISSIONS
            .into_iter()
            .filter(|wanted| !account.permissions.iter().any(|held| covers(held, wanted)))
            .collect();
        if missing.is_empty() {
            findings.ok(NAME, format!("all {} are there", PERMISSIONS.len()));
        } else if account.can_register_passkeys() == Some(false) {
            findings.fail(NAME, Exit::Tenant, format!("missing: {}", missing.join(", ")), NEXT);
        } else {
            findings.warn(NAME, format!("missing: {}", missing.join(", ")), NEXT);
        }
    }
    if account.app_only || account.directory_roles.is_empty() {
        return;
    }
    let held: Vec<&str> = ROLES
        .iter()
        .filter(|(id, _)| account.directory_roles.iter().any(|role| role.eq_ignore_ascii_case(id)))
        .map(|(_, name)| *name)
        .collect();
    if held.is_empty() {
        let next = "have the role Authentication Administrator assigned, or activated.";
        findings.warn("role", "none of those that may register passkeys for others", next);
    } else {
        findings.ok("role", held.join(", "));
    }
}

/// Whether a permission that is held includes the one that is wanted.
fn covers(held: &str, wanted: &str) -> bool {
    held.eq_ignore_ascii_case(wanted)
        || match wanted {
            "UserAuthMethod-Passkey.ReadWrite.All" => {
                held.eq_ignore_ascii_case("UserAuthenticationMethod.ReadWrite.All")
            }
            "Policy.Read.AuthenticationMethod" => ["Policy.Read.All", "Policy.ReadWrite.AuthenticationMethod"]
                .iter()
                .any(|wider| held.eq_ignore_ascii_case(wider)),
            "User.Read.All" | "GroupMember.Read.All" | "RoleManagement.Read.Directory" => {
                let wider: &[&str] = match wanted {
                    "User.Read.All" => &["Directory.Read.All", "User.ReadWrite.All", "Directory.ReadWrite.All"],
                    "GroupMember.Read.All" => &["Group.Read.All", "Directory.Read.All", "Directory.ReadWrite.All"],
                    _ => &["RoleManagement.Read.All", "RoleManagement.ReadWrite.Directory", "Directory.Read.All"],
                };
                wider.iter().any(|wider| held.eq_ignore_ascii_case(wider))
            }
            _ => false,
        }
}

fn policy(findings: &mut Findings<'_>, graph: &Graph, models: &[(String, Aaguid)]) {
    const NAME: &str = "passkey policy";
    let policy = match graph.fido2_policy() {
        Ok(policy) => policy,
        Err(error) if error.kind() == ErrorKind::Forbidden => {
            let evidence = "this account may not read it; what it allows shows at the first key";
            let next = "have Policy.Read.AuthenticationMethod and a role such as Global Reader assigned.";
            return findings.unknown(NAME, evidence, next);
        }
        Err(error) => return findings.error(NAME, &CliError::from(error)),
    };
    let objection = match (policy.enabled, policy.self_service) {
        (false, _) => Some(Objection::MethodOff),
        (true, false) => Some(Objection::SelfServiceOff),
        (true, true) => None,
    };
    match objection {
        Some(objection) => findings.fail(NAME, Exit::Tenant, format!("{objection}."), objection.remedy()),
        None => findings.ok(NAME, "on, and self-service set-up is allowed"),
    }
    for profile in &policy.profiles {
        let models = match &profile.models {
            Models::Any => "any model".to_owned(),
            Models::Only(list) => format!("only {} models", list.len()),
            Models::Except(list) => format!("all models but {}", list.len()),
            Models::Unknown(rule) => format!("models by a rule that keybench does not know ({rule})"),
        };
        let kind = if profile.device_bound { "security keys" } else { "synced passkeys only" };
        let attested = if profile.attestation_required { ", attestation required" } else { "" };
        findings.ok("profile", format!("{}: {kind}, {models}{attested}", profile.name));
    }
    for (model, aaguid) in models {
        let name = "model in a port";
        match accepting(&policy, *aaguid) {
            Some(profile) => findings.ok(name, format!("{model} ({aaguid}) is accepted by profile {profile}")),
            None => findings.warn(
                name,
                format!("{model} ({aaguid}) is accepted by no profile"),
                "use another model, or add its AAGUID to a profile.",
            ),
        }
    }
}

/// A profile that would take the model from somebody.
fn accepting(policy: &Fido2Policy, aaguid: Aaguid) -> Option<&str> {
    policy
        .profiles
        .iter()
        .find(|profile| {
            profile.device_bound
                && match &profile.models {
                    Models::Any | Models::Unknown(_) => true,
                    Models::Only(list) => list.contains(&aaguid),
                    Models::Except(list) => !list.contains(&aaguid),
                }
        })
        .map(|profile| profile.name.as_str())
}
