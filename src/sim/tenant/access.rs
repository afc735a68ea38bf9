//! Who calls, and what they may do: the permissions of each call, and the roles a person needs for others.

use jiff::Timestamp;

use super::errors;
use super::http::{Answer, Call, Version};
use super::route::Who;
use super::store::{Person, Store};

/// Whoever holds a token.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    /// The signed-in person's object id; `None` for the application alone.
    pub(super) user: Option<String>,
    /// `scp` of a person's token, `roles` of the application's.
    pub(super) permissions: Vec<String>,
    /// The token's end.
    pub(super) expires: Timestamp,
    /// The token was taken back.
    pub(super) revoked: bool,
}

impl Caller {
    /// Whether one of these permissions was granted.
    pub(super) fn has(&self, permissions: &[&str]) -> bool {
        permissions.iter().any(|wanted| self.permissions.iter().any(|granted| granted.eq_ignore_ascii_case(wanted)))
    }
}

/// What a call does to passkeys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    /// List, get.
    Read,
    /// Creation options, register, delete.
    Write,
}

const PASSKEY_WRITE: [&str; 2] = ["UserAuthMethod-Passkey.ReadWrite.All", "UserAuthenticationMethod.ReadWrite.All"];
const PASSKEY_READ: [&str; 2] = ["UserAuthMethod-Passkey.Read.All", "UserAuthenticationMethod.Read.All"];
const SELF_WRITE: [&str; 2] = ["UserAuthMethod-Passkey.ReadWrite", "UserAuthenticationMethod.ReadWrite"];
const SELF_READ: [&str; 2] = ["UserAuthMethod-Passkey.Read", "UserAuthenticationMethod.Read"];

/// May read whole users.
pub(super) const USER_READ: [&str; 4] =
    ["User.Read.All", "User.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"];
/// May read names only.
pub(super) const USER_READ_BASIC: [&str; 1] = ["User.ReadBasic.All"];
/// May read groups and who is in them.
pub(super) const GROUP_READ: [&str; 5] = [
    "GroupMember.Read.All",
    "GroupMember.ReadBasic.All",
    "Group.Read.All",
    "Group.ReadWrite.All",
    "Directory.Read.All",
];
/// May read who holds a role.
pub(super) const ROLE_READ: [&str; 3] =
    ["RoleManagement.Read.Directory", "RoleManagement.ReadWrite.Directory", "Directory.Read.All"];

/// Roles whose holders an Authentication Administrator may manage (Entra, "Who can perform sensitive actions").
const MANAGEABLE: [&str; 8] = [
    "Authentication Administrator",
    "Directory Readers",
    "Guest Inviter",
    "Message Center Reader",
    "Password Administrator",
    "Reports Reader",
    "User Experience Success Manager",
    "Usage Summary Reports Reader",
];

/// Template ids of the roles that matter here.
pub(super) fn role_template(name: &str) -> Option<&'static str> {
    Some(match name {
        "Authentication Administrator" => "c4e39bd9-1100-46d3-8c65-fb160da0071f",
        "Privileged Authentication Administrator" => "7be44c8a-adaf-4e2a-84d6-ab2649e08a13",
        "Authentication Policy Administrator" => "0526716b-113d-4c15-b2c8-68e3c22b9f80",
        "Global Reader" => "f2ef992c-3afb-46b9-b7cf-a126ee74c451",
        "Global Administrator" => "62e90394-69f5-4237-9190-012177145e10",
        "Conditional Access Administrator" => "b1be1c3e-b65d-4f19-8427-f6fa0d97feb9",
        "Security Administrator" => "194ae4cb-b126-40b2-bd5b-6091b380977d",
        "Security Reader" => "5d6b6bb7-de71-4623-b4af-96380a352509",
        "Reports Reader" => "4a5d8f65-41da-4de4-8968-e035b65339cf",
        "User Administrator" => "fe930be7-5e62-47db-91af-98c3a49a38b1",
        "Groups Administrator" => "fdd7a751-b60b-444a-984c-02652fe8fa1c",
        "Privileged Role Administrator" => "e8611ab8-c189-46e8-94e1-60213ab1f814",
        "Cloud Device Administrator" => "7698a772-787b-4ac8-901f-60d6b08affd2",
        "Intune Administrator" => "3a2c62db-5318-420d-8d74-23affee5d9d5",
        "Directory Readers" => "88d8e3e3-8f55-4a1e-953a-9b9898b8876b",
        _ => return None,
    })
}

/// The caller behind a request's token.
///
/// # Errors
/// 401 as the gateway gives it.
pub(super) fn caller(store: &Store, call: &Call) -> Result<Caller, Answer> {
    let token = call.header("authorization").and_then(|value| value.split_once(' '));
    let Some((_, token)) = token.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")) else {
        return Err(errors::bad_token("Access token is empty."));
    };
    let caller =
        store.tokens.get(token.trim()).ok_or_else(|| errors::bad_token("IDX14100: JWT is not well formed."))?;
    if caller.revoked {
        return Err(errors::bad_token(
            "Continuous access evaluation resulted in challenge with result: InteractionRequired and code: TokenIssuedBeforeRevocationTimestamp",
        ));
    }
    if caller.expires <= store.now() {
        return Err(errors::bad_token("Lifetime validation failed, the token is expired."));
    }
    Ok(caller.clone())
}

/// Whether the caller may do this to this person's passkeys.
///
/// # Errors
/// 403, or 405 for a person acting on themselves on beta.
pub(super) fn passkeys(
    store: &Store,
    version: Version,
    caller: &Caller,
    who: &Who,
    target: &Person,
    act: Act,
) -> Result<(), Answer> {
    let own = caller.user.as_deref() == Some(target.id.as_str());
    if own && act == Act::Write && version == Version::Beta {
        return Err(errors::method_not_allowed());
    }
    let granted = caller.has(&PASSKEY_WRITE)
        || act == Act::Read && caller.has(&PASSKEY_READ)
        || own && caller.has(&SELF_WRITE)
        || own && act == Act::Read && caller.has(&SELF_READ);
    if !granted {
        return Err(errors::access_denied());
    }
    if caller.user.is_none() && *who == Who::Me {
        return Err(me_without_person());
    }
    if role_allows(store, caller, target, act) { Ok(()) } else { Err(errors::access_denied()) }
}

/// Whether the caller's role lets them do this to this person's methods.
pub(super) fn role_allows(store: &Store, caller: &Caller, target: &Person, act: Act) -> bool {
    // The application alone needs no role, and may act on anybody.
    let Some(user) = &caller.user else { return true };
    if *user == target.id {
        return true;
    }
    let roles = store.person(user).map(|person| person.roles.as_slice()).unwrap_or_default();
    let holds = |role: &str| roles.iter().any(|held| held == role);
    let all = holds("Privileged Authentication Administrator") || holds("Global Administrator");
    let some = holds("Authentication Administrator") && (act == Act::Read || !is_privileged(store, target));
    let read = act == Act::Read && holds("Global Reader");
    all || some || read
}

/// Whether only a Privileged Authentication Administrator may manage this person.
pub(super) fn is_privileged(store: &Store, person: &Person) -> bool {
    person.roles.iter().any(|role| !MANAGEABLE.contains(&role.as_str()))
        || store.all_groups_of(person).iter().any(|group| group.role_assignable)
}

/// `/me` with the application's own token.
pub(super) fn me_without_person() -> Answer {
    errors::graph(400, "BadRequest", "/me request is only valid with delegated authentication flow.")
}
