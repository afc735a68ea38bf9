//! The people: one question a person and kind, twenty to a request, some hundred people between two words of progress.

use std::collections::{BTreeSet, HashMap};

use serde_json::Value;

use super::{Counted, asked, not_needed, roles};
use crate::graph::registration_report::RegistrationDetails;
use crate::graph::report_pace::ReportPace;
use crate::graph::user_methods::MethodsOfOne;
use crate::graph::{ApiVersion, Graph, GraphError};
use crate::model::{Upn, UserId};
use crate::tenant::preflight::facts::{Asked, Call, Gap, Mode, PersonFacts, Why, calls};

/// How many people between two words of progress: five requests at a time on four lanes.
const AT_ONCE: usize = 400;
/// Pages of the registration report for one roster: 999 rows each.
const MOST_PAGES: usize = 50;

/// Which questions are asked of people.
#[derive(Debug, Clone, Copy)]
pub struct People {
    /// Without answers about accounts, groups and roles nothing goes on.
    pub firm: bool,
    /// Groups.
    pub groups: bool,
    /// Roles.
    pub roles: bool,
    /// All methods; where they may not be read, passkeys alone.
    pub methods: bool,
    /// Passkeys alone.
    pub passkeys: bool,
    /// Per-user MFA.
    pub requirements: bool,
}

impl People {
    /// What `tenant check` asks.
    pub fn for_check() -> Self {
        Self { firm: false, groups: true, roles: true, methods: true, passkeys: false, requirements: true }
    }

    /// What an import of tokens asks.
    pub fn for_tokens() -> Self {
        Self { firm: false, groups: true, roles: false, methods: false, passkeys: false, requirements: false }
    }

    /// What a run asks.
    pub fn for_run() -> Self {
        Self { firm: true, groups: true, roles: true, methods: false, passkeys: true, requirements: false }
    }
}

/// A question that failed as a whole, for each of those it was asked about.
fn for_each<T>(
    answer: Result<Vec<T>, GraphError>,
    call: Call,
    count: usize,
    firm: bool,
) -> Result<Vec<Asked<T>>, GraphError> {
    if firm {
        return Ok(answer?.into_iter().map(Ok).collect());
    }
    Ok(match asked(call, answer)? {
        Ok(values) => values.into_iter().map(Ok).collect(),
        Err(gap) => (0..count).map(|_| Err(gap.clone())).collect(),
    })
}

fn lists(answers: Vec<MethodsOfOne>, call: Call) -> Result<Vec<Asked<Vec<Value>>>, GraphError> {
    let list = |answer: MethodsOfOne| {
        Ok(asked(call, answer)?.map(|all| all.into_iter().map(|one| one.into_document().into_json()).collect()))
    };
    answers.into_iter().map(list).collect()
}

/// Reads everybody.
///
/// # Errors
/// What concerns every question; with `wanted.firm` also a refusal.
pub fn read(
    counted: &mut Counted<'_>,
    graph: &Graph,
    people: &[(Upn, u32)],
    groups: &BTreeSet<String>,
    wanted: &People,
    progress: &dyn Fn(&str),
) -> Result<Vec<PersonFacts>, GraphError> {
    if people.is_empty() {
        return Ok(Vec::new());
    }
    // Privileged by membership: those groups are few, and asked about in the same question.
    let assignable = if wanted.roles {
        let answer = counted.ask("role-assignable groups", || Ok(graph.role_assignable_groups()))?;
        match answer {
            Err(error) if wanted.firm => return Err(error),
            answer => asked(calls::GROUPS, answer)?,
        }
    } else {
        Err(not_needed(calls::GROUPS))
    };
    let mut all = Vec::with_capacity(people.len());
    for chunk in people.chunks(AT_ONCE) {
        if people.len() > AT_ONCE {
            progress(&format!("Reading people: {} of {} …", all.len(), people.len()));
        }
        all.extend(some(counted, graph, chunk, (groups, assignable.as_deref()), wanted, progress)?);
    }
    Ok(all)
}

fn some(
    counted: &mut Counted<'_>,
    graph: &Graph,
    people: &[(Upn, u32)],
    (groups, assignable): (&BTreeSet<String>, Result<&[crate::graph::Group], &Gap>),
    wanted: &People,
    progress: &dyn Fn(&str),
) -> Result<Vec<PersonFacts>, GraphError> {
    let firm = wanted.firm;
    let names: Vec<&str> = people.iter().map(|(upn, _)| upn.as_str()).collect();
    let users = counted.ask("accounts", || for_each(graph.user_documents(&names), calls::USER, names.len(), firm))?;
    let mut all: Vec<PersonFacts> = people
        .iter()
        .zip(users)
        .map(|((name, keys), user)| PersonFacts {
            name: name.clone(),
            keys: *keys,
            user: user.map(|found| found.map(crate::graph::Document::into_json)),
            groups: Err(not_needed(calls::GROUPS)),
            roles: Err(not_needed(calls::ROLES)),
            role_groups: Err(not_needed(calls::GROUPS)),
            methods: Err(not_needed(calls::METHODS)),
            passkeys: Err(not_needed(calls::PASSKEYS)),
            requirements: Err(not_needed(calls::REQUIREMENTS)),
            registration: Err(not_needed(calls::REGISTRATION)),
        })
        .collect();
    let (at, ids): (Vec<usize>, Vec<UserId>) =
        all.iter().enumerate().filter_map(|(at, person)| Some((at, person.id()?))).unzip();
    let mut put = |answers: &mut dyn FnMut(&mut PersonFacts, usize)| {
        for (number, at) in at.iter().enumerate() {
            if let Some(person) = all.get_mut(*at) {
                answers(person, number);
            }
        }
    };

    if wanted.groups {
        let mut asked_about = groups.clone();
        let assignable_ids: Vec<String> =
            assignable.unwrap_or_default().iter().map(|group| group.id.to_ascii_lowercase()).collect();
        asked_about.extend(assignable_ids);
        let mut answers = counted
            .ask("groups", || for_each(graph.memberships(&ids, &asked_about), calls::GROUPS, ids.len(), firm))?;
        put(&mut |person, number| {
            let Some(answer) = answers.get_mut(number) else { return };
            person.role_groups = match (&*answer, assignable) {
                (Ok(held), Ok(assignable)) => Ok(assignable
                    .iter()
                    .filter(|group| held.contains(&group.id.to_ascii_lowercase()))
                    .map(|group| group.name.clone())
                    .collect()),
                (Err(gap), _) | (_, Err(gap)) => Err(gap.clone()),
            };
            person.groups = std::mem::replace(answer, Err(not_needed(calls::GROUPS)));
        });
    }
    if wanted.roles {
        let answers = counted.ask("roles", || for_each(graph.roles_of_each(&ids), calls::ROLES, ids.len(), firm))?;
        let mut answers = answers.into_iter();
        put(&mut |person, _| {
            if let Some(answer) = answers.next() {
                person.roles = answer.map(roles);
            }
        });
    }
    let mut without_methods = false;
    if wanted.methods {
        let answers = counted.ask("methods", || lists(graph.methods_of_each(ApiVersion::V1, &ids)?, calls::METHODS))?;
        without_methods = answers.iter().any(Result::is_err);
        let mut answers = answers.into_iter();
        put(&mut |person, _| {
            if let Some(answer) = answers.next() {
                person.methods = answer;
            }
        });
    }
    // Who may register passkeys may list them, and often no more.
    if wanted.passkeys || without_methods {
        let answers = counted.ask("passkeys", || lists(graph.passkeys_of_each(&ids)?, calls::PASSKEYS))?;
        let mut answers = answers.into_iter();
        put(&mut |person, _| {
            if let Some(answer) = answers.next() {
                person.passkeys = answer;
            }
        });
    }
    if wanted.requirements {
        progress("Reading per-user MFA (Graph beta) …");
        let answers = counted.ask("per-user MFA (beta)", || {
            for_each(graph.beta().requirements_of(&ids), calls::REQUIREMENTS, ids.len(), false)
        })?;
        let mut answers = answers.into_iter();
        put(&mut |person, _| {
            if let Some(answer) = answers.next() {
                person.requirements =
                    answer.map(|found| found.map_or(Value::Null, |one| one.into_document().into_json()));
            }
        });
    }
    Ok(all)
}

/// What the registration report said.
pub struct Report {
    rows: HashMap<UserId, RegistrationDetails>,
    whole: bool,
    gap: Option<Gap>,
}

/// Reads the registration report, where the mode goes by it.
///
/// # Errors
/// What concerns every question.
pub fn registration(
    counted: &mut Counted<'_>,
    graph: &Graph,
    people: &[PersonFacts],
    mode: Mode,
    progress: &dyn Fn(&str),
) -> Result<Option<Report>, GraphError> {
    let ids: Vec<UserId> = people.iter().filter_map(PersonFacts::id).collect();
    if mode == Mode::Oath || ids.is_empty() {
        return Ok(None);
    }
    progress("Reading the registration report …");
    let pace = ReportPace::of_reports();
    let answer = counted.ask("registration report", || {
        asked(calls::REGISTRATION, graph.registration_details(&ids, MOST_PAGES, &pace))
    })?;
    Ok(Some(match answer {
        Ok((rows, whole)) => Report { rows, whole, gap: None },
        Err(gap) => Report { rows: HashMap::new(), whole: false, gap: Some(gap) },
    }))
}

/// Gives everybody their row.
pub fn file(people: &mut [PersonFacts], report: Report) {
    let Report { mut rows, whole, gap } = report;
    let cut = || {
        Gap::new(
            Why::NotAsked,
            calls::REGISTRATION,
            format!("the registration report is longer than the {MOST_PAGES} pages that are read of it"),
            "Check a smaller roster: five people or fewer are asked about one by one.",
        )
    };
    for person in people {
        person.registration = match (person.id().and_then(|id| rows.remove(&id)), &gap) {
            (Some(row), _) => Ok(Some(row.into_document().into_json())),
            (None, Some(gap)) => Err(gap.clone()),
            (None, None) if whole => Ok(None),
            (None, None) => Err(cut()),
        };
    }
}
