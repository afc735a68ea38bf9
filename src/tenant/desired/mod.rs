//! The wanted state of a tenant, as a file says it. `docs/POLICY.md` has every member.
//!
//! Promise: what a file does not speak of is left as it is. Names of groups are kept as written and looked up later
//! ([`Desired::named`]); everything that can be known from the file alone is checked here, all of it at once.

mod access;
mod methods;
mod table;

use std::net::IpAddr;

use toml::de::DeTable;

pub use access::{Access, BUILT_IN, Demand, Doing, Location, LocationKind, Strength, Wanted};
pub use methods::{
    Authenticator, Campaign, Fido2, Keys, Managed, Mode, Pass, PerPerson, Plain, Profile, Scope, Simple, Switch,
};
pub use table::{At, Place, Problem};

use self::table::{Notes, Table};

/// A word that stands for somebody: `all`, `guests`, `user:ID-or-UPN`, or a group by name or id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Who {
    /// Everybody.
    All,
    /// Guests and external users; in Conditional Access only.
    Guests,
    /// One person, by object id or UPN.
    User(String),
    /// A group, by object id or display name.
    Group(String),
}

impl Who {
    /// Reads what a file says.
    pub fn read(text: &str) -> Self {
        match text {
            "all" => Self::All,
            "guests" => Self::Guests,
            _ => match text.strip_prefix("user:") {
                Some(user) => Self::User(user.trim().to_owned()),
                None => Self::Group(text.to_owned()),
            },
        }
    }
}

/// Accounts that no policy of ours may ever apply to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BreakGlass {
    /// By object id or UPN.
    pub users: Vec<At<String>>,
    /// By object id or display name.
    pub groups: Vec<At<String>>,
}

impl BreakGlass {
    /// Whether nobody is named.
    pub fn is_empty(&self) -> bool {
        self.users.is_empty() && self.groups.is_empty()
    }
}

/// The wanted state. `None` and empty lists: not spoken of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Desired {
    /// Who is spared by every Conditional Access policy written here.
    pub break_glass: BreakGlass,
    /// Passkeys.
    pub fido2: Option<Fido2>,
    /// Temporary Access Passes.
    pub pass: Option<Pass>,
    /// Microsoft Authenticator.
    pub authenticator: Option<Authenticator>,
    /// Methods with nothing but a switch and a scope.
    pub plain: Vec<Plain>,
    /// The registration campaign.
    pub campaign: Option<Campaign>,
    /// System-preferred sign-in.
    pub system_preferred: Option<Switch>,
    /// Authentication strengths of the tenant's own.
    pub strengths: Vec<Strength>,
    /// Named locations.
    pub locations: Vec<Location>,
    /// Conditional Access policies.
    pub access: Vec<Access>,
    /// What is set person by person.
    pub per_person: Option<PerPerson>,
    /// Security defaults.
    pub security_defaults: Option<At<bool>>,
    /// Whether joining a device needs MFA by the tenant-wide switch.
    pub device_join_mfa: Option<At<bool>>,
}

/// A name in the file that the directory has to be asked for.
#[derive(Debug, Clone, Copy)]
pub enum Named<'d> {
    /// A group.
    Group(&'d At<String>, &'d str),
    /// A person.
    User(&'d At<String>, &'d str),
}

impl Desired {
    /// Reads a file.
    ///
    /// # Errors
    /// Everything that is wrong with it, in the order of the file; never empty.
    pub fn read(text: &str) -> Result<Self, Vec<Problem>> {
        let notes = Notes::new(text);
        let (members, errors) = DeTable::parse_recoverable(text);
        for error in errors {
            let place = error.span().map_or(Place { line: 1, column: 1 }, |span| notes.place(&span));
            notes.note(place, "", format!("this is not TOML: {}", error.message()));
        }
        let members = members.into_inner();
        let read = Self::of(Table::root(&notes, &members));
        let problems = notes.into_problems();
        if problems.is_empty() { Ok(read) } else { Err(problems) }
    }

    fn of(root: Table<'_, '_>) -> Self {
        let mut read = Self::default();
        if let Some(table) = root.table("break_glass") {
            read.break_glass = BreakGlass {
                users: table.texts("users").unwrap_or_default(),
                groups: table.texts("groups").unwrap_or_default(),
            };
            table.finish();
        }
        read.fido2 = root.table("fido2").map(methods::fido2);
        read.pass = root.table("temporary_access_pass").map(methods::pass);
        read.authenticator = root.table("authenticator").map(methods::authenticator);
        for method in Simple::ALL {
            read.plain.extend(root.table(method.section()).map(|table| methods::plain(method, table)));
        }
        read.campaign = root.table("registration_campaign").map(methods::campaign);
        read.system_preferred = root.table("system_preferred").map(methods::switch);
        read.per_person = root.table("per_person").map(methods::per_person);
        read.locations = access::locations(root.tables("location"));
        read.strengths = access::strengths(root.tables("strength"));
        read.access = access::policies(root.tables("conditional_access"), &read);
        read.security_defaults = root.boolean("security_defaults");
        read.device_join_mfa = root.boolean("device_join_mfa");
        root.finish();
        read
    }

    /// Whether the file speaks of nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self { break_glass: self.break_glass.clone(), ..Self::default() }
    }

    /// All names of groups and people in it, with repetitions.
    pub fn named(&self) -> Vec<Named<'_>> {
        let mut found = Vec::new();
        found.extend(self.break_glass.users.iter().map(|user| Named::User(user, user.as_str())));
        found.extend(self.break_glass.groups.iter().map(|group| Named::Group(group, group.as_str())));
        for word in self.lists().into_iter().flatten() {
            match word.value.as_str() {
                "all" | "guests" => {}
                text => found.push(match text.strip_prefix("user:") {
                    Some(user) => Named::User(word, user.trim()),
                    None => Named::Group(word, text),
                }),
            }
        }
        found
    }

    fn lists(&self) -> Vec<&[At<String>]> {
        fn given(list: &Option<Vec<At<String>>>) -> &[At<String>] {
            list.as_deref().unwrap_or_default()
        }
        let mut lists: Vec<&[At<String>]> = Vec::new();
        let scopes = self
            .fido2
            .iter()
            .map(|it| &it.scope)
            .chain(self.pass.iter().map(|it| &it.scope))
            .chain(self.authenticator.iter().map(|it| &it.scope))
            .chain(self.plain.iter().map(|it| &it.scope))
            .chain(self.campaign.iter().map(|it| &it.scope))
            .chain(self.system_preferred.iter().map(|it| &it.scope));
        for scope in scopes {
            lists.extend([given(&scope.include), given(&scope.exclude)]);
        }
        for profile in self.fido2.iter().flat_map(|it| &it.profiles) {
            lists.push(given(&profile.audience));
        }
        for policy in &self.access {
            lists.extend([policy.include.as_slice(), given(&policy.exclude)]);
        }
        lists.extend(self.per_person.iter().map(|it| it.people.as_slice()));
        lists
    }
}

/// The first address of a range in CIDR notation, and its prefix; `None` when it is none.
pub(crate) fn cidr(text: &str) -> Option<(IpAddr, u8)> {
    let (address, prefix) = text.split_once('/')?;
    let address: IpAddr = address.parse().ok()?;
    let prefix: u8 = prefix.parse().ok()?;
    (prefix <= if address.is_ipv4() { 32 } else { 128 }).then_some((address, prefix))
}

#[cfg(test)]
mod tests;
