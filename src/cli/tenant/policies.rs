//! A wanted state and a tenant brought together: what the commands about policies share.

use std::path::Path;

use crate::cli::at_tenant::AtTenant;
use crate::cli::{CliError, Context, Exit};
use crate::graph::ErrorKind;
use crate::ledger::Ledger;
use crate::model::{ChangeId, UserId};
use crate::platform::who;
use crate::tenant::apply::{ApplyError, Hand, Step};
use crate::tenant::circle::Circle;
use crate::tenant::current::Current;
use crate::tenant::desired::{BUILT_IN, Desired, Problem};
use crate::tenant::names::{Entry, Names};
use crate::tenant::people::People;
use crate::tenant::plan::{Effects, Plan, plan};
use crate::tenant::reach::{OverGraph, Reach as _};
use crate::tenant::read::{self, NamesError};
use crate::world::{Entropy as _, SystemEntropy};

/// Largest file that is read.
const MOST_BYTES: usize = 1 << 20;

/// A wanted state and the file it came from.
pub(super) struct File<'a> {
    pub(super) path: &'a Path,
    pub(super) desired: Desired,
}

impl<'a> File<'a> {
    /// Reads it.
    pub(super) fn read(path: &'a Path) -> Result<Self, CliError> {
        let unreadable = |why: String| {
            let fact = format!("{} can't be read.", path.display());
            CliError::new(Exit::Usage, "policy-file", fact, "check the name, and that it is UTF-8 text.").because(why)
        };
        let bytes = std::fs::read(path).map_err(|error| unreadable(error.to_string()))?;
        if bytes.len() > MOST_BYTES {
            return Err(unreadable(format!("It has {} bytes; no wanted state is that large.", bytes.len())));
        }
        let text = String::from_utf8(bytes).map_err(|error| unreadable(error.to_string()))?;
        let desired = Desired::read(text.trim_start_matches('\u{feff}')).map_err(|problems| wrong(path, &problems))?;
        Ok(Self { path, desired })
    }
}

/// Everything that is wrong with a file, a line each.
pub(super) fn wrong(path: &Path, problems: &[Problem]) -> CliError {
    let count = if problems.len() == 1 { "1 problem".to_owned() } else { format!("{} problems", problems.len()) };
    let fact = format!("{} has {count}; nothing was changed.", path.display());
    let mut error = CliError::new(
        Exit::Usage,
        "policy-file",
        fact,
        "correct these and run the same command again; docs/POLICY.md has every member.",
    );
    error.causes = problems.iter().map(|problem| format!("{}:{problem}", path.display())).collect();
    error
}

/// A plan with what it was made of.
pub(super) struct Planned {
    pub(super) plan: Plan,
    pub(super) names: Names,
    pub(super) current: Current,
}

/// What the commands about policies do beyond signing in.
impl AtTenant<'_> {
    /// The tenant's policies.
    pub(super) fn reach(&self) -> OverGraph<'_> {
        OverGraph { graph: &self.graph, clock: &*self.clock, cancel: self.cancel() }
    }

    /// Plans a file against the tenant as it is.
    pub(super) fn plan_file(
        &self,
        context: &Context<'_>,
        file: &File<'_>,
        more: &[String],
    ) -> Result<Planned, CliError> {
        let mut names = read::names(&self.graph, &file.desired).map_err(|error| match error {
            NamesError::Problems(problems) => wrong(file.path, &problems),
            NamesError::Graph(error) => error.into(),
        })?;
        let more = more.iter().map(|name| self.graph.find_group(name)).collect::<Result<Vec<_>, _>>()?;
        context.output.progress("Reading the tenant's policies, and what people can sign in with (Graph beta) …");
        let mut current = read::current(&self.reach(), &file.desired)?;
        let circle = Circle::of_file(&file.desired, &names, &more);
        let people = self.people_of(circle, &current)?;
        for person in &people.list {
            names.add_user(&person.id, Entry { id: person.id.clone(), name: person.name.clone() });
        }
        for (name, id) in BUILT_IN {
            names.add_group(id, Entry { id: id.to_owned(), name: format!("the built-in strength {name}") });
        }
        read::per_person(&self.reach(), &file.desired, &names, &people, &mut current)?;
        let mut plan =
            plan(&file.desired, &names, &current, &people).map_err(|problems| wrong(file.path, &problems))?;
        self.name_ids(&mut plan.effects, &current)?;
        Ok(Planned { plan, names, current })
    }

    /// The people of a circle and whoever is signed in, with what they can sign in with.
    pub(super) fn people_of(&self, circle: Circle, current: &Current) -> Result<People, CliError> {
        let used = if self.settings.ledger.path.exists() {
            read::key_users(&crate::cli::ledger::to_read(&self.settings)?)?
        } else {
            Default::default()
        };
        let circle = circle.and_caller(&self.graph, &self.graph.whoami()?)?;
        Ok(read::people(&self.graph, &circle, current, &used)?)
    }

    /// Says by name which groups and people of the tenant's own policies are meant: the file names none of them.
    pub(super) fn name_ids(&self, effects: &mut Effects, current: &Current) -> Result<(), CliError> {
        let (groups, users) = current.ids();
        for line in effects.uncounted.iter_mut().chain(&mut effects.cautions) {
            for id in groups.iter().filter(|id| line.contains(id.as_str())).cloned().collect::<Vec<_>>() {
                match self.graph.find_group(&id) {
                    Ok(group) => *line = line.replace(&id, &group.name),
                    Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Forbidden) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            let named: Vec<&String> = users.iter().filter(|id| line.contains(id.as_str())).collect();
            if named.is_empty() {
                continue;
            }
            match self.graph.find_users(&named) {
                Ok(found) => {
                    for (id, user) in named.iter().zip(found) {
                        if let Some(upn) = user.and_then(|user| user.upn) {
                            *line = line.replace(id.as_str(), &upn.to_string());
                        }
                    }
                }
                Err(error) if error.kind() == ErrorKind::Forbidden => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Who writes.
    pub(super) fn hand<'a>(
        &self,
        reach: &'a OverGraph<'a>,
        ledger: &'a dyn Ledger,
        break_glass: Vec<UserId>,
        watch: &'a dyn Fn(Step<'_>),
    ) -> Hand<'a> {
        Hand {
            reach,
            ledger,
            tenant: self.tenant.clone(),
            operator: who::operator(),
            account: self.account_id(),
            break_glass,
            watch,
        }
    }

    /// People that no policy may apply to: those named, and some of each group named.
    pub(super) fn break_glass(&self, desired: &Desired, names: &Names) -> Result<Vec<UserId>, CliError> {
        const OF_EACH: usize = 3;
        let mut found: Vec<UserId> = desired
            .break_glass
            .users
            .iter()
            .filter_map(|user| names.user(user))
            .map(|entry| UserId::new(entry.id.clone()))
            .collect();
        for group in &desired.break_glass.groups {
            if let Some(entry) = names.group(group) {
                found.extend(self.reach().members(&entry.id)?.into_iter().take(OF_EACH));
            }
        }
        Ok(found)
    }
}

/// Six characters that name one application or undoing, and nothing that is misread over a phone.
pub(super) fn new_change() -> Result<ChangeId, CliError> {
    const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    let mut bytes = [0u8; 6];
    SystemEntropy.fill(&mut bytes)?;
    // infallible: masked to 0..32
    Ok(ChangeId::new(bytes.iter().map(|byte| char::from(ALPHABET[usize::from(byte & 31)])).collect::<String>()))
}

impl From<ApplyError> for CliError {
    fn from(error: ApplyError) -> Self {
        let fact = crate::cli::error::sentence(&error.to_string());
        match error {
            ApplyError::Graph(error) => error.into(),
            ApplyError::Ledger(error) => error.into(),
            ApplyError::Moved { differences, .. } => {
                let next = "run the same command again: it plans anew from what is there now.";
                let mut shown = Self::new(Exit::Tenant, "tenant-changed", fact, next);
                shown.causes =
                    differences.iter().map(|one| format!("{}: {} → {}", one.path, one.old, one.new)).collect();
                shown
            }
            ApplyError::NotThere { change, .. } => {
                let next = "run the same command again in a few minutes: it reads first what came of it.";
                Self::new(Exit::Tenant, "not-shown", fact, next)
                    .because(format!("It stands in the ledger as {change}, and stays open until it was read."))
            }
            ApplyError::NoSuch { .. } => {
                Self::new(Exit::Tenant, "tenant-changed", fact, "run the same command again: it plans anew.")
            }
        }
    }
}
