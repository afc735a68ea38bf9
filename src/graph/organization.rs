//! The tenant itself: its name, its domains, and who signs their people in.

use super::client::{ApiVersion, Graph};
use super::document::documents;
use super::error::{ErrorKind, GraphError};
use super::http::{Request, escape};
use super::rights;
use super::words::words;

documents!(
    /// `organization`.
    Organization,
    /// `domain`.
    Domain,
    /// `internalDomainFederation`: the other identity provider of a federated domain.
    Federation,
);

words!(
    /// Who checks passwords of a domain's people.
    DomainKind {
        /// Entra.
        Managed = "Managed",
        /// Another identity provider.
        Federated = "Federated",
    }
);

impl Organization {
    /// Display name.
    pub fn name(&self) -> &str {
        self.0.text("/displayName").unwrap_or(self.id())
    }

    /// Names of the verified domains, in lower case.
    pub fn verified_domains(&self) -> Vec<String> {
        let list = self.0.member("verifiedDomains").as_array();
        let name = |domain: &serde_json::Value| domain["name"].as_str().map(str::to_ascii_lowercase);
        list.into_iter().flatten().filter_map(name).collect()
    }
}

impl Domain {
    /// The domain's name; Graph uses it as the id.
    pub fn name(&self) -> String {
        self.id().to_ascii_lowercase()
    }

    /// Whether people can have names in it.
    pub fn is_verified(&self) -> bool {
        self.0.member("isVerified").as_bool().unwrap_or(false)
    }

    /// Who signs its people in.
    pub fn kind(&self) -> Option<DomainKind> {
        self.0.text("/authenticationType").map(DomainKind::read)
    }
}

impl Federation {
    /// `acceptIfMfaDoneByFederatedIdp`, `enforceMfaByFederatedIdp`, `rejectMfaByFederatedIdp`, or something newer.
    pub fn mfa_behaviour(&self) -> Option<&str> {
        self.0.text("/federatedIdpMfaBehavior")
    }
}

impl Graph {
    /// The tenant.
    ///
    /// # Errors
    /// [`ErrorKind::Forbidden`] without [`rights::ORGANIZATION_READ`].
    pub fn organization(&self) -> Result<Organization, GraphError> {
        let doing = "read the organization";
        let request =
            Request::get(self.url(ApiVersion::V1, "organization")?, doing).needing(&rights::ORGANIZATION_READ);
        let first = self.documents(request)?.into_iter().next();
        first.map(Organization).ok_or_else(|| GraphError::malformed(doing, "The list of organizations is empty."))
    }

    /// One domain; `None` when the tenant has none of that name.
    ///
    /// # Errors
    /// [`ErrorKind::Forbidden`] without [`rights::DOMAINS_READ`].
    pub fn domain(&self, name: &str) -> Result<Option<Domain>, GraphError> {
        let url = self.url(ApiVersion::V1, &format!("domains/{}", escape(name)))?;
        let request = Request::get(url, format!("read the domain {}", super::error::one_line(name, 80)));
        match self.document(&request.needing(&rights::DOMAINS_READ)) {
            Ok(document) => Ok(Some(Domain(document))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The other identity provider of a federated domain; `None` for a managed one.
    ///
    /// # Errors
    /// [`ErrorKind::Forbidden`] without [`rights::DOMAINS_READ`].
    pub fn federation(&self, domain: &str) -> Result<Option<Federation>, GraphError> {
        let url = self.url(ApiVersion::V1, &format!("domains/{}/federationConfiguration", escape(domain)))?;
        let request = Request::get(url, format!("read who signs in {}", super::error::one_line(domain, 80)));
        match self.documents(request.needing(&rights::DOMAINS_READ)) {
            Ok(list) => Ok(list.into_iter().next().map(Federation)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}
