//! Whom a change of the tenant is looked at for: the people of the groups that it names, and whoever is signed in.

use std::collections::BTreeMap;

use super::desired::{Desired, Named};
use super::names::Names;
use crate::graph::{Account, Graph, GraphError, Group};
use crate::model::UserId;

/// Groups and people, by id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Circle {
    /// Everybody in these.
    pub groups: BTreeMap<String, Group>,
    /// These by themselves, with what people call them.
    pub single: BTreeMap<UserId, String>,
    /// Who is signed in, where that is a person of this tenant.
    pub caller: Option<UserId>,
}

impl Circle {
    /// Whom a file names, break-glass accounts too: no policy is for them, but what narrows a method may lock them out.
    pub fn of_file(desired: &Desired, names: &Names, more: &[Group]) -> Self {
        let mut circle = Self::default();
        circle.groups.extend(more.iter().map(|group| (group.id.clone(), group.clone())));
        for named in desired.named() {
            match named {
                Named::Group(_, text) => {
                    if let Some(entry) = names.group(text) {
                        circle.group(&entry.id, &entry.name);
                    }
                }
                Named::User(_, text) => {
                    if let Some(entry) = names.user(text) {
                        circle.single.insert(UserId::new(entry.id.clone()), entry.name.clone());
                    }
                }
            }
        }
        circle
    }

    /// Everybody and every group with a name.
    pub fn of_names(names: &Names, more: &[Group]) -> Self {
        let mut circle = Self::default();
        circle.groups.extend(more.iter().map(|group| (group.id.clone(), group.clone())));
        names.groups().for_each(|entry| circle.group(&entry.id, &entry.name));
        circle.single.extend(names.users().map(|entry| (UserId::new(entry.id.clone()), entry.name.clone())));
        circle
    }

    fn group(&mut self, id: &str, name: &str) {
        self.groups.insert(id.to_owned(), Group { id: id.to_owned(), name: name.to_owned() });
    }

    /// And whoever is signed in. An application has no methods, and a partner's administrator is nobody of this tenant.
    ///
    /// # Errors
    /// When the directory can't be asked.
    pub fn and_caller(mut self, graph: &Graph, account: &Account) -> Result<Self, GraphError> {
        let Some(id) = account.object_id.as_ref().filter(|_| !account.app_only) else { return Ok(self) };
        if let Some(user) = graph.find_user(id.as_str())? {
            let id = UserId::new(user.id.as_str().to_ascii_lowercase());
            let name = user.upn.as_ref().map_or_else(|| user.id.to_string(), ToString::to_string);
            self.single.insert(id.clone(), name);
            self.caller = Some(id);
        }
        Ok(self)
    }
}
