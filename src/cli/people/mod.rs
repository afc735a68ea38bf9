//! `keybench people`: users and groups to begin with.

mod create;
mod group;
#[cfg(all(test, feature = "sim"))]
mod tests;

use clap::Subcommand;

use super::{CliError, Context, Exit};

/// `keybench people …`
#[derive(Debug, Subcommand)]
pub enum PeopleCommand {
    /// Make users with a password that nobody keeps
    ///
    /// Everything is checked before the first account is made. Run it again as often as you like: who is there already is left as
    /// they are, and only a licence or a group that is missing is added.
    Create(create::CreateArgs),
    /// Groups: pilot, self-service password reset, onboarding
    #[command(subcommand)]
    Group(group::GroupCommand),
}

pub(super) fn run(context: &Context<'_>, command: &PeopleCommand) -> Result<Exit, CliError> {
    match command {
        PeopleCommand::Create(args) => create::run(context, args),
        PeopleCommand::Group(command) => group::run(context, command),
    }
}

/// A group whose members are put in by hand, and which gives nobody a role.
fn plain_group(at: &super::at_tenant::AtTenant, name: &str) -> Result<crate::graph::Group, CliError> {
    let facts = at.graph.group_facts(name)?;
    let refuse = |why: &str, next: &str| {
        let fact = format!("The members of the group {} can't be changed here: {why}.", facts.group.name);
        CliError::new(Exit::Usage, "group-not-plain", fact, next).because("Nothing was changed.")
    };
    if facts.dynamic {
        return Err(refuse("a rule makes them", "change the rule in the Entra admin centre, or take another group."));
    }
    if facts.synced {
        return Err(refuse("it comes from an on-premises directory", "change them there."));
    }
    if facts.role_assignable {
        let next = "do it in the Entra admin centre: it may give somebody an admin role.";
        return Err(refuse("roles can be assigned to it", next));
    }
    Ok(facts.group)
}
