//! What is set person by person: per-user MFA and sign-in preferences. Beta.

use serde_json::{Map, json};

use super::Planner;
use crate::tenant::desired::Who;
use crate::tenant::resource::Resource;

pub(super) fn plan(planner: &mut Planner<'_>) {
    let Some(wanted) = &planner.desired.per_person else { return };
    let mut ids: Vec<(String, String)> = Vec::new();
    for word in &wanted.people {
        let Some((id, _)) = planner.id(word) else { continue };
        if matches!(Who::read(word), Who::User(_)) {
            ids.push((id.clone(), planner.names.of(&id)));
        } else {
            let people = planner.people;
            ids.extend(people.in_any(&[&id]).map(|person| (person.id.clone(), person.name.clone())));
        }
    }
    ids.sort();
    ids.dedup_by(|a, b| a.0 == b.0);
    for (id, name) in ids {
        if let Some(state) = &wanted.mfa {
            let at = Resource::Mfa(id.clone());
            let subject = format!("per-user MFA of {name} (beta)");
            planner.patch("per-user-mfa", subject, &at, &json!({ "perUserMfaState": state.value }));
        }
        let mut preference = Map::new();
        if let Some(factor) = &wanted.second_factor {
            preference.insert("userPreferredMethodForSecondaryAuthentication".to_owned(), json!(factor.value));
        }
        if let Some(system) = &wanted.system_preferred {
            preference.insert("isSystemPreferredAuthenticationMethodEnabled".to_owned(), json!(system.value));
        }
        if !preference.is_empty() {
            let subject = format!("sign-in preferences of {name} (beta)");
            planner.patch("sign-in-preferences", subject, &Resource::Preference(id), &json!(preference));
        }
    }
}
