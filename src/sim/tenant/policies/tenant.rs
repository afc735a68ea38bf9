//! The tenant itself: what it has bought, its domains, who holds a role. Read only.

use serde_json::{Value, json};

use super::{No, Place, not_there, person};
use crate::sim::tenant::access::{Caller, role_template};
use crate::sim::tenant::errors;
use crate::sim::tenant::http::{Answer, Call, Version};
use crate::sim::tenant::newcomers::sku_id;
use crate::sim::tenant::spec::{DomainSpec, LicenceSpec};
use crate::sim::tenant::store::Store;
use crate::sim::tenant::users;

const P1: (&str, &str) = ("AAD_PREMIUM", "41781fb2-bc02-4b7c-bd55-b576c07bb09d");
const P2: (&str, &str) = ("AAD_PREMIUM_P2", "eec0eb4f-6444-4f95-aba0-50c24d67f998");
const INTUNE: (&str, &str) = ("INTUNE_A", "c1ec4a95-1f05-45b3-a911-aa3fa01094f5");

/// Products by part number, with the service plans that matter here; others have none.
const PRODUCTS: [(&str, &[(&str, &str)]); 6] = [
    ("AAD_PREMIUM", &[P1]),
    ("AAD_PREMIUM_P2", &[P1, P2]),
    ("INTUNE_A", &[INTUNE]),
    ("EMS", &[P1, INTUNE]),
    ("SPE_E3", &[P1, INTUNE]),
    ("SPE_E5", &[P1, P2, INTUNE]),
];

fn plans_of(product: &str) -> &'static [(&'static str, &'static str)] {
    PRODUCTS.iter().find(|(name, _)| *name == product).map_or(&[], |(_, plans)| plans)
}

/// A product's `servicePlans`.
pub(in super::super) fn plans(product: &str) -> Vec<Value> {
    let plan = |(name, id): &(&str, &str)| json!({ "servicePlanId": id, "servicePlanName": name, "provisioningStatus": "Success", "appliesTo": "User" });
    plans_of(product).iter().map(plan).collect()
}

/// Whether the tenant has bought Entra ID P1, alone or within something.
pub(super) fn has_p1(store: &Store) -> bool {
    store.spec.licences.iter().any(|licence| plans_of(&licence.name).contains(&P1))
}

pub(super) fn answer(
    store: &Store,
    version: Version,
    caller: &Caller,
    place: &Place,
    call: &Call,
) -> Result<Answer, No> {
    match place {
        Place::Licences(who) => {
            let person = person(store, who, caller)?;
            let id = &person.id;
            let held = |licence: &&LicenceSpec| {
                let sku = sku_id(store, &licence.name);
                person.account.licences.contains(&sku)
            };
            let one = |licence: &LicenceSpec| {
                json!({
                    "id": format!("{}-{id}", licence.name),
                    "skuId": sku_id(store, &licence.name),
                    "skuPartNumber": licence.name,
                    "servicePlans": plans(&licence.name),
                })
            };
            let context = format!("users('{id}')/licenseDetails");
            page(store, version, &context, call, store.spec.licences.iter().filter(held).map(one).collect())
        }
        Place::Organization => {
            let domain = |domain: DomainSpec| {
                let first = domain.name == store.spec.domain;
                json!({
                    "name": domain.name,
                    "isDefault": first,
                    "isInitial": first,
                    "type": if domain.federated { "Federated" } else { "Managed" },
                })
            };
            let verified = store.spec.domains().into_iter().filter(|domain| domain.verified);
            let it = json!({
                "id": store.tenant_id,
                "displayName": "Simulated tenant",
                "tenantType": "AAD",
                "verifiedDomains": verified.map(domain).collect::<Vec<_>>(),
            });
            page(store, version, "organization", call, vec![it])
        }
        Place::Domain(name) => {
            let found = domain(store, name)?;
            let first = found.name == store.spec.domain;
            let body = json!({
                "@odata.context": format!("{}/{}/$metadata#domains/$entity", store.base, version.name()),
                "id": found.name,
                "authenticationType": if found.federated { "Federated" } else { "Managed" },
                "isAdminManaged": true,
                "isDefault": first,
                "isInitial": first,
                "isRoot": true,
                "isVerified": found.verified,
                "supportedServices": ["Email", "OfficeCommunicationsOnline"],
            });
            Ok(Answer::json(200, body))
        }
        Place::Federation(name) => {
            let found = domain(store, name)?;
            let it = json!({
                "id": store.seed.guid(&format!("federation {}", found.name)),
                "displayName": "Simulated identity provider",
                "issuerUri": format!("https://sts.{}/adfs/services/trust", found.name),
                "federatedIdpMfaBehavior": "acceptIfMfaDoneByFederatedIdp",
            });
            let list = if found.federated { vec![it] } else { Vec::new() };
            page(store, version, &format!("domains('{}')/federationConfiguration", found.name), call, list)
        }
        Place::RoleAssignments => role_assignments(store, version, call),
        _ => Err(errors::method_not_allowed().into()),
    }
}

fn page(store: &Store, version: Version, context: &str, call: &Call, all: Vec<Value>) -> Result<Answer, No> {
    users::page(store, version, context, call, all).map_err(No::from)
}

fn domain(store: &Store, name: &str) -> Result<DomainSpec, No> {
    let found = store.spec.domains().into_iter().find(|known| known.name.eq_ignore_ascii_case(name));
    found.ok_or_else(|| not_there("Resource", name).into())
}

/// Everybody's roles, by role or by person; as everywhere here, all of them are held for good.
fn role_assignments(store: &Store, version: Version, call: &Call) -> Result<Answer, No> {
    let filter = call.query("$filter").unwrap_or("");
    let wanted = |name: &str| {
        filter.strip_prefix(name)?.trim().strip_prefix("eq ")?.trim().strip_prefix('\'')?.strip_suffix('\'')
    };
    let (role, principal) = (wanted("roleDefinitionId"), wanted("principalId"));
    if role.is_none() && principal.is_none() && !filter.is_empty() {
        return Err(errors::bad_request("Invalid filter clause.").into());
    }
    let expand = call.query("$expand") == Some("principal");
    let mut list = Vec::new();
    for person in &store.people {
        for name in &person.roles {
            let definition =
                role_template(name).map_or_else(|| store.seed.guid(&format!("template {name}")), str::to_owned);
            let fits = role.is_none_or(|role| role.eq_ignore_ascii_case(&definition))
                && principal.is_none_or(|principal| principal.eq_ignore_ascii_case(&person.id));
            if !fits {
                continue;
            }
            let mut one = json!({
                "id": store.seed.guid(&format!("assignment {name} {}", person.id)),
                "principalId": person.id,
                "directoryScopeId": "/",
                "roleDefinitionId": definition,
            });
            if expand {
                one["principal"] = json!({
                    "@odata.type": "#microsoft.graph.user",
                    "id": person.id,
                    "displayName": person.display_name,
                    "userPrincipalName": person.upn,
                });
            }
            list.push(one);
        }
    }
    page(store, version, "roleManagement/directory/roleAssignments", call, list)
}
