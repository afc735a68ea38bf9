//! Names of groups and people in a file, and the ids they stand for.

use std::collections::BTreeMap;

use super::desired::Who;

/// A group or a person of the directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Object id, in lower case.
    pub id: String,
    /// As people know it.
    pub name: String,
}

/// What the directory said of the names in a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    groups: BTreeMap<String, Entry>,
    users: BTreeMap<String, Entry>,
}

impl Names {
    /// A group, by the text in the file.
    pub fn add_group(&mut self, text: &str, entry: Entry) {
        self.groups.insert(key(text), entry);
    }

    /// A person, by the text in the file.
    pub fn add_user(&mut self, text: &str, entry: Entry) {
        self.users.insert(key(text), entry);
    }

    /// Looks a group up by the text in the file.
    pub fn group(&self, text: &str) -> Option<&Entry> {
        self.groups.get(&key(text))
    }

    /// Looks a person up by the text in the file.
    pub fn user(&self, text: &str) -> Option<&Entry> {
        self.users.get(&key(text))
    }

    /// The id that a word stands for; `None` for `all` and `guests`, and for what was not found.
    pub fn id(&self, who: &Who) -> Option<&str> {
        match who {
            Who::All | Who::Guests => None,
            Who::User(text) => self.user(text).map(|entry| entry.id.as_str()),
            Who::Group(text) => self.group(text).map(|entry| entry.id.as_str()),
        }
    }

    /// What people call this id; the id itself where nobody was asked.
    pub fn of(&self, id: &str) -> String {
        let known = self.groups.values().chain(self.users.values()).find(|entry| entry.id.eq_ignore_ascii_case(id));
        match (known, id) {
            (Some(entry), _) => entry.name.clone(),
            (None, "all_users") => "everybody".to_owned(),
            (None, _) => id.to_owned(),
        }
    }

    /// What people call a directory role, by template id in lower case.
    pub fn role(&self, template: &str) -> String {
        crate::graph::roles::role_name(template).unwrap_or_else(|| "every member's own role".to_owned())
    }

    /// Groups that have a name here, each once.
    pub fn groups(&self) -> impl Iterator<Item = &Entry> {
        once_each(&self.groups)
    }

    /// People who have a name here, each once.
    pub fn users(&self) -> impl Iterator<Item = &Entry> {
        once_each(&self.users)
    }

    /// Whether this id has a name here.
    pub fn knows(&self, id: &str) -> bool {
        self.groups.values().chain(self.users.values()).any(|entry| entry.id.eq_ignore_ascii_case(id))
    }
}

fn once_each(all: &BTreeMap<String, Entry>) -> impl Iterator<Item = &Entry> {
    let by_id: BTreeMap<&str, &Entry> = all.values().map(|entry| (entry.id.as_str(), entry)).collect();
    by_id.into_values()
}

fn key(text: &str) -> String {
    text.trim().to_lowercase()
}
