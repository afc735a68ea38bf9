//! Named locations: countries and address ranges that Conditional Access can tell apart.
//!
//! Source: Microsoft Graph, `namedLocation`. A change must say its `@odata.type`.

use super::authentication_strength::named;
use super::client::{ApiVersion, Graph};
use super::document::{Document, Written, documents};
use super::error::GraphError;
use super::http::{Request, escape};
use super::rights;

documents!(
    /// A named location.
    NamedLocation
);

/// What a location is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Countries, by ISO 3166 alpha-2 in upper case.
    Countries {
        /// Which.
        codes: Vec<String>,
        /// Addresses that belong to no known country count as inside.
        unknown_too: bool,
    },
    /// Address ranges.
    Addresses {
        /// In CIDR notation.
        ranges: Vec<String>,
        /// Marked as trusted.
        trusted: bool,
    },
    /// A kind newer than keybench, by its `@odata.type`.
    Other(String),
}

impl NamedLocation {
    /// Display name.
    pub fn name(&self) -> &str {
        self.0.text("/displayName").unwrap_or(self.id())
    }

    /// What it is made of.
    pub fn place(&self) -> Place {
        let kind = self.0.text("/@odata.type").unwrap_or("");
        match kind.rsplit('.').next().unwrap_or("") {
            "countryNamedLocation" => Place::Countries {
                codes: self.0.texts("/countriesAndRegions").into_iter().map(str::to_ascii_uppercase).collect(),
                unknown_too: self.0.member("includeUnknownCountriesAndRegions").as_bool().unwrap_or(false),
            },
            "ipNamedLocation" => Place::Addresses {
                ranges: self
                    .0
                    .member("ipRanges")
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(|range| range["cidrAddress"].as_str().map(str::to_owned))
                    .collect(),
                trusted: self.0.member("isTrusted").as_bool().unwrap_or(false),
            },
            _ => Place::Other(kind.to_owned()),
        }
    }
}

const LOCATIONS: &str = "identity/conditionalAccess/namedLocations";

impl Graph {
    /// All named locations. Keeps to Conditional Access's pace.
    ///
    /// # Errors
    /// [`super::ErrorKind::Forbidden`] without [`rights::ACCESS_READ`].
    pub fn named_locations(&self) -> Result<Vec<NamedLocation>, GraphError> {
        let url = self.url(ApiVersion::V1, LOCATIONS)?;
        let request = Request::get(url, "list the named locations").needing(&rights::ACCESS_READ).paced();
        Ok(self.documents(request.all_words())?.into_iter().map(NamedLocation).collect())
    }

    /// One named location.
    ///
    /// # Errors
    /// [`super::ErrorKind::NotFound`].
    pub fn named_location(&self, id: &str) -> Result<NamedLocation, GraphError> {
        let request = Request::get(self.location_url(id)?, "read a named location").needing(&rights::ACCESS_READ);
        self.document(&request.paced().all_words()).map(NamedLocation)
    }

    /// Makes a named location.
    ///
    /// # Errors
    /// [`super::ErrorKind::Unknown`] when it may have been made: list before repeating.
    pub fn create_named_location(&self, new: &Document) -> Result<Written<NamedLocation>, GraphError> {
        let doing = format!("make the named location {}", named(new));
        let request = Request::post(self.url(ApiVersion::V1, LOCATIONS)?, new.to_json(), doing);
        Ok(self
            .write_document(&request.needing(&rights::LOCATIONS_WRITE).refused(rights::look::LOCATIONS).paced())?
            .map(NamedLocation))
    }

    /// Changes a named location; the change must hold `@odata.type`.
    ///
    /// # Errors
    /// [`super::ErrorKind::Refused`] with Graph's reason.
    pub fn change_named_location(&self, id: &str, change: &Document) -> Result<Written<()>, GraphError> {
        let request = Request::patch(self.location_url(id)?, change.to_json(), "change a named location");
        self.write_only(&request.needing(&rights::LOCATIONS_WRITE).refused(rights::look::LOCATIONS).paced())
    }

    /// Deletes a named location. One that is trusted or that a policy names can't be deleted.
    ///
    /// # Errors
    /// [`super::ErrorKind::Refused`] with Graph's reason.
    pub fn delete_named_location(&self, id: &str) -> Result<Written<()>, GraphError> {
        let request = Request::delete(self.location_url(id)?, "delete a named location");
        self.write_only(&request.needing(&rights::LOCATIONS_WRITE).refused(rights::look::LOCATIONS).paced())
    }

    fn location_url(&self, id: &str) -> Result<url::Url, GraphError> {
        self.url(ApiVersion::V1, &format!("{LOCATIONS}/{}", escape(id)))
    }
}
