//! What each call needs: the permission, the role and the licence, as Microsoft's permission reference and pages say.
//!
//! A refusal names them, so that nobody has to look them up.

/// What a caller needs for a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rights {
    /// The least permissions; all of them.
    pub scopes: &'static [&'static str],
    /// For a signed-in person, one of these roles besides.
    pub roles: &'static [&'static str],
    /// Without which the tenant has no such thing.
    pub licence: Option<&'static str>,
}

const P1: Option<&str> = Some("Microsoft Entra ID P1");

/// Read the authentication methods policy.
pub const METHODS_READ: Rights = Rights {
    scopes: &["Policy.Read.AuthenticationMethod"],
    roles: &["Authentication Policy Administrator", "Global Reader"],
    licence: None,
};

/// Change the authentication methods policy.
pub const METHODS_WRITE: Rights = Rights {
    scopes: &["Policy.ReadWrite.AuthenticationMethod"],
    roles: &["Authentication Policy Administrator"],
    licence: None,
};

/// Read authentication strengths.
pub const STRENGTH_READ: Rights = Rights {
    scopes: &["Policy.Read.All"],
    roles: &["Conditional Access Administrator", "Security Reader", "Global Reader"],
    licence: P1,
};

/// Make and change authentication strengths.
pub const STRENGTH_WRITE: Rights = Rights {
    scopes: &["Policy.ReadWrite.ConditionalAccess", "Policy.Read.All"],
    roles: &["Conditional Access Administrator", "Security Administrator"],
    licence: P1,
};

/// Read Conditional Access: policies and named locations.
pub const ACCESS_READ: Rights = Rights {
    scopes: &["Policy.Read.All"],
    roles: &["Conditional Access Administrator", "Security Reader", "Global Reader"],
    licence: P1,
};

/// Make and change Conditional Access.
pub const ACCESS_WRITE: Rights = Rights {
    scopes: &["Policy.ReadWrite.ConditionalAccess", "Policy.Read.All", "Application.Read.All"],
    roles: &["Conditional Access Administrator", "Security Administrator"],
    licence: P1,
};

/// Make and change named locations.
pub const LOCATIONS_WRITE: Rights = Rights {
    scopes: &["Policy.ReadWrite.ConditionalAccess", "Policy.Read.All"],
    roles: &["Conditional Access Administrator", "Security Administrator"],
    licence: P1,
};

/// Ask what Conditional Access would do.
pub const WHAT_IF: Rights = Rights {
    scopes: &["Policy.Read.ConditionalAccess"],
    roles: &["Conditional Access Administrator", "Security Reader", "Global Reader"],
    licence: P1,
};

/// Read security defaults and the authorization policy.
pub const POLICY_READ: Rights =
    Rights { scopes: &["Policy.Read.All"], roles: &["Security Reader", "Global Reader"], licence: None };

/// Switch security defaults.
pub const DEFAULTS_WRITE: Rights = Rights {
    scopes: &["Policy.ReadWrite.SecurityDefaults", "Policy.Read.All"],
    roles: &["Conditional Access Administrator", "Security Administrator"],
    licence: None,
};

/// Read the device registration policy. As an application `Policy.Read.All` does not do.
pub const DEVICES_READ: Rights =
    Rights { scopes: &["Policy.Read.DeviceConfiguration"], roles: &["Global Reader"], licence: None };

/// Change the device registration policy.
pub const DEVICES_WRITE: Rights = Rights {
    scopes: &["Policy.ReadWrite.DeviceConfiguration"],
    roles: &["Cloud Device Administrator", "Intune Administrator"],
    licence: None,
};

/// Change the authorization policy.
pub const AUTHORIZATION_WRITE: Rights =
    Rights { scopes: &["Policy.ReadWrite.Authorization"], roles: &["Privileged Role Administrator"], licence: None };

/// Read a person's per-user MFA state.
pub const REQUIREMENTS_READ: Rights = Rights {
    scopes: &["Policy.Read.All"],
    roles: &["Authentication Policy Administrator", "Authentication Administrator", "Global Reader"],
    licence: None,
};

/// Change a person's per-user MFA state.
pub const REQUIREMENTS_WRITE: Rights = Rights {
    scopes: &["Policy.ReadWrite.AuthenticationMethod"],
    roles: &["Authentication Policy Administrator"],
    licence: None,
};

/// Read a person's sign-in preferences.
pub const PREFERENCES_READ: Rights = Rights {
    scopes: &["UserAuthenticationMethod.Read.All"],
    roles: &["Authentication Administrator", "Global Reader"],
    licence: None,
};

/// Change a person's sign-in preferences.
pub const PREFERENCES_WRITE: Rights = Rights {
    scopes: &["UserAuthenticationMethod.ReadWrite.All"],
    roles: &["Authentication Administrator", "Privileged Authentication Administrator"],
    licence: None,
};

/// Read what the tenant has bought, and who has it.
pub const LICENCES_READ: Rights =
    Rights { scopes: &["LicenseAssignment.Read.All"], roles: &["Directory Readers", "Global Reader"], licence: None };

/// Read the organization.
pub const ORGANIZATION_READ: Rights =
    Rights { scopes: &["Organization.Read.All"], roles: &["Directory Readers", "Global Reader"], licence: None };

/// Read the domains and how they sign in.
pub const DOMAINS_READ: Rights =
    Rights { scopes: &["Domain.Read.All"], roles: &["Domain Name Administrator", "Global Reader"], licence: None };

/// Read who holds a directory role.
pub const ROLES_READ: Rights = Rights {
    scopes: &["RoleManagement.Read.Directory"],
    roles: &["Directory Readers", "Global Reader"],
    licence: None,
};

/// What to look at when the content is refused, a constant for each area.
pub(super) mod look {
    /// For reads: nothing of the operator's is in the question.
    pub const REPORT: &str = "Run the same command again; if it stays, report it with the ids above.";
    /// Authentication methods.
    pub const METHODS: &str = "Read the policy again and compare: groups and people it names must exist, lengths and lifetimes must lie within \
              Microsoft's bounds, a passkey profile can't go while a target names it, synced passkeys can't be attested.";
    /// Authentication strengths.
    pub const STRENGTHS: &str = "Built-in strengths can't be changed, and one that a policy demands can't be deleted; a tenant has at most fifteen of \
              its own; every combination must be one that the tenant lists as legal.";
    /// Conditional Access policies.
    pub const ACCESS: &str = "People, groups, locations and strengths that it names must exist; it is about apps or about one user action; block \
              stands alone, and so do multifactor authentication and a strength; security defaults must be off.";
    /// Named locations.
    pub const LOCATIONS: &str = "Countries go by two capital letters; address ranges are public, in CIDR notation and smaller than /8; a trusted \
              location can't be deleted before it is unmarked, nor one that a policy names.";
    /// Security defaults.
    pub const DEFAULTS: &str =
        "Security defaults and enabled Conditional Access policies exclude each other: switch one of them off first.";
    /// What-if.
    pub const WHAT_IF: &str = "The person must exist, and country and address must be real ones.";
    /// Device registration.
    pub const DEVICES: &str = "The policy is replaced whole: read it again, change that, and send all of it.";
    /// The authorization policy.
    pub const AUTHORIZATION: &str = "Read the policy again and compare.";
    /// Per-user MFA.
    pub const REQUIREMENTS: &str = "The state is disabled, enabled or enforced.";
    /// Sign-in preferences.
    pub const PREFERENCES: &str =
        "Only push, oath, sms and the voice methods can be preferred; there is no word for a passkey.";
}
