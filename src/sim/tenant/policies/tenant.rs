//! The tenant itself: what it has bought, its domains, who holds a role. Read only.

use serde_json::{Value, json};

use super::{No, Place, not_there, person};
use crate::sim::tenant::access::{Caller, role_template};
use crate::sim::tenant::errors;
use crate::sim::tenant::http::{Answer, Call, Version};
use crate::sim::tenant::store::Store;
use crate::sim::tenant::users;

/// A product: part number, its id, and its service plans by name and id.
const PRODUCTS: [(&str, &str, &[(&str, &str)]); 3] = [
    ("AAD_PREMIUM", "078d2b04-f1bd-4111-bbd4-b4b1b354cef4", &[("AAD_PREMIUM", "41781fb2-bc02-4b7c-bd55-b576c07bb09d")]),
    (
        "AAD_PREMIUM_P2",
        "84a661c4-e949-4bd2-a560-ed7766fcaf2b",
        &[
            ("AAD_PREMIUM", "41781fb2-bc02-4b7c-bd55-b576c07bb09d"),
            ("AAD_PREMIUM_P2", "eec0eb4f-6444-4f95-aba0-50c24d67f998"),
        ],
    ),
    ("INTUNE_A", "061f9ace-7d42-4136-88ac-31dc755f143f", &[("INTUNE_A", "c1ec4a95-1f05-45b3-a911-aa3fa01094f5")]),
];

/// How many of each were bought.
const BOUGHT: usize = 500;

type Product = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

fn bought(store: &Store) -> Vec<Product> {
    let has = |product: &Product| store.spec.policies.licences.iter().any(|name| name == product.0);
    PRODUCTS.into_iter().filter(has).collect()
}

fn plans(product: &Product) -> Vec<Value> {
    let plan = |(name, id): &(&str, &str)| json!({ "servicePlanId": id, "servicePlanName": name, "provisioningStatus": "Success", "appliesTo": "User" });
    product.2.iter().map(plan).collect()
}

pub(super) fn answer(
    store: &Store,
    version: Version,
    caller: &Caller,
    place: &Place,
    call: &Call,
) -> Result<Answer, No> {
    match place {
        Place::Subscriptions => {
            let one = |product: Product| {
                json!({
                    "accountName": "contoso",
                    "accountId": store.tenant_id,
                    "appliesTo": "User",
                    "capabilityStatus": "Enabled",
                    "consumedUnits": store.people.len(),
                    "id": format!("{}_{}", store.tenant_id, product.1),
                    "skuId": product.1,
                    "skuPartNumber": product.0,
                    "prepaidUnits": { "enabled": BOUGHT, "suspended": 0, "warning": 0, "lockedOut": 0 },
                    "servicePlans": plans(&product),
                })
            };
            page(store, version, "subscribedSkus", call, bought(store).into_iter().map(one).collect())
        }
        Place::Licences(who) => {
            let id = &person(store, who, caller)?.id;
            let one = |product: Product| json!({ "id": format!("{}-{id}", product.0), "skuId": product.1, "skuPartNumber": product.0, "servicePlans": plans(&product) });
            let context = format!("users('{id}')/licenseDetails");
            page(store, version, &context, call, bought(store).into_iter().map(one).collect())
        }
        Place::Organization => {
            let domain = |(name, federated): (&str, bool)| {
                let first = name == store.spec.domain;
                json!({ "name": name, "isDefault": first, "isInitial": first, "type": if federated { "Federated" } else { "Managed" } })
            };
            let it = json!({
                "id": store.tenant_id,
                "displayName": "Simulated tenant",
                "tenantType": "AAD",
                "verifiedDomains": domains(store).into_iter().map(domain).collect::<Vec<_>>(),
            });
            page(store, version, "organization", call, vec![it])
        }
        Place::Domains => {
            let all = domains(store).into_iter().map(|domain| as_domain(store, domain)).collect();
            page(store, version, "domains", call, all)
        }
        Place::Domain(name) => {
            let found = domains(store).into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
            let found = found.ok_or_else(|| not_there("Resource", name))?;
            let mut body = as_domain(store, found);
            body["@odata.context"] = format!("{}/{}/$metadata#domains/$entity", store.base, version.name()).into();
            Ok(Answer::json(200, body))
        }
        Place::Federation(name) => {
            let found = domains(store).into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
            let (name, federated) = found.ok_or_else(|| not_there("Resource", name))?;
            let it = json!({
                "id": store.seed.guid(&format!("federation {name}")),
                "displayName": "Simulated identity provider",
                "issuerUri": format!("https://sts.{name}/adfs/services/trust"),
                "federatedIdpMfaBehavior": "acceptIfMfaDoneByFederatedIdp",
            });
            let list = if federated { vec![it] } else { Vec::new() };
            page(store, version, &format!("domains('{name}')/federationConfiguration"), call, list)
        }
        Place::RoleAssignments => role_assignments(store, version, call),
        _ => Err(errors::method_not_allowed().into()),
    }
}

fn page(store: &Store, version: Version, context: &str, call: &Call, all: Vec<Value>) -> Result<Answer, No> {
    users::page(store, version, context, call, all).map_err(No::from)
}

/// Name, and whether another identity provider signs its people in.
fn domains(store: &Store) -> Vec<(&str, bool)> {
    let first = store.spec.domain.as_str();
    let others = store.spec.policies.domains.iter().map(|(name, federated)| (name.as_str(), *federated));
    let own = store.spec.policies.domains.get(first).copied().unwrap_or(false);
    std::iter::once((first, own)).chain(others.filter(|(name, _)| *name != first)).collect()
}

fn as_domain(store: &Store, (name, federated): (&str, bool)) -> Value {
    let first = name == store.spec.domain;
    json!({
        "id": name,
        "authenticationType": if federated { "Federated" } else { "Managed" },
        "isAdminManaged": true,
        "isDefault": first,
        "isInitial": first,
        "isRoot": true,
        "isVerified": true,
        "supportedServices": ["Email", "OfficeCommunicationsOnline"],
    })
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
