//! Everything a change to the tenant's settings can be refused for: one reason each, with the status, code and sentence it gets.
//!
//! Microsoft documents almost none of these. Observed by others: 1001, 1007 and 1032 of Conditional Access, its words for missing
//! permissions, and OData's own sentences. The rest is plausible, and `docs/SIMULATOR.md` says so.

use std::collections::BTreeSet;

use crate::sim::tenant::errors;
use crate::sim::tenant::http::Answer;

/// Which part of Graph speaks; each has its own style.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Voice {
    /// Authentication methods.
    Methods,
    /// Conditional Access: codes stand before the sentence.
    Access,
    /// The directory.
    Directory,
}

macro_rules! reasons {
    ($($(#[$about:meta])* $name:ident = $word:literal, $number:literal);+ $(;)?) => {
        /// A reason.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub(super) enum Why { $($(#[$about])* $name),+ }

        impl Why {
            /// Every reason there is.
            #[cfg(test)]
            pub(super) const ALL: &'static [Self] = &[$(Self::$name),+];

            /// As `/sim/state` counts it.
            pub(super) fn word(self) -> &'static str {
                match self { $(Self::$name => $word),+ }
            }

            /// What Conditional Access puts before the sentence.
            fn number(self) -> u16 {
                match self { $(Self::$name => $number),+ }
            }
        }
    };
}

reasons! {
    /// The body is no JSON object, or isn't sent as one.
    NotJson = "not-json", 1007;
    /// A member the type doesn't have.
    UnknownMember = "unknown-member", 1007;
    /// A value of another type.
    WrongValue = "wrong-value", 1007;
    /// A word the enum doesn't have.
    UnknownWord = "unknown-word", 1007;
    /// Null where there must be a value.
    NullValue = "null-value", 1007;
    /// An abstract type without `@odata.type`.
    TypeMissing = "type-missing", 1007;
    /// An `@odata.type` that does not fit.
    WrongType = "wrong-type", 1007;
    /// A member only the service sets.
    ReadOnly = "read-only", 1001;
    /// Something that must be given isn't.
    Missing = "missing", 1032;
    /// The token lacks a permission, or the person a role.
    Forbidden = "forbidden", 0;
    /// No such object.
    NotThere = "not-there", 0;
    /// More than one request a second.
    Throttled = "throttled", 0;
    /// The tenant lacks the licence.
    Unlicensed = "unlicensed", 1039;
    /// `$select` where it isn't supported.
    SelectUnsupported = "select-unsupported", 0;
    /// A target that is no group of this tenant.
    NoSuchTarget = "no-such-target", 0;
    /// A number outside its bounds.
    OutOfBounds = "out-of-bounds", 0;
    /// An AAGUID that is none.
    BadAaguid = "bad-aaguid", 0;
    /// A profile is taken away while a target names it.
    ProfileInUse = "profile-in-use", 0;
    /// The default profile is taken away or renamed.
    DefaultProfile = "default-profile", 0;
    /// A profile's id that doesn't exist.
    NoSuchProfile = "no-such-profile", 0;
    /// More profiles than a tenant may have.
    TooManyProfiles = "too-many-profiles", 0;
    /// Attestation asked of synced passkeys.
    SyncedAttested = "synced-attested", 0;
    /// The older members say something else than the default profile.
    LegacyDisagrees = "legacy-disagrees", 0;
    /// More than 20 KB.
    PolicyTooLarge = "policy-too-large", 0;
    /// A campaign for several methods, or for passkeys while nobody may register one.
    BadCampaign = "bad-campaign", 0;
    /// A built-in strength can't be changed.
    BuiltIn = "built-in", 0;
    /// More strengths than a tenant may have.
    TooManyStrengths = "too-many-strengths", 0;
    /// A combination that is none, or none at all.
    BadCombination = "bad-combination", 0;
    /// The strength is demanded by a policy.
    StrengthInUse = "strength-in-use", 0;
    /// A country that is none, or none at all.
    BadCountry = "bad-country", 1051;
    /// An address range that is none, or none at all.
    BadRange = "bad-range", 1051;
    /// More locations or ranges than a tenant may have.
    TooManyLocations = "too-many-locations", 1051;
    /// A trusted location can't be deleted.
    LocationTrusted = "location-trusted", 1052;
    /// The location is named by a policy.
    LocationInUse = "location-in-use", 1053;
    /// The policy names something that is not there.
    NoSuchReference = "no-such-reference", 1040;
    /// Apps and user actions, or neither.
    BadTarget = "bad-target", 1032;
    /// Controls that don't go together, or none.
    BadControls = "bad-controls", 1032;
    /// A device's registration with more than MFA or a strength.
    BadDeviceRegistration = "bad-device-registration", 1032;
    /// More policies than a tenant may have.
    TooManyPolicies = "too-many-policies", 1043;
    /// Security defaults and Conditional Access exclude each other.
    SecurityDefaultsOn = "security-defaults-on", 1064;
}

/// A refusal: why, and the sentence.
#[derive(Debug, Clone)]
pub(super) struct Refused {
    pub(super) why: Why,
    pub(super) message: String,
}

impl Refused {
    pub(super) fn new(why: Why, message: impl Into<String>) -> Self {
        Self { why, message: message.into() }
    }

    /// For the one who asked.
    pub(super) fn answer(&self, voice: Voice) -> Answer {
        let (why, message) = (self.why, self.message.as_str());
        match (why, voice) {
            (Why::Forbidden, Voice::Methods) => errors::access_denied(),
            (Why::Forbidden, Voice::Directory) => errors::insufficient_privileges(),
            (Why::Forbidden, Voice::Access) => errors::graph(
                403,
                "AccessDenied",
                "You cannot perform the requested operation, required scopes are missing in the token.",
            ),
            (Why::Unlicensed, _) => errors::graph(403, "AccessDenied", format!("{}: {message}", why.number())),
            (Why::NotThere, Voice::Directory) => errors::graph(404, "Request_ResourceNotFound", message),
            (Why::NotThere, Voice::Access) => errors::graph(404, "NotFound", message),
            (Why::NotThere, Voice::Methods) => errors::graph(404, "resourceNotFound", message),
            (Why::Throttled, _) => errors::graph(429, "TooManyRequests", message),
            (_, Voice::Methods) => errors::graph(400, "badRequest", message),
            (_, Voice::Directory) => errors::graph(400, "Request_BadRequest", message),
            (_, Voice::Access) if why.number() == 0 => errors::graph(400, "BadRequest", message),
            // What does not fit the schema is not told in more words than these.
            (_, Voice::Access) if why.number() == 1007 => errors::graph(
                400,
                "BadRequest",
                format!("1007: The incoming object is null or does not match the schema of its type. {message}"),
            ),
            (_, Voice::Access) => errors::graph(400, "BadRequest", format!("{}: {message}", why.number())),
        }
    }
}

/// Which reasons were given so far.
pub(super) type Given = BTreeSet<&'static str>;
