//! What the tenant has bought, and who has it.

use super::batch::Part;
use super::client::{ApiVersion, Graph};
use super::document::{Document, documents};
use super::error::GraphError;
use super::http::{Request, escape};
use super::rights;
use crate::model::UserId;

/// The service plan Microsoft Entra ID P1.
pub const ENTRA_P1: &str = "41781fb2-bc02-4b7c-bd55-b576c07bb09d";
/// The service plan Microsoft Entra ID P2.
pub const ENTRA_P2: &str = "eec0eb4f-6444-4f95-aba0-50c24d67f998";
/// The service plan Intune.
pub const INTUNE: &str = "c1ec4a95-1f05-45b3-a911-aa3fa01094f5";

documents!(
    /// Something bought: `subscribedSku`.
    Subscription,
    /// Something a person has: `licenseDetails`.
    Licence,
);

fn has_plan(document: &Document, plan: &str) -> bool {
    document.member("servicePlans").as_array().into_iter().flatten().any(|one| {
        let working = one["provisioningStatus"].as_str().is_none_or(|status| !status.eq_ignore_ascii_case("Disabled"));
        working && one["servicePlanId"].as_str().is_some_and(|id| id.eq_ignore_ascii_case(plan))
    })
}

impl Subscription {
    /// The product's name among licences, such as `AAD_PREMIUM`.
    pub fn part_number(&self) -> &str {
        self.0.text("/skuPartNumber").unwrap_or("")
    }

    /// The product's id.
    pub fn sku(&self) -> &str {
        self.0.text("/skuId").unwrap_or("")
    }

    /// Whether it is in force: enabled or in its grace period, and at least one bought.
    pub fn is_active(&self) -> bool {
        let status = self.0.text("/capabilityStatus").unwrap_or("Enabled");
        let bought = self.0.at("/prepaidUnits/enabled").as_i64();
        let in_grace = self.0.at("/prepaidUnits/warning").as_i64().unwrap_or(0);
        matches!(status.to_ascii_lowercase().as_str(), "enabled" | "warning")
            && bought.is_none_or(|count| count.saturating_add(in_grace) > 0)
    }

    /// How many are left to give; `None` where the answer doesn't say.
    pub fn left(&self) -> Option<i64> {
        let bought = self.0.at("/prepaidUnits/enabled").as_i64()?;
        Some(bought.saturating_sub(self.0.member("consumedUnits").as_i64()?))
    }

    /// Whether it is in force and brings this service plan.
    pub fn brings(&self, plan: &str) -> bool {
        self.is_active() && has_plan(&self.0, plan)
    }
}

impl Licence {
    /// Whether it brings this service plan.
    pub fn brings(&self, plan: &str) -> bool {
        has_plan(&self.0, plan)
    }
}

impl Graph {
    /// What the tenant has bought.
    ///
    /// # Errors
    /// [`super::ErrorKind::Forbidden`] without [`rights::LICENCES_READ`].
    pub fn subscriptions(&self) -> Result<Vec<Subscription>, GraphError> {
        let url = self.url(ApiVersion::V1, "subscribedSkus")?;
        let request = Request::get(url, "list what the tenant has bought").needing(&rights::LICENCES_READ);
        Ok(self.documents(request)?.into_iter().map(Subscription).collect())
    }

    /// What each person has, in the users' order, twenty in a request; `None` for who isn't there.
    ///
    /// # Errors
    /// [`super::ErrorKind::Forbidden`] without [`rights::LICENCES_READ`].
    pub fn licences_of(&self, users: &[UserId]) -> Result<Vec<Option<Vec<Licence>>>, GraphError> {
        let doing = "read the licences of people";
        let path = |user: &UserId| format!("/users/{}/licenseDetails", escape(user.as_str()));
        let parts: Vec<Part> = users.iter().map(|user| Part::get(path(user))).collect();
        let mut licences = Vec::with_capacity(users.len());
        for answer in self.batch(&parts, doing)? {
            if answer.is_not_found() {
                licences.push(None);
                continue;
            }
            let page = answer.needing(&rights::LICENCES_READ).into_object(doing)?;
            let next = Request::get(self.url(ApiVersion::V1, "")?, doing);
            let items = self.rest_of_collection(page, next)?;
            licences.push(Some(items.into_iter().filter_map(Document::from_json).map(Licence).collect()));
        }
        Ok(licences)
    }
}
