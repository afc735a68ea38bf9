//! Which call a request is. Everything after this works on a `Route`, whether it came alone or inside a batch.

use serde::{Deserialize, Serialize};

use super::accounts::AccountCall;
use super::applications::AppCall;
use super::http::{Call, Version};
use super::insight::InsightCall;
use super::policies::{Act, Place};

/// The kind of a call: what fault rules name and `/sim/state` counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    /// `POST …/oauth2/v2.0/token`
    Token,
    /// `POST …/oauth2/v2.0/devicecode`
    DeviceCode,
    /// `GET …/oauth2/v2.0/authorize`
    Authorize,
    /// `POST /$batch`
    Batch,
    /// `GET /me`
    Me,
    /// `GET /users/{id}`
    User,
    /// `GET /users`
    Users,
    /// `GET /groups/{id}`
    Group,
    /// `GET /groups`
    Groups,
    /// `GET /groups/{id}/members` and `/transitiveMembers`
    Members,
    /// `GET /users/{id}/memberOf` and `/transitiveMemberOf`
    MemberOf,
    /// `POST /users/{id}/checkMemberGroups`
    CheckMemberGroups,
    /// `POST /users/{id}/getMemberGroups`
    GetMemberGroups,
    /// `GET …/fido2Methods/creationOptions`
    CreationOptions,
    /// `POST …/fido2Methods`
    Register,
    /// `GET …/fido2Methods`
    List,
    /// `GET …/fido2Methods/{id}`
    Get,
    /// `DELETE …/fido2Methods/{id}`
    Delete,
    /// `GET …/authentication/methods`
    Methods,
    /// `POST /users/{id}/revokeSignInSessions`
    RevokeSessions,
    /// `POST …/sendMail`
    SendMail,
    /// `GET /users/{id}/manager`
    Manager,
    /// `GET /policies/authenticationMethodsPolicy…`
    Policy,
    /// `PATCH` and `DELETE /policies/authenticationMethodsPolicy…`
    PolicyChange,
    /// `…/authenticationStrengthPolicies…`
    Strengths,
    /// `/identity/conditionalAccess/namedLocations…`
    NamedLocations,
    /// `/identity/conditionalAccess/policies…`
    ConditionalAccess,
    /// `POST /identity/conditionalAccess/evaluate`
    Evaluate,
    /// Security defaults, device registration, authorization.
    Settings,
    /// `/users/{id}/authentication/requirements`
    Requirements,
    /// `/users/{id}/authentication/signInPreferences`
    Preferences,
    /// `GET /users/{id}/licenseDetails`
    Licences,
    /// `GET /roleManagement/directory/roleAssignments`
    RoleAssignments,
    /// `GET …/temporaryAccessPassMethods`, all or one
    Passes,
    /// `POST …/temporaryAccessPassMethods`
    IssuePass,
    /// `DELETE …/temporaryAccessPassMethods/{id}`
    DeletePass,
    /// `DELETE …/{collection}/{id}` of phones, mail addresses, apps and devices
    DeleteMethod,
    /// Everything about hardware OATH tokens
    Oath,
    /// `POST /users`
    CreateUser,
    /// `PATCH /users/{id}`
    ChangeUser,
    /// `POST /users/{id}/assignLicense`
    AssignLicense,
    /// `GET /domains`
    Domains,
    /// `GET /subscribedSkus`
    Skus,
    /// `POST /groups`
    CreateGroup,
    /// `POST /groups/{id}/members/$ref`
    AddMember,
    /// `DELETE /groups/{id}/members/{id}/$ref`
    RemoveMember,
    /// `GET /organization`
    Organization,
    /// `GET /auditLogs/signIns`
    SignIns,
    /// `GET /auditLogs/directoryAudits`
    Audits,
    /// `GET /reports/authenticationMethods/userRegistrationDetails…`
    Registrations,
    /// `GET …/roleEligibilityScheduleInstances/…`
    EligibleRoles,
    /// `POST /applications` and `/servicePrincipals`
    Applications,
    /// Anything else.
    Other,
}

impl Kind {
    /// The name in fault rules and counts.
    pub fn name(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::DeviceCode => "deviceCode",
            Self::Authorize => "authorize",
            Self::Batch => "batch",
            Self::Me => "me",
            Self::User => "user",
            Self::Users => "users",
            Self::Group => "group",
            Self::Groups => "groups",
            Self::Members => "members",
            Self::MemberOf => "memberOf",
            Self::CheckMemberGroups => "checkMemberGroups",
            Self::GetMemberGroups => "getMemberGroups",
            Self::CreationOptions => "creationOptions",
            Self::Register => "register",
            Self::List => "list",
            Self::Get => "get",
            Self::Delete => "delete",
            Self::Methods => "methods",
            Self::RevokeSessions => "revokeSessions",
            Self::SendMail => "sendMail",
            Self::Manager => "manager",
            Self::Policy => "policy",
            Self::PolicyChange => "policyChange",
            Self::Strengths => "strengths",
            Self::NamedLocations => "namedLocations",
            Self::ConditionalAccess => "conditionalAccess",
            Self::Evaluate => "evaluate",
            Self::Settings => "settings",
            Self::Requirements => "requirements",
            Self::Preferences => "preferences",
            Self::Licences => "licences",
            Self::RoleAssignments => "roleAssignments",
            Self::Passes => "passes",
            Self::IssuePass => "issuePass",
            Self::DeletePass => "deletePass",
            Self::DeleteMethod => "deleteMethod",
            Self::Oath => "oath",
            Self::CreateUser => "createUser",
            Self::ChangeUser => "changeUser",
            Self::AssignLicense => "assignLicense",
            Self::Domains => "domains",
            Self::Skus => "skus",
            Self::CreateGroup => "createGroup",
            Self::AddMember => "addMember",
            Self::RemoveMember => "removeMember",
            Self::Organization => "organization",
            Self::SignIns => "signIns",
            Self::Audits => "audits",
            Self::Registrations => "registrations",
            Self::EligibleRoles => "eligibleRoles",
            Self::Applications => "applications",
            Self::Other => "other",
        }
    }
}

/// Which user a path names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Who {
    /// `/me`
    Me,
    /// `/users/{id or UPN}`
    Named(String),
}

impl Who {
    fn name(&self) -> Option<&str> {
        match self {
            Self::Named(name) => Some(name),
            Self::Me => None,
        }
    }
}

/// A call and what its path says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum GraphCall {
    Me,
    User(String),
    Users,
    Group(String),
    Groups,
    Members { group: String, transitive: bool, cast: Option<String> },
    MemberOf { who: Who, transitive: bool, cast: Option<String> },
    CheckMemberGroups(Who),
    GetMemberGroups(Who),
    CreationOptions { who: Who, minutes: Option<String> },
    Register(Who),
    List(Who),
    Get { who: Who, method: String },
    Delete { who: Who, method: String },
    Methods(Who),
    Setting(Place, Act),
    RevokeSessions(Who),
    SendMail(Who),
    Manager(Who),
    Account(AccountCall),
    Insight(InsightCall),
    App(AppCall),
    Batch,
}

/// Where a request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route {
    /// `{login}/{tenant}/oauth2/v2.0/…`
    Token(String),
    DeviceCode(String),
    Authorize(String),
    /// `{graph}/{version}/…`
    Graph(Version, GraphCall),
    /// The path exists, but not with this method.
    NotAllowed(Version),
    /// Graph, but no path we know.
    UnknownGraph(Version),
    /// `/sim/…`
    Control(String),
    Nowhere,
}

impl Route {
    /// Finds the route of a request.
    pub(super) fn of(call: &Call) -> Self {
        let path: Vec<String> = call.path.iter().flat_map(|segment| key_apart(segment)).collect();
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        let method = call.method.as_str();
        match path.as_slice() {
            ["sim", what] => Self::Control((*what).to_owned()),
            ["v1.0", rest @ ..] => Self::graph(Version::V1, method, rest),
            ["beta", rest @ ..] => Self::graph(Version::Beta, method, rest),
            [tenant, "oauth2", "v2.0", "token"] if method == "POST" => Self::Token((*tenant).to_owned()),
            [tenant, "oauth2", "v2.0", "devicecode"] if method == "POST" => Self::DeviceCode((*tenant).to_owned()),
            [tenant, "oauth2", "v2.0", "authorize"] if method == "GET" => Self::Authorize((*tenant).to_owned()),
            _ => Self::Nowhere,
        }
    }

    fn graph(version: Version, method: &str, path: &[&str]) -> Self {
        match graph_call(method, path, version) {
            Some(Ok(call)) => Self::Graph(version, call),
            Some(Err(WrongMethod)) => Self::NotAllowed(version),
            None => Self::UnknownGraph(version),
        }
    }

    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Token(_) => Kind::Token,
            Self::DeviceCode(_) => Kind::DeviceCode,
            Self::Authorize(_) => Kind::Authorize,
            Self::Graph(_, call) => call.kind(),
            Self::NotAllowed(_) | Self::UnknownGraph(_) | Self::Control(_) | Self::Nowhere => Kind::Other,
        }
    }

    /// The person the path names, if it names one.
    pub(super) fn person(&self) -> Option<&str> {
        let Self::Graph(_, call) = self else { return None };
        match call {
            GraphCall::User(name) => Some(name),
            GraphCall::MemberOf { who, .. }
            | GraphCall::CheckMemberGroups(who)
            | GraphCall::GetMemberGroups(who)
            | GraphCall::CreationOptions { who, .. }
            | GraphCall::Register(who)
            | GraphCall::List(who)
            | GraphCall::Get { who, .. }
            | GraphCall::Delete { who, .. }
            | GraphCall::RevokeSessions(who)
            | GraphCall::SendMail(who)
            | GraphCall::Manager(who)
            | GraphCall::Methods(who) => who.name(),
            GraphCall::Setting(place, _) => place.who()?.name(),
            GraphCall::Account(call) => call.person(),
            GraphCall::Insight(call) => call.person(),
            _ => None,
        }
    }
}

impl GraphCall {
    fn kind(&self) -> Kind {
        match self {
            Self::Me => Kind::Me,
            Self::User(_) => Kind::User,
            Self::Users => Kind::Users,
            Self::Group(_) => Kind::Group,
            Self::Groups => Kind::Groups,
            Self::Members { .. } => Kind::Members,
            Self::MemberOf { .. } => Kind::MemberOf,
            Self::CheckMemberGroups(_) => Kind::CheckMemberGroups,
            Self::GetMemberGroups(_) => Kind::GetMemberGroups,
            Self::CreationOptions { .. } => Kind::CreationOptions,
            Self::Register(_) => Kind::Register,
            Self::List(_) => Kind::List,
            Self::Get { .. } => Kind::Get,
            Self::Delete { .. } => Kind::Delete,
            Self::Methods(_) => Kind::Methods,
            Self::RevokeSessions(_) => Kind::RevokeSessions,
            Self::SendMail(_) => Kind::SendMail,
            Self::Manager(_) => Kind::Manager,
            Self::Setting(place, act) => place.kind(*act),
            Self::Account(call) => call.kind(),
            Self::Insight(call) => call.kind(),
            Self::App(call) => call.kind(),
            Self::Batch => Kind::Batch,
        }
    }
}

/// `users('a@b')` is OData's other way to write `users/a@b`; a UPN that begins with `$` needs it.
fn key_apart(segment: &str) -> Vec<String> {
    for set in ["users", "groups"] {
        let key =
            segment.strip_prefix(set).and_then(|rest| rest.strip_prefix("('")).and_then(|rest| rest.strip_suffix("')"));
        if let Some(key) = key {
            return vec![set.to_owned(), key.replace("''", "'")];
        }
    }
    vec![segment.to_owned()]
}

struct WrongMethod;

fn graph_call(method: &str, path: &[&str], version: Version) -> Option<Result<GraphCall, WrongMethod>> {
    // Graph's segments are matched without regard to case; ids keep theirs.
    let lower: Vec<String> = path.iter().map(|part| part.to_ascii_lowercase()).collect();
    let segments: Vec<&str> = lower.iter().map(String::as_str).collect();
    let at = |index: usize| path.get(index).map(|part| (*part).to_owned()).unwrap_or_default();
    if let Some(call) = AccountCall::of(method, &segments, path) {
        return Some(call.map(GraphCall::Account).ok_or(WrongMethod));
    }
    if let Some(call) = AppCall::of(method, &segments) {
        return Some(call.map(GraphCall::App).ok_or(WrongMethod));
    }
    if let Some(call) = InsightCall::of(method, &segments, path) {
        return Some(call.map(GraphCall::Insight).ok_or(WrongMethod));
    }
    let (who, rest) = match segments.as_slice() {
        ["me", rest @ ..] if !rest.is_empty() => (Some(Who::Me), rest),
        ["users", _, rest @ ..] if !rest.is_empty() => (Some(Who::Named(at(1))), rest),
        _ => (None, &[][..]),
    };
    let place = match &who {
        Some(who) => Place::of_person(rest, who, version == Version::Beta),
        None => Place::of(&segments, path),
    };
    if let Some(place) = place {
        let act = place.act(method);
        return Some(act.map(|act| GraphCall::Setting(place, act)).ok_or(WrongMethod));
    }
    let (wanted, call) = if let Some(who) = who {
        person_call(method, who, rest, path)?
    } else {
        match segments.as_slice() {
            ["me"] => ("GET", GraphCall::Me),
            ["users"] => ("GET", GraphCall::Users),
            ["users", _] => ("GET", GraphCall::User(at(1))),
            ["groups"] => ("GET", GraphCall::Groups),
            ["groups", _] => ("GET", GraphCall::Group(at(1))),
            ["groups", _, list @ ("members" | "transitivemembers"), cast @ ..] if cast.len() <= 1 => {
                let cast = cast.first().map(|cast| (*cast).to_owned());
                ("GET", GraphCall::Members { group: at(1), transitive: *list == "transitivemembers", cast })
            }
            ["$batch"] => ("POST", GraphCall::Batch),
            _ => return None,
        }
    };
    Some(if method == wanted { Ok(call) } else { Err(WrongMethod) })
}

fn person_call(method: &str, who: Who, rest: &[&str], path: &[&str]) -> Option<(&'static str, GraphCall)> {
    // The last segment as it was written: a method id's case counts.
    let last = || path.last().map(|part| (*part).to_owned()).unwrap_or_default();
    Some(match rest {
        ["authentication", "methods"] => ("GET", GraphCall::Methods(who)),
        ["authentication", "fido2methods"] if method == "POST" => ("POST", GraphCall::Register(who)),
        ["authentication", "fido2methods"] => ("GET", GraphCall::List(who)),
        ["authentication", "fido2methods", "creationoptions"] => {
            ("GET", GraphCall::CreationOptions { who, minutes: None })
        }
        ["authentication", "fido2methods", function] if function.starts_with("creationoptions(") => {
            let minutes = function
                .strip_prefix("creationoptions(")
                .and_then(|rest| rest.strip_suffix(')'))
                .map(|inside| inside.strip_prefix("challengetimeoutinminutes=").unwrap_or(inside).to_owned());
            ("GET", GraphCall::CreationOptions { who, minutes: Some(minutes.unwrap_or_default()) })
        }
        ["authentication", "fido2methods", _] if method == "DELETE" => {
            ("DELETE", GraphCall::Delete { who, method: last() })
        }
        ["authentication", "fido2methods", _] => ("GET", GraphCall::Get { who, method: last() }),
        ["revokesigninsessions"] => ("POST", GraphCall::RevokeSessions(who)),
        ["sendmail" | "microsoft.graph.sendmail"] => ("POST", GraphCall::SendMail(who)),
        ["manager"] => ("GET", GraphCall::Manager(who)),
        ["checkmembergroups"] => ("POST", GraphCall::CheckMemberGroups(who)),
        ["getmembergroups"] => ("POST", GraphCall::GetMemberGroups(who)),
        [list @ ("memberof" | "transitivememberof"), cast @ ..] if cast.len() <= 1 => {
            let cast = cast.first().map(|cast| (*cast).to_owned());
            ("GET", GraphCall::MemberOf { who, transitive: *list == "transitivememberof", cast })
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use axum::body::Bytes;
    use axum::http::HeaderMap;

    use super::*;

    fn route(method: &str, target: &str) -> Route {
        Route::of(&Call::new(method, target, HeaderMap::new(), Bytes::new()))
    }

    #[test]
    fn calls_are_told_apart() {
        let kind = |method: &str, target: &str| route(method, target).kind().name();
        assert_eq!(kind("POST", "/t/oauth2/v2.0/token"), "token");
        assert_eq!(kind("GET", "/v1.0/users/a%40b/authentication/fido2Methods"), "list");
        assert_eq!(kind("POST", "/v1.0/users/a%40b/authentication/fido2Methods"), "register");
        assert_eq!(kind("GET", "/beta/users/a/authentication/fido2Methods/creationOptions"), "creationOptions");
        assert_eq!(kind("DELETE", "/v1.0/users/a/authentication/fido2Methods/Xy1"), "delete");
        assert_eq!(kind("GET", "/v1.0/groups/g/transitiveMembers/microsoft.graph.user"), "members");
        assert_eq!(kind("POST", "/v1.0/$batch"), "batch");
        let quoted = route("GET", "/v1.0/users('%24cash%40o%27%27x')");
        assert_eq!(quoted, Route::Graph(Version::V1, GraphCall::User("$cash@o'x".into())));
        assert_eq!(route("PATCH", "/v1.0/users/a/authentication/fido2Methods/Xy1"), Route::NotAllowed(Version::V1));
        assert_eq!(route("GET", "/v2.0/users"), Route::Nowhere);
    }

    #[test]
    fn ids_keep_their_case_and_the_function_its_argument() {
        let Route::Graph(_, GraphCall::Get { method, .. }) =
            route("GET", "/v1.0/users/a/authentication/fido2Methods/XyZ_1")
        else {
            panic!("a get");
        };
        assert_eq!(method, "XyZ_1");
        let with_minutes =
            route("GET", "/beta/users/a/authentication/fido2Methods/creationOptions(challengeTimeoutInMinutes=60)");
        let Route::Graph(_, GraphCall::CreationOptions { minutes, .. }) = with_minutes else {
            panic!("creation options")
        };
        assert_eq!(minutes.as_deref(), Some("60"));
    }

    #[test]
    fn names_are_those_of_the_rules() {
        for kind in [Kind::Token, Kind::CreationOptions, Kind::CheckMemberGroups, Kind::MemberOf, Kind::Other] {
            assert_eq!(serde_json::to_value(kind).expect("serializes"), kind.name());
        }
    }
}
