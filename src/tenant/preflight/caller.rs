//! Who asks, where, and by which clock: PF01, PF02, PF03, PF35, PF36.

use jiff::SignedDuration;

use super::facts::{Facts, Gap, Mode, Role, Why, calls};
use super::verdict::{Evidence, Found, Remedy};
use super::{Judged, names};

/// The role that registers passkeys for people who hold no role.
pub const AUTHENTICATION_ADMINISTRATOR: &str = "c4e39bd9-1100-46d3-8c65-fb160da0071f";
/// The one that does so for everybody.
pub const PRIVILEGED_AUTHENTICATION_ADMINISTRATOR: &str = "7be44c8a-adaf-4e2a-84d6-ab2649e08a13";
/// The one that does everything.
pub const GLOBAL_ADMINISTRATOR: &str = "62e90394-69f5-4237-9190-012177145e10";

/// The three that may manage other people's authentication methods.
pub const MANAGING: [&str; 3] =
    [AUTHENTICATION_ADMINISTRATOR, PRIVILEGED_AUTHENTICATION_ADMINISTRATOR, GLOBAL_ADMINISTRATOR];

/// Roles whose holders an Authentication Administrator may manage (Microsoft Entra, "Who can perform sensitive actions").
const MANAGEABLE: [&str; 8] = [
    "Authentication Administrator",
    "Directory Readers",
    "Guest Inviter",
    "Message Center Reader",
    "Password Administrator",
    "Reports Reader",
    "User Experience Success Manager",
    "Usage Summary Reports Reader",
];

/// What a mode writes with: any of these.
fn wanted(mode: Mode) -> [&'static str; 2] {
    let own = match mode {
        Mode::Provision => "UserAuthMethod-Passkey.ReadWrite.All",
        Mode::SelfService => "UserAuthMethod-TAP.ReadWrite.All",
        Mode::Oath => "UserAuthMethod-HardwareOATH.ReadWrite.All",
    };
    [own, "UserAuthenticationMethod.ReadWrite.All"]
}

/// What every mode reads before the first key, and what is as good (Microsoft Graph permissions reference).
const READS: [(&str, &[&str]); 4] = [
    ("User.Read.All", &["Directory.Read.All", "User.ReadWrite.All", "Directory.ReadWrite.All"]),
    ("GroupMember.Read.All", &["Group.Read.All", "Directory.Read.All", "Directory.ReadWrite.All"]),
    (
        "RoleManagement.Read.Directory",
        &["RoleManagement.Read.All", "RoleManagement.ReadWrite.Directory", "Directory.Read.All"],
    ),
    ("Policy.Read.AuthenticationMethod", &["Policy.Read.All", "Policy.ReadWrite.AuthenticationMethod"]),
];

pub(super) fn permissions(facts: &Facts) -> Judged {
    let held = &facts.account.permissions;
    let claim = if facts.account.app_only { "roles" } else { "scp" };
    if held.is_empty() {
        return Err(Gap::new(
            Why::NoApi,
            calls::TOKEN,
            "the token does not tell its permissions",
            "Nothing to do: Graph names what is missing when it refuses.",
        ));
    }
    let holds = |names: &[&str]| held.iter().any(|held| names.iter().any(|name| held.eq_ignore_ascii_case(name)));
    let [own, wide] = wanted(facts.plan.mode);
    let evidence = || Evidence::of(calls::TOKEN, claim, held.join(" "));
    let consent = |what: &str| {
        Remedy::text(format!(
            "Add {what} to the app registration, give admin consent, and sign in again (docs/SETUP.md)."
        ))
    };
    let mut found = Vec::new();
    if !holds(&[own, wide]) {
        found.push(Found::fail(format!("The token lacks {own}."), evidence(), consent(own)));
    }
    let missing: Vec<&str> =
        READS.iter().filter(|(name, wider)| !holds(&[name]) && !holds(wider)).map(|(name, _)| *name).collect();
    if !missing.is_empty() {
        let list = missing.join(", ");
        found.push(Found::warn(
            format!("The token lacks {list}; what they tell stays unknown."),
            evidence(),
            consent(&list),
        ));
    }
    if found.is_empty() {
        let used = if holds(&[own]) { own } else { wide };
        found.push(Found::pass(format!("The token holds {used} and what is read beforehand."), evidence()));
    }
    Ok(found)
}

pub(super) fn role(facts: &Facts) -> Judged {
    if facts.account.app_only {
        let evidence = Evidence::of(calls::TOKEN, "idtyp", "app");
        return Ok(vec![Found::pass(
            "Signed in as the application, which needs no role and may act on anybody.",
            evidence,
        )]);
    }
    let roles = facts.caller_roles.as_ref()?;
    let holds = |template: &str| roles.iter().any(|role| role.template.eq_ignore_ascii_case(template));
    let shown = if roles.is_empty() {
        "none".to_owned()
    } else {
        roles.iter().map(|role| role.name.as_str()).collect::<Vec<_>>().join(", ")
    };
    let evidence = || Evidence::of(calls::MY_ROLES, "roleTemplateId", &shown);
    let all = holds(PRIVILEGED_AUTHENTICATION_ADMINISTRATOR) || holds(GLOBAL_ADMINISTRATOR);
    let some = holds(AUTHENTICATION_ADMINISTRATOR);
    if !all && !some {
        let who = facts.account.name.as_deref().unwrap_or("The signed-in account");
        if !facts.caller_assigned.is_empty() {
            let held = facts.caller_assigned.join(", ");
            return Ok(vec![Found::warn(
                format!(
                    "{who} holds {held}; whether that covers these people's authentication methods shows at the first of them."
                ),
                Evidence::of(calls::MY_ASSIGNMENTS, "roleDefinition, directoryScopeId", &held),
                Remedy::text("Compare with the people; Authentication Administrator for the whole tenant always does."),
            )]);
        }
        return Ok(vec![Found::fail(
            format!("{who} holds no role that may manage other people's authentication methods."),
            evidence(),
            Remedy::text(
                "Activate Authentication Administrator (in Privileged Identity Management, if it is eligible there) \
                 and sign in again; or have it assigned.",
            ),
        )]);
    }
    let mut found = Vec::new();
    if all {
        found.push(Found::pass(format!("{shown}: may act on everybody."), evidence()));
    } else {
        let beyond = |role: &Role| !MANAGEABLE.contains(&role.name.as_str());
        let (mut above, mut unseen) = (Vec::new(), Vec::new());
        let mut gap = None;
        for person in &facts.people {
            match (&person.roles, &person.role_groups) {
                (Ok(roles), Ok(groups)) => {
                    if roles.iter().any(beyond) || !groups.is_empty() {
                        above.push(person.name.clone());
                    }
                }
                (Err(found), _) | (_, Err(found)) => {
                    gap.get_or_insert(found);
                    unseen.push(person.name.clone());
                }
            }
        }
        if !above.is_empty() {
            found.push(
                Found::fail(
                    format!("{} need a Privileged Authentication Administrator.", names(&above)),
                    evidence(),
                    Remedy::text(
                        "Have somebody with the role Privileged Authentication Administrator do these, or leave them out.",
                    ),
                )
                .and(Evidence::of(calls::ROLES, "displayName", "a role, or a role-assignable group"))
                .about(above),
            );
        }
        if let Some(gap) = gap {
            found.push(Found::unknown(gap).about(unseen));
        }
        if found.is_empty() {
            found.push(Found::pass(format!("{shown}: may act on people without roles."), evidence()));
        }
    }
    Ok(found)
}

pub(super) fn own_account(facts: &Facts) -> Judged {
    if facts.account.app_only {
        return Ok(vec![Found::pass(
            "Signed in as the application: nobody acts on themselves.",
            Evidence::of(calls::TOKEN, "idtyp", "app"),
        )]);
    }
    let Some(me) = &facts.account.object_id else {
        return Err(Gap::new(
            Why::NoApi,
            calls::TOKEN,
            "the token does not tell whose it is",
            "Nothing to do: Graph refuses a person who acts on themselves.",
        ));
    };
    let evidence = Evidence::of(calls::TOKEN, "oid", me);
    let own: Vec<_> =
        facts.people.iter().filter(|person| person.id().as_ref() == Some(me)).map(|p| p.name.clone()).collect();
    if own.is_empty() {
        return Ok(vec![Found::pass("The signed-in account is not among the people.", evidence)]);
    }
    Ok(vec![
        Found::fail(
            format!(
                "{} is the account that keybench is signed in with; nobody can provision a key for themselves.",
                names(&own)
            ),
            evidence,
            Remedy::text("Have a colleague provision this one."),
        )
        .about(own),
    ])
}

pub(super) fn cloud(facts: &Facts) -> Judged {
    let evidence = Evidence::of(calls::HOSTS, "host", &facts.graph_host);
    if facts.loopback {
        return Ok(vec![Found::pass("A simulated tenant on this machine.", evidence)]);
    }
    if facts.graph_host.eq_ignore_ascii_case("graph.microsoft.com") {
        return Ok(vec![Found::pass("The global cloud.", evidence)]);
    }
    let remedy = "Let people there register their keys themselves, with a Temporary Access Pass.";
    let what = "Graph registers passkeys on behalf of people in the global cloud only.";
    Ok(vec![match facts.plan.mode {
        Mode::Provision => Found::fail(what, evidence, Remedy::text(remedy)),
        Mode::SelfService | Mode::Oath => Found::pass("A national cloud; people register themselves.", evidence),
    }])
}

/// Challenges last minutes and codes half a minute.
const SKEW: SignedDuration = SignedDuration::from_secs(30);

pub(super) fn clock(facts: &Facts) -> Judged {
    let skew = facts.skew.as_ref()?;
    let seconds = skew.as_secs();
    let evidence = Evidence::of(calls::CLOCK, "Date", format!("{seconds:+} s"));
    if skew.abs() < SKEW {
        return Ok(vec![Found::pass(format!("{} s away from Graph's.", seconds.abs()), evidence)]);
    }
    let way = if skew.is_positive() { "ahead of" } else { "behind" };
    Ok(vec![Found::warn(
        format!("This machine's clock is {} s {way} Graph's.", seconds.abs()),
        evidence,
        Remedy::text("Set the clock: codes of tokens, certificates and ledger entries go by it."),
    )])
}
