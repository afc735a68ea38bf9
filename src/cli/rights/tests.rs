use super::*;
use crate::cli::tree;

/// Every command that does something, as it is typed.
pub(super) fn commands() -> Vec<String> {
    fn visit(command: &clap::Command, path: &str, found: &mut Vec<String>) {
        for sub in command.get_subcommands() {
            let path = if path.is_empty() { sub.get_name().to_owned() } else { format!("{path} {}", sub.get_name()) };
            // Some do something by themselves and have commands below.
            if sub.get_subcommands().next().is_none() || sub.get_positionals().next().is_some() {
                found.push(path.clone());
            }
            visit(sub, &path, found);
        }
    }
    let mut found = Vec::new();
    visit(&tree(), "", &mut found);
    found
}

#[test]
fn every_command_says_what_it_needs_of_a_tenant() {
    let unsaid: Vec<String> =
        commands().into_iter().filter(|command| of(command).is_none() && !is_offline(command)).collect();
    assert!(
        unsaid.is_empty(),
        "give these a row in src/cli/rights/table.rs, or a place in its list OFFLINE: {unsaid:?}"
    );
    assert!(table::TABLE.iter().all(|rights| !is_offline(rights.command)), "in both lists");
}

#[test]
fn the_page_is_the_table() {
    let commands = commands();
    let written = page(&|command| commands.iter().any(|known| known == command));
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/PERMISSIONS.md");
    if std::env::var_os("KEYBENCH_BLESS").is_some() {
        std::fs::write(path, &written).expect("written");
    }
    let there = std::fs::read_to_string(path).expect("docs/PERMISSIONS.md").replace("\r\n", "\n");
    assert_eq!(there, written, "KEYBENCH_BLESS=1 cargo test --lib cli::rights writes docs/PERMISSIONS.md anew");
}

#[test]
fn every_permission_has_its_id_and_every_role_its_name() {
    for rights in all() {
        assert!(!rights.scopes.is_empty(), "{}", rights.command);
        for scope in rights.scopes {
            let id = permission_id(scope, false).unwrap_or_else(|| panic!("{scope} has no id"));
            assert!(uuid::Uuid::try_parse(id).is_ok(), "{scope}");
            assert!(
                permission_id(scope, true).is_some_and(|id| uuid::Uuid::try_parse(id).is_ok())
                    || ["User.Read", "Policy.ReadWrite.DeviceConfiguration"].contains(scope)
            );
        }
        for role in rights.roles.iter().copied().flatten() {
            assert!(
                role.ends_with("Reader")
                    || role.ends_with("Administrator")
                    || role.ends_with("Operator")
                    || role.ends_with("Developer"),
                "{role}"
            );
        }
    }
}

/// `run` and `doctor` go by [`crate::graph::auth::PERMISSIONS`] too.
#[test]
fn a_run_asks_for_what_the_bench_is_said_to_need() {
    let run = of("run").expect("a row");
    assert_eq!(run.scopes, crate::graph::auth::PERMISSIONS);
}

/// The command as clap knows it.
fn described<'a>(tree: &'a clap::Command, command: &str) -> &'a clap::Command {
    command.split(' ').fold(tree, |at, name| at.find_subcommand(name).unwrap_or_else(|| panic!("no {command}")))
}

#[test]
fn every_command_that_writes_to_a_tenant_can_be_tried_first() {
    // The rights to register keys, and no writing; a run asks before each key, and `tenant check --roster` weighs all of it beforehand.
    const OTHERWISE: [&str; 2] = ["doctor", "run"];
    let tree = tree();
    let writes = |rights: &&Rights| {
        let write = |scope: &&str| scope.contains(".ReadWrite.") || scope.contains("Revoke");
        // The inventory can't be read with less.
        rights.scopes.iter().any(write) && !OTHERWISE.contains(&rights.command) && rights.command != "oath list"
    };
    let without: Vec<&str> = all()
        .filter(writes)
        .map(|rights| rights.command)
        .filter(|command| !described(&tree, command).get_arguments().any(|argument| argument.get_id() == "dry_run"))
        .collect();
    assert_eq!(without, Vec::<&str>::new(), "these need --dry-run");
}

#[test]
fn what_goes_by_beta_says_so_in_its_help() {
    let tree = tree();
    for rights in all().filter(|rights| rights.note.contains("Beta")) {
        let help = described(&tree, rights.command).clone().render_long_help().to_string();
        assert!(help.to_lowercase().contains("beta"), "{}", rights.command);
    }
}

#[test]
fn what_is_held_is_compared() {
    let held = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let run = of("run").expect("a row");
    assert_eq!(run.missing_scopes(&held(run.scopes)), Vec::<&str>::new());
    let wide = held(&["UserAuthenticationMethod.ReadWrite.All", "Directory.Read.All", "policy.read.all"]);
    assert_eq!(run.missing_scopes(&wide), Vec::<&str>::new());
    let read = held(&["UserAuthenticationMethod.Read.All", "Directory.Read.All", "Policy.Read.All"]);
    assert_eq!(run.missing_scopes(&read), ["UserAuthMethod-Passkey.ReadWrite.All"]);
    assert_eq!(run.missing_roles(&held(&["Authentication Administrator"])).len(), 1);
    assert_eq!(run.missing_roles(&held(&["Authentication Administrator", "Global Reader"])).len(), 0);
    assert_eq!(run.missing_roles(&held(&["Global Administrator"])).len(), 0);
    assert!(covers("Policy.ReadWrite.ConditionalAccess", "Policy.Read.ConditionalAccess"));
    assert!(!covers("User.Read", "User.Read.All"));
    assert_eq!(scopes_of([run, of("doctor").expect("a row")]).len(), run.scopes.len());
}
