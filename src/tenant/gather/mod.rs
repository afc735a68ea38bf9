//! Asking a tenant for the facts that `preflight` weighs. The only place of the two that talks to Graph.
//!
//! Promise: nothing is written. A question that may not be asked becomes a gap with its reason and the rest goes on; an
//! outage, a lost sign-in or Ctrl-C end it. People are asked about twenty to a request, one question each; Conditional Access
//! is evaluated once for all who are alike, [`MOST_WHAT_IFS`] times at most.

mod access;
mod count;
mod people;
#[cfg(all(test, feature = "sim"))]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::preflight::facts::{
    AdministratorFacts, Asked, Call, DomainFacts, Facts, Gap, Mode, PersonFacts, Plan, Role, Why, calls,
};
use super::preflight::people::domain_of;
use super::preflight::{caller, coverage};
use super::statements::Statement;
use crate::graph::authentication_methods::Method;
use crate::graph::directory_roles::{GLOBAL_ADMINISTRATOR, HeldRole, RoleAssignment};
use crate::graph::{Account, ApiVersion, ErrorKind, Graph, GraphError};
use crate::model::{Upn, UserId};

pub use access::MOST_WHAT_IFS;
pub use count::{Counted, Requests};
pub use people::People;

/// What is asked for.
pub struct Asking<'a> {
    /// The tenant; signed in.
    pub graph: &'a Graph,
    /// Who is signed in.
    pub account: Account,
    /// What is intended.
    pub plan: Plan,
    /// Who, with how many keys each.
    pub people: Vec<(Upn, u32)>,
    /// What an administrator said.
    pub statements: Vec<Statement>,
    /// Told what is being read.
    pub progress: &'a dyn Fn(&str),
}

/// The facts, and what they cost.
#[derive(Debug)]
pub struct Gathered {
    /// The facts.
    pub facts: Facts,
    /// Requests by kind of question.
    pub requests: Requests,
}

/// Asks everything that the plan is weighed by.
///
/// # Errors
/// An outage, a lost sign-in, Ctrl-C.
pub fn gather(asking: Asking<'_>) -> Result<Gathered, GraphError> {
    let Asking { graph, account, plan, people, statements, progress } = asking;
    let mut counted = Counted::new(graph);
    let told = |what: &str| progress(&format!("Reading {what} …"));

    told("the policies");
    let caller_roles = caller_roles(&mut counted, graph, &account)?;
    let caller_assigned = caller_assigned(&mut counted, graph, &account, &caller_roles)?;
    let policy = counted.ask("methods policy", || document(graph, calls::POLICY))?;
    let access = read_access(&mut counted, graph, &plan, progress)?;
    let policies: &[Value] = access.as_deref().unwrap_or_default();

    let oath_policy = if plan.mode == Mode::Oath {
        read_oath_policy(&mut counted, graph)?
    } else {
        Err(not_needed(calls::OATH_POLICY))
    };
    let oath_serials = read_serials(&mut counted, graph, &plan)?;
    let groups = groups_of(policy.as_ref().ok(), oath_policy.as_ref().ok(), policies);
    let wanted = People::for_check();
    let mut people = people::read(&mut counted, graph, &people, &groups, &wanted, progress)?;
    if let Some(report) = people::registration(&mut counted, graph, &people, plan.mode, progress)? {
        people::file(&mut people, report);
    }
    let domains = domains(&mut counted, graph, &people)?;
    let join = policies.iter().any(|one| coverage::is_enabled(one) && coverage::is_about(one, coverage::JOIN));
    let devices = if plan.mode == Mode::SelfService && join {
        counted.ask("device registration", || {
            asked(calls::DEVICES, graph.device_registration_policy())
                .map(|found| found.map(|policy| policy.into_document().into_json()))
        })?
    } else {
        Err(not_needed(calls::DEVICES))
    };
    let admin = |person: &PersonFacts| {
        person.registration.as_ref().is_ok_and(|row| row.as_ref().is_some_and(|row| row["isAdmin"] == true))
    };
    let authorization = if people.iter().any(admin) {
        counted.ask("authorization policy", || {
            asked(calls::AUTHORIZATION, graph.authorization_policy())
                .map(|found| found.map(|policy| policy.into_document().into_json()))
        })?
    } else {
        Err(not_needed(calls::AUTHORIZATION))
    };
    let licences = if plan.writes || plan.mode == Mode::Oath {
        counted.ask("licences", || {
            asked(calls::LICENCES, graph.subscriptions())
                .map(|found| found.map(|all| all.into_iter().map(|one| one.into_document().into_json()).collect()))
        })?
    } else {
        Err(not_needed(calls::LICENCES))
    };
    let defaults = if plan.writes {
        counted.ask("security defaults", || {
            asked(calls::DEFAULTS, graph.security_defaults())
                .map(|found| found.map(|policy| policy.into_document().into_json()))
        })?
    } else {
        Err(not_needed(calls::DEFAULTS))
    };
    let administrators = if plan.writes && !plan.break_glass.is_empty() {
        administrators(&mut counted, graph, policies)?
    } else {
        Err(not_needed(calls::ADMINISTRATORS))
    };
    let (what_if, what_if_left_out) = access::evaluate(&mut counted, graph, &plan, &people, &access, progress)?;

    let cloud = &graph.settings().cloud;
    let skew = graph.clock_skew().ok_or_else(|| {
        Gap::new(Why::NoAnswer, calls::CLOCK, "Graph told no time", "Nothing to do; it is read again in a run.")
    });
    let facts = Facts {
        graph_host: cloud.graph().host_str().unwrap_or_default().to_owned(),
        loopback: cloud.is_loopback(),
        plan,
        account,
        caller_roles,
        caller_assigned,
        skew,
        policy,
        oath_policy,
        oath_serials,
        access,
        devices,
        defaults,
        authorization,
        licences,
        domains,
        what_if,
        what_if_left_out,
        administrators,
        statements: statements.into_iter().map(|said| (said.topic, said)).collect(),
        people,
    };
    Ok(Gathered { facts, requests: counted.into_requests() })
}

/// Asks what a run is weighed by before its first key; the rest stays unasked. What a run can't do without ends it:
/// who the people are, what groups they are in, and who of them holds a role.
///
/// # Errors
/// As [`gather`], and when the people can't be looked up.
pub fn gather_for_run(asking: Asking<'_>, more_groups: &BTreeSet<String>) -> Result<Gathered, GraphError> {
    let Asking { graph, account, plan, people, statements, progress } = asking;
    let mut counted = Counted::new(graph);
    let caller_roles = caller_roles(&mut counted, graph, &account)?;
    let caller_assigned = caller_assigned(&mut counted, graph, &account, &caller_roles)?;
    let policy = counted.ask("methods policy", || document(graph, calls::POLICY))?;
    let access = read_access(&mut counted, graph, &plan, progress)?;
    let policies: &[Value] = access.as_deref().unwrap_or_default();
    let mut groups = groups_of(policy.as_ref().ok(), None, policies);
    groups.extend(more_groups.iter().cloned());
    let wanted = People::for_run();
    let people = people::read(&mut counted, graph, &people, &groups, &wanted, progress)?;
    let (what_if, what_if_left_out) = access::evaluate(&mut counted, graph, &plan, &people, &access, progress)?;
    let cloud = &graph.settings().cloud;
    let skew = graph.clock_skew().ok_or_else(|| not_needed(calls::CLOCK));
    let facts = Facts {
        graph_host: cloud.graph().host_str().unwrap_or_default().to_owned(),
        loopback: cloud.is_loopback(),
        caller_roles,
        caller_assigned,
        skew,
        policy,
        access,
        what_if,
        what_if_left_out,
        statements: statements.into_iter().map(|said| (said.topic, said)).collect(),
        people,
        ..Facts::unasked(plan, account)
    };
    Ok(Gathered { facts, requests: counted.into_requests() })
}

/// Asks what an import of tokens is weighed by: whether they may be used at all, and by these people.
///
/// # Errors
/// As [`gather`].
pub fn gather_for_tokens(asking: Asking<'_>) -> Result<Facts, GraphError> {
    let Asking { graph, account, plan, people, progress, .. } = asking;
    let mut counted = Counted::new(graph);
    progress("Reading the policy for hardware tokens (Graph beta) …");
    let oath_policy = read_oath_policy(&mut counted, graph)?;
    let groups = groups_of(None, oath_policy.as_ref().ok(), &[]);
    let people = people::read(&mut counted, graph, &people, &groups, &People::for_tokens(), progress)?;
    Ok(Facts { oath_policy, people, ..Facts::unasked(plan, account) })
}

fn read_oath_policy(counted: &mut Counted<'_>, graph: &Graph) -> Result<Asked<Value>, GraphError> {
    counted.ask("hardware OATH policy", || {
        asked(calls::OATH_POLICY, graph.method_configuration(&Method::HardwareOath))
            .map(|found| found.map(|policy| policy.into_document().into_json()))
    })
}

/// Serial numbers in the inventory, in lower case; asked where there are some to compare.
fn read_serials(counted: &mut Counted<'_>, graph: &Graph, plan: &Plan) -> Result<Asked<BTreeSet<String>>, GraphError> {
    if plan.tokens.is_empty() {
        return Ok(Err(not_needed(calls::OATH_DEVICES)));
    }
    counted.ask("token inventory (beta)", || {
        asked(calls::OATH_DEVICES, graph.oath_devices())
            .map(|found| found.map(|all| all.into_iter().map(|one| one.serial.to_ascii_lowercase()).collect()))
    })
}

fn not_needed(call: Call) -> Gap {
    Gap::not_needed(call)
}

/// An answer, or the gap that a refusal leaves.
///
/// # Errors
/// What concerns every further question as well.
pub(crate) fn asked<T>(call: Call, answer: Result<T, GraphError>) -> Result<Asked<T>, GraphError> {
    match answer {
        Ok(value) => Ok(Ok(value)),
        Err(error) => gap(call, error).map(Err),
    }
}

/// The gap that a refusal leaves.
///
/// # Errors
/// What concerns every further question as well.
pub(crate) fn gap(call: Call, error: GraphError) -> Result<Gap, GraphError> {
    // `Authentication_RequestFromNonPremiumTenantOrB2CTenant` and its like.
    let premium = error.code().is_some_and(|code| code.contains("NonPremium"));
    let why = match error.kind() {
        ErrorKind::Forbidden if premium => Why::Licence,
        ErrorKind::Forbidden => Why::MissingRight,
        ErrorKind::NotFound
        | ErrorKind::Refused
        | ErrorKind::MethodNotAllowed
        | ErrorKind::Malformed
        | ErrorKind::Throttled
        | ErrorKind::Conflict
        | ErrorKind::Ambiguous => Why::NoAnswer,
        _ => return Err(error),
    };
    let next = if premium {
        "Entra ID P1 is needed for it; without, look in the Entra admin centre.".to_owned()
    } else {
        error.next().to_owned()
    };
    Ok(Gap::new(why, call, error.fact(), next))
}

/// The methods policy, as Graph tells it.
fn document(graph: &Graph, call: Call) -> Result<Asked<Value>, GraphError> {
    asked(call, graph.authentication_methods_policy(ApiVersion::V1))
        .map(|found| found.map(|policy| policy.into_document().into_json()))
}

fn roles(held: Vec<HeldRole>) -> Vec<Role> {
    let role = |held: &HeldRole| Role { template: held.template().to_ascii_lowercase(), name: held.shown().to_owned() };
    held.iter().map(role).collect()
}

/// The signed-in person's roles; where they may not be read, the token tells their template ids.
fn caller_roles(counted: &mut Counted<'_>, graph: &Graph, account: &Account) -> Result<Asked<Vec<Role>>, GraphError> {
    if account.app_only {
        return Ok(Err(not_needed(calls::MY_ROLES)));
    }
    let found = counted.ask("own roles", || asked(calls::MY_ROLES, graph.my_roles()))?;
    Ok(match found {
        Ok(held) => Ok(roles(held)),
        Err(gap) if account.directory_roles.is_empty() => Err(gap),
        Err(_) => Ok(account
            .directory_roles
            .iter()
            .map(|template| Role { template: template.to_ascii_lowercase(), name: template.clone() })
            .collect()),
    })
}

/// What else the signed-in person is assigned, where their roles don't suffice: a role within an administrative unit, or a custom
/// one, shows only there. Refused, it stays unsaid: the roles speak for themselves then.
fn caller_assigned(
    counted: &mut Counted<'_>,
    graph: &Graph,
    account: &Account,
    roles: &Asked<Vec<Role>>,
) -> Result<Vec<String>, GraphError> {
    let suffice = |role: &Role| caller::MANAGING.iter().any(|template| role.template.eq_ignore_ascii_case(template));
    let (Some(me), Ok(roles)) = (&account.object_id, roles) else { return Ok(Vec::new()) };
    if roles.iter().any(suffice) {
        return Ok(Vec::new());
    }
    let found = counted.ask("own assignments", || asked(calls::MY_ASSIGNMENTS, graph.assignments_of(me)))?;
    let other = |one: &RoleAssignment| {
        let custom = one.document().at("/roleDefinition/isBuiltIn").as_bool() == Some(false);
        (custom || !one.is_tenant_wide()).then(|| {
            let kind = if custom { "custom" } else { "in part of the directory" };
            format!("{} ({kind})", crate::graph::error::one_line(one.role(), 80))
        })
    };
    Ok(found.unwrap_or_default().iter().filter_map(other).collect())
}

fn read_access(
    counted: &mut Counted<'_>,
    graph: &Graph,
    plan: &Plan,
    progress: &dyn Fn(&str),
) -> Result<Asked<Vec<Value>>, GraphError> {
    if plan.mode == Mode::Oath && !plan.writes {
        return Ok(Err(not_needed(calls::ACCESS)));
    }
    progress("Reading Conditional Access …");
    counted.ask("Conditional Access policies", || {
        asked(calls::ACCESS, graph.conditional_access_policies())
            .map(|found| found.map(|all| all.into_iter().map(|one| one.into_document().into_json()).collect()))
    })
}

/// Every group that something depends on, in lower case.
fn groups_of(policy: Option<&Value>, oath: Option<&Value>, access: &[Value]) -> BTreeSet<String> {
    let methods =
        policy.into_iter().flat_map(|policy| policy["authenticationMethodConfigurations"].as_array()).flatten();
    let wanted = |method: &&Value| {
        let id = method["id"].as_str().unwrap_or_default();
        ["Fido2", "TemporaryAccessPass"].iter().any(|wanted| id.eq_ignore_ascii_case(wanted))
    };
    let mut groups = coverage::groups(access);
    for method in methods.filter(wanted).chain(oath) {
        for name in ["includeTargets", "excludeTargets"] {
            let targets = method[name].as_array().into_iter().flatten();
            let ids =
                targets.filter(|target| target["targetType"] != "user").filter_map(|target| target["id"].as_str());
            groups.extend(ids.map(str::to_ascii_lowercase).filter(|id| id != "all_users"));
        }
    }
    groups
}

fn domains(
    counted: &mut Counted<'_>,
    graph: &Graph,
    people: &[PersonFacts],
) -> Result<BTreeMap<String, Asked<DomainFacts>>, GraphError> {
    let names: BTreeSet<String> = people.iter().filter_map(|person| domain_of(&person.name)).collect();
    let mut all = BTreeMap::new();
    for name in names {
        let domain = counted.ask("domains", || {
            Ok(match asked(calls::DOMAIN, graph.domain(&name))? {
                Err(gap) => Err(gap),
                Ok(None) => Err(Gap::new(
                    Why::NoAnswer,
                    calls::DOMAIN,
                    format!("the tenant has no domain {name}"),
                    "Correct the names, or check that the tenant is the right one.",
                )),
                Ok(Some(domain)) => {
                    let domain = domain.into_document().into_json();
                    let managed =
                        domain["authenticationType"].as_str().is_some_and(|kind| kind.eq_ignore_ascii_case("Managed"));
                    let federation = if managed {
                        Ok(Vec::new())
                    } else {
                        asked(calls::FEDERATION, graph.federation(&name))?
                            .map(|found| found.into_iter().map(|one| one.into_document().into_json()).collect())
                    };
                    Ok(DomainFacts { domain, federation })
                }
            })
        })?;
        all.insert(name, domain);
    }
    Ok(all)
}

/// Permanent Global Administrators with what a break-glass account is known by.
fn administrators(
    counted: &mut Counted<'_>,
    graph: &Graph,
    policies: &[Value],
) -> Result<Asked<Vec<AdministratorFacts>>, GraphError> {
    let held = counted
        .ask("Global Administrators", || asked(calls::ADMINISTRATORS, graph.role_assignments(GLOBAL_ADMINISTRATOR)))?;
    let held = match held {
        Ok(held) => held,
        Err(gap) => return Ok(Err(gap)),
    };
    let ids: Vec<UserId> = held
        .iter()
        .filter(|one| one.is_tenant_wide() && one.is_group() != Some(true))
        .map(|one| UserId::new(one.principal().to_ascii_lowercase()))
        .collect();
    let names: Vec<&str> = ids.iter().map(UserId::as_str).collect();
    counted.ask("Global Administrators", || {
        let users = match asked(calls::USER, graph.user_documents(&names))? {
            Ok(users) => users,
            Err(gap) => return Ok(Err(gap)),
        };
        let methods = graph.methods_of_each(ApiVersion::V1, &ids)?;
        let groups = match asked(calls::GROUPS, graph.memberships(&ids, &coverage::excluded_groups(policies)))? {
            Ok(groups) => groups.into_iter().map(Ok).collect::<Vec<_>>(),
            Err(gap) => vec![Err(gap); ids.len()],
        };
        let mut all = Vec::new();
        for ((user, methods), groups) in users.into_iter().zip(methods).zip(groups) {
            let Some(user) = user else { continue };
            let methods = asked(calls::METHODS, methods)?
                .map(|list| list.into_iter().map(|one| one.into_document().into_json()).collect());
            all.push(AdministratorFacts { user: user.into_json(), methods, groups });
        }
        Ok(Ok(all))
    })
}
