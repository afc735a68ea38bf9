//! What Conditional Access would do: one evaluation for all who are alike to it.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde_json::Value;

use super::{Counted, asked};
use crate::graph::what_if::{Circumstances, Undertaking};
use crate::graph::{Graph, GraphError};
use crate::model::{Upn, UserId};
use crate::tenant::preflight::coverage::{self, Membership};
use crate::tenant::preflight::facts::{Action, Asked, Gap, Mode, PersonFacts, Plan, WhatIf, Why, calls};

/// Evaluations for one check, at one a second.
pub const MOST_WHAT_IFS: usize = 20;

/// The application that the evaluation's reference uses as its example, and that everybody signs in to.
const SHAREPOINT: (&str, &str) = ("00000003-0000-0ff1-ce00-000000000000", "SharePoint Online");

/// People who are alike, and one of them.
struct Class {
    example: UserId,
    people: Vec<Upn>,
}

type Evaluated = (Vec<WhatIf>, Option<(Vec<Upn>, Gap)>);

/// What is evaluated for a plan. Joining a device only where a policy is about it.
fn actions(plan: &Plan, policies: &[Value]) -> Vec<Action> {
    let mut apps = plan.place.apps.clone();
    if apps.is_empty() {
        apps.push((SHAREPOINT.0.to_owned(), SHAREPOINT.1.to_owned()));
    }
    let sign_in = apps.into_iter().map(|(app, name)| Action::SignIn { app, name });
    match plan.mode {
        Mode::Oath => Vec::new(),
        Mode::Provision => sign_in.collect(),
        Mode::SelfService => {
            let join = policies.iter().any(|one| coverage::is_enabled(one) && coverage::is_about(one, coverage::JOIN));
            std::iter::once(Action::RegisterSecurityInformation)
                .chain(sign_in)
                .chain(join.then_some(Action::JoinDevice))
                .collect()
        }
    }
}

/// Evaluates, largest class first. Without an enabled policy nothing can apply, and nothing is asked.
///
/// # Errors
/// What concerns every question.
pub fn evaluate(
    counted: &mut Counted<'_>,
    graph: &Graph,
    plan: &Plan,
    people: &[PersonFacts],
    access: &Asked<Vec<Value>>,
    progress: &dyn Fn(&str),
) -> Result<Evaluated, GraphError> {
    let everybody: Vec<Upn> = people.iter().filter(|person| person.id().is_some()).map(|p| p.name.clone()).collect();
    if everybody.is_empty() || plan.mode == Mode::Oath {
        return Ok((Vec::new(), None));
    }
    let policies = match access {
        Ok(policies) => policies,
        Err(gap) => return Ok((Vec::new(), Some((everybody, gap.clone())))),
    };
    let actions = actions(plan, policies);
    if !policies.iter().any(coverage::is_enabled) {
        let nothing = |action| WhatIf { action, people: everybody.clone(), answer: Ok(Vec::new()) };
        return Ok((actions.into_iter().map(nothing).collect(), None));
    }
    let (classes, mut left_out) = classes(people, policies);
    let afford = MOST_WHAT_IFS / actions.len().max(1);
    let mut found = Vec::new();
    for (number, class) in classes.iter().enumerate() {
        if number >= afford {
            let gap = Gap::new(
                Why::NotAsked,
                calls::WHAT_IF,
                format!(
                    "these people are of {} more kinds to Conditional Access than {MOST_WHAT_IFS} evaluations reach",
                    classes.len() - afford
                ),
                "Check them with a roster of their own.",
            );
            let rest = classes.iter().skip(afford).flat_map(|class| class.people.iter().cloned());
            let (mut people, first) = left_out.unwrap_or((Vec::new(), gap));
            people.extend(rest);
            left_out = Some((people, first));
            break;
        }
        for action in &actions {
            progress(&format!(
                "Evaluating Conditional Access ({} of {}) …",
                found.len() + 1,
                classes.len().min(afford) * actions.len()
            ));
            let answer = counted.ask("what-if", || one(graph, plan, &class.example, action))?;
            found.push(WhatIf { action: action.clone(), people: class.people.clone(), answer });
        }
    }
    Ok((found, left_out))
}

fn one(graph: &Graph, plan: &Plan, example: &UserId, action: &Action) -> Result<Asked<Vec<Value>>, GraphError> {
    let doing = match action {
        Action::RegisterSecurityInformation => Undertaking::RegisterSecurityInformation,
        Action::JoinDevice => Undertaking::RegisterOrJoinDevice,
        Action::SignIn { app, .. } => Undertaking::SignIn(vec![app.clone()]),
    };
    let at = Circumstances {
        country: plan.place.country.clone(),
        address: plan.place.ip.as_deref().and_then(|ip| ip.parse::<IpAddr>().ok()),
        platform: Some("windows".to_owned()),
        client: Some("browser".to_owned()),
        compliant: None,
    };
    let answer = graph.what_if(example, &doing, &at, true);
    Ok(asked(calls::WHAT_IF, answer)?.map(|all| all.into_iter().map(|one| one.into_document().into_json()).collect()))
}

/// People by what sets them apart; the largest class first. Whose membership is not known is left out.
fn classes(people: &[PersonFacts], policies: &[Value]) -> (Vec<Class>, Option<(Vec<Upn>, Gap)>) {
    let mut classes: BTreeMap<Membership, Class> = BTreeMap::new();
    let mut unknown: Option<(Vec<Upn>, Gap)> = None;
    for person in people {
        let Some(id) = person.id() else { continue };
        match coverage::membership(person, policies) {
            Ok(membership) => classes
                .entry(membership)
                .or_insert_with(|| Class { example: id, people: Vec::new() })
                .people
                .push(person.name.clone()),
            Err(gap) => unknown.get_or_insert_with(|| (Vec::new(), gap)).0.push(person.name.clone()),
        }
    }
    let mut classes: Vec<Class> = classes.into_values().collect();
    classes.sort_by_key(|class| std::cmp::Reverse(class.people.len()));
    (classes, unknown)
}
