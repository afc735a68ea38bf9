//! WHAT THE OPERATOR TYPES: one subcommand per file. Nothing else in the program prints.

pub mod addresses;
#[cfg(all(test, unix, feature = "sim"))]
mod answers_tests;
mod at_tenant;
pub mod audit;
mod batch;
mod causes;
pub mod codes;
pub mod completions;
pub mod config;
pub mod connect;
pub mod custodian;
pub mod custody;
pub mod error;
pub mod escrow;
pub mod events;
pub mod exit;
pub mod export;
pub mod handover;
#[cfg(all(test, unix, feature = "sim"))]
mod handover_tests;
mod heads;
pub mod interrupt;
pub mod key;
pub mod labels;
pub mod ledger;
#[cfg(all(test, unix))]
mod ledger_tests;
pub mod letters;
pub mod live;
pub mod login;
pub mod man;
pub mod methods;
pub mod notify;
#[cfg(all(test, unix, feature = "sim"))]
mod notify_tests;
pub mod oath;
pub mod output;
pub mod parcel;
pub mod people;
pub mod prompt;
pub mod reconcile;
pub mod record;
pub mod report;
pub mod rights;
pub mod run;
#[cfg(all(test, feature = "sim"))]
mod schema_tests;
mod screen;
pub mod show;
pub mod sign_ins;
#[cfg(feature = "sim")]
pub mod sim;
#[cfg(feature = "sim")]
pub mod sim_key;
pub mod status;
pub mod stock;
mod story;
pub mod tap;
pub mod tenant;
#[cfg(test)]
mod testing;

#[cfg(feature = "sim")]
pub mod demo;
pub mod doctor;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{ArgAction, Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::config::{Overrides, Settings, Sources};
use crate::logging::{self, LoggingError};

pub use error::CliError;
pub use exit::Exit;
pub use output::{Level, Output, Style};

/// The provisioning bench for FIDO2 security keys in Microsoft Entra ID.
///
/// Plug new keys into a hub; keybench sets each key's PIN, registers the user's passkey in Entra, proves that it works,
/// and keeps the PIN sealed for its custodian.
#[derive(Debug, Parser)]
#[command(
    name = "keybench",
    version,
    max_term_width = 100,
    propagate_version = false,
    disable_help_subcommand = true,
    after_long_help = "Examples:
  keybench demo                      the whole job on simulated keys, in seconds
  keybench config init               write a settings file to fill in
  keybench doctor                    check keys, tenant and settings
  keybench run people.csv            provision; the same command resumes
  keybench status                    how far everybody is

Exit codes: 0 done, 1 some failed or refused, 2 usage or settings, 3 tenant or network, 4 keys,
5 ledger, 70 a fault of keybench, 130 interrupted and parked; tenant check: 10 warnings, 20 fails,
30 unknown. docs/ERRORS.md explains every code."
)]
pub struct Cli {
    /// Options that every command takes.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options that every command takes.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Options of every command")]
pub struct Global {
    /// Settings file [else $KEYBENCH_CONFIG, else the system's place for settings]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print JSON Lines on stdout; docs/schema describes every line of every command
    #[arg(long, global = true)]
    pub json: bool,
    /// Say more on stderr; twice: every step
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub verbose: u8,
    /// No colours (as NO_COLOR=1 does)
    #[arg(long, global = true)]
    pub no_color: bool,
    /// Which command was typed, e.g. `ledger verify`: [`rights`] are looked up by it.
    #[arg(skip)]
    pub command: String,
}

/// The commands, in the order in which a newcomer meets them.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Provision simulated keys against a simulated tenant, to see how it goes
    ///
    /// Twelve people, four ports of simulated keys, and a simulated tenant over real HTTP. On the way it meets a key that
    /// already has a PIN, a throttled call, a slow touch, a key pulled half-way, and a guest.
    #[cfg(feature = "sim")]
    Demo(demo::DemoArgs),
    /// Make a settings file
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Check settings, tenant, keys and ledger; change nothing
    ///
    /// Everything that can be known before the first touch: settings, rights to open keys, the keys in the ports, the ledger,
    /// the clock, signing in, permissions, and what the tenant's passkey policy allows.
    Doctor(doctor::DoctorArgs),
    /// Sign in once, for the commands that follow
    ///
    /// Keeps the sign-in in the system's keyring, so that the next commands need no person at the browser.
    Login(login::LoginArgs),
    /// Remove the kept sign-in
    Logout(login::LogoutArgs),
    /// Who is signed in: account, permissions, roles, tenant, clock
    Whoami(login::WhoamiArgs),
    /// Provision keys for the people of a roster or a group; also resumes
    ///
    /// Checks every person first, then provisions one key after another, on as many ports as there are. Stop it when you
    /// like: the same command goes on where it stopped, and counts what is finished.
    Run(run::RunArgs),
    /// How far everybody is
    ///
    /// Reads the ledger only; works beside a running bench.
    Status(status::StatusArgs),
    /// The whole story of one job, key or person
    ///
    /// Everything the ledger knows of it, in order and in words. Reads the ledger only; works beside a running bench.
    Show(show::ShowArgs),
    /// The tenant's policies around the keys: read, plan, apply, undo
    #[command(subcommand)]
    Tenant(tenant::TenantCommand),
    /// Make users and groups, and put people into groups
    #[command(subcommand)]
    People(people::PeopleCommand),
    /// Temporary Access Passes: issue, list, delete
    #[command(subcommand)]
    Tap(tap::TapCommand),
    /// Everything a person can sign in with
    Methods(methods::MethodsArgs),
    /// Hardware one-time-code tokens (Graph beta): import, assign, activate
    #[command(subcommand)]
    Oath(oath::OathCommand),
    /// Look at the keys in the ports, or wipe one
    #[command(subcommand)]
    Key(key::KeyCommand),
    /// Write down a conversation with a key, secrets blanked, to be played back elsewhere
    ///
    /// For reporting what a key does: its maker's firmware can then be tried where the key is not. The file holds no PIN and no
    /// token, and is played back before the command ends.
    Record(record::RecordArgs),
    /// For PIN custodians: make an identity, open a PIN
    #[command(subcommand)]
    Escrow(escrow::EscrowCommand),
    /// Print PIN letters, once each
    #[command(subcommand)]
    Letters(letters::LettersCommand),
    /// Print labels for keys and parcels
    #[command(subcommand)]
    Labels(labels::LabelsCommand),
    /// Where parcels and letters go
    #[command(subcommand)]
    Addresses(addresses::AddressesCommand),
    /// Who can open PINs: list, add, replace
    #[command(subcommand)]
    Custodian(custodian::CustodianCommand),
    /// Work on sealed PINs away from the bench: signed bundles and logs
    #[command(subcommand)]
    Custody(custody::CustodyCommand),
    /// The packing table: key and parcel are compared
    ///
    /// Scan a key's label, then its parcel's, then the carrier's number. What doesn't belong together stops loudly.
    Pack(parcel::pack::PackArgs),
    /// A parcel arrived, and the right person holds its key
    #[command(subcommand)]
    Receipt(parcel::receipt::ReceiptCommand),
    /// Register a held key, once its person holds it (beta)
    ///
    /// After receipt and a verified person, not by whoever packed the key, and before its PIN is released.
    Activate(parcel::activate::ActivateArgs),
    /// Hand a PIN over, after receipt
    ///
    /// Not by whoever packed the key, and not a letter that lay too long.
    Release(parcel::release::ReleaseArgs),
    /// Tell people that a key was bound to their account, and how to object
    ///
    /// By mail or as text, in the person's language, once a key. Never with a PIN.
    Notify(notify::NotifyArgs),
    /// Blank keys and tokens for people who register them themselves
    #[command(subcommand)]
    Handover(handover::HandoverCommand),
    /// A key is lost: it opens nothing any more, and the person gets another
    Lost(parcel::gone::LostArgs),
    /// A key is replaced: it opens nothing any more, and the person gets another
    Replace(parcel::gone::ReplaceArgs),
    /// A key came back: whose was it, out of the tenant, wiped, back to stock
    Return(parcel::gone::ReturnArgs),
    /// A person left: none of their keys opens anything any more
    Leaver(parcel::gone::LeaverArgs),
    /// Ledger and tenant side by side: every difference, and the command that settles it
    Reconcile(reconcile::ReconcileArgs),
    /// What keys there are, and which a supplier sent
    #[command(subcommand)]
    Stock(stock::StockCommand),
    /// For auditors: the chain as rows, and its check; also against Entra's own log
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Write lists for shipping and for auditors; never a PIN
    #[command(subcommand)]
    Export(export::ExportCommand),
    /// What the tenant's sign-in log tells of people with new keys (beta)
    ///
    /// Which method was used, when, where it failed and why. The first use of a key that was provisioned here goes into the
    /// ledger: the key is activated then.
    SignIns(sign_ins::SignInsArgs),
    /// Reports for those who don't sit at the bench
    #[command(subcommand)]
    Report(report::ReportCommand),
    /// Verify the ledger, or rebuild it from its mirror
    #[command(subcommand)]
    Ledger(ledger::LedgerCommand),
    /// Simulated parts on their own
    #[cfg(feature = "sim")]
    #[command(subcommand)]
    Sim(sim::SimCommand),
    /// Print a completion script for a shell
    Completions(completions::CompletionsArgs),
    /// Print the manual, or write every page of it
    Man(man::ManArgs),
}

/// What a command works with.
pub struct Context<'a> {
    /// The options of every command.
    pub global: &'a Global,
    /// Where to print.
    pub output: &'a Output,
    /// The environment.
    pub environment: &'a dyn Fn(&str) -> Option<String>,
}

impl Context<'_> {
    /// The settings.
    ///
    /// # Errors
    /// All that is wrong with them.
    pub fn settings(&self) -> Result<Settings, CliError> {
        self.settings_with(&Overrides::new())
    }

    /// The settings, with options of the command that outrank them.
    ///
    /// # Errors
    /// All that is wrong with them.
    pub fn settings_with(&self, overrides: &Overrides) -> Result<Settings, CliError> {
        let sources = Sources { named: self.global.config.as_deref(), environment: self.environment, overrides };
        Ok(Settings::load(&sources)?)
    }
}

/// Runs one command line (`arguments` with the program's name first) and says how the program should end.
pub fn run_command_line(
    arguments: impl IntoIterator<Item = OsString>,
    output: &Output,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Exit {
    let matches = Cli::command().try_get_matches_from(arguments);
    let parsed = matches.and_then(|matches| {
        let mut cli = Cli::from_arg_matches(&matches)?;
        cli.global.command = typed(&matches);
        Ok(cli)
    });
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) => return not_a_command(&error, output),
    };
    let mut style = output.style();
    style.json = cli.global.json;
    style.color &= !cli.global.no_color;
    style.level = match cli.global.verbose {
        0 => Level::Normal,
        1 => Level::Detailed,
        _ => Level::Everything,
    };
    output.set_style(style);
    let context = Context { global: &cli.global, output, environment };
    match start_logging(&context).and_then(|()| dispatch(&context, &cli.command)) {
        Ok(exit) => exit,
        Err(error) => {
            output.error(&error);
            error.exit
        }
    }
}

/// The names of the command, without its options.
fn typed(matches: &clap::ArgMatches) -> String {
    let mut names = Vec::new();
    let mut at = matches;
    while let Some((name, below)) = at.subcommand() {
        names.push(name);
        at = below;
    }
    names.join(" ")
}

/// Log lines go to stderr; `KEYBENCH_LOG` stands over `-v`.
fn start_logging(context: &Context<'_>) -> Result<(), CliError> {
    match logging::start((context.environment)(logging::VARIABLE).as_deref(), context.global.verbose, output::Log::new)
    {
        // Several command lines in one process, as tests run them, share the first one's.
        Ok(()) | Err(LoggingError::Twice) => Ok(()),
        Err(error) => Err(causes::told(Exit::Usage, "usage", &error.to_string(), "see docs/OPERATING.md.")),
    }
}

/// Help and version are answers; anything else is a usage error, in clap's words.
fn not_a_command(error: &clap::Error, output: &Output) -> Exit {
    let text = if output.style().color && !error.use_stderr() && output.style().stdout_is_terminal
        || output.style().color && error.use_stderr()
    {
        error.render().ansi().to_string()
    } else {
        error.render().to_string()
    };
    if error.use_stderr() {
        output.progress(text.trim_end());
        Exit::Usage
    } else {
        match output.raw(text.as_bytes()) {
            Ok(()) => Exit::Done,
            Err(error) => {
                output.error(&error);
                error.exit
            }
        }
    }
}

fn dispatch(context: &Context<'_>, command: &Command) -> Result<Exit, CliError> {
    match command {
        #[cfg(feature = "sim")]
        Command::Demo(args) => demo::run(context, args),
        Command::Config(command) => config::run(context, command),
        Command::Doctor(args) => doctor::run(context, args),
        Command::Login(args) => login::login(context, args),
        Command::Logout(args) => login::logout(context, args),
        Command::Whoami(args) => login::whoami(context, args),
        Command::Run(args) => run::run(context, args),
        Command::Status(args) => status::run(context, args),
        Command::Show(args) => show::run(context, args),
        Command::Tenant(command) => tenant::run(context, command),
        Command::People(command) => people::run(context, command),
        Command::Tap(command) => tap::run(context, command),
        Command::Methods(args) => methods::run(context, args),
        Command::Oath(command) => oath::run(context, command),
        Command::Key(command) => key::run(context, command),
        Command::Record(args) => record::run(context, args),
        Command::Escrow(command) => escrow::run(context, command),
        Command::Letters(command) => letters::run(context, command),
        Command::Labels(command) => labels::run(context, command),
        Command::Addresses(command) => addresses::run(context, command),
        Command::Custodian(command) => custodian::run(context, command),
        Command::Custody(command) => custody::run(context, command),
        Command::Pack(args) => parcel::pack::run(context, args),
        Command::Receipt(command) => parcel::receipt::run(context, command),
        Command::Activate(args) => parcel::activate::run(context, args),
        Command::Release(args) => parcel::release::run(context, args),
        Command::Notify(args) => notify::run(context, args),
        Command::Handover(command) => handover::run(context, command),
        Command::Lost(args) => parcel::gone::lost(context, args),
        Command::Replace(args) => parcel::gone::replace(context, args),
        Command::Return(args) => parcel::gone::return_(context, args),
        Command::Leaver(args) => parcel::gone::leaver(context, args),
        Command::Reconcile(args) => reconcile::run(context, args),
        Command::Stock(command) => stock::run(context, command),
        Command::Export(command) => export::run(context, command),
        Command::Audit(command) => audit::run(context, command),
        Command::SignIns(args) => sign_ins::run(context, args),
        Command::Report(command) => report::run(context, command),
        Command::Ledger(command) => ledger::run(context, command),
        #[cfg(feature = "sim")]
        Command::Sim(command) => sim::run(context, command),
        Command::Completions(args) => completions::run(context, args),
        Command::Man(args) => man::run(context, args),
    }
}

/// The command tree, for completions and the manual.
pub(crate) fn tree() -> clap::Command {
    Cli::command()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_tree_is_sound() {
        tree().debug_assert();
    }

    /// Every command that does something shows how, and no line of an example is too wide for a terminal.
    #[test]
    fn every_command_has_examples() {
        fn visit(command: &clap::Command, path: &str, bare: &mut Vec<String>) {
            for sub in command.get_subcommands() {
                visit(sub, &format!("{path} {}", sub.get_name()), bare);
            }
            let help = command.get_after_long_help().map(ToString::to_string).unwrap_or_default();
            if command.get_subcommands().next().is_none() && !help.contains("Example") {
                bare.push(path.to_owned());
            }
            assert!(help.lines().all(|line| line.chars().count() <= 100), "{path}: {help}");
        }
        let mut bare = Vec::new();
        visit(&tree(), "keybench", &mut bare);
        assert_eq!(bare, Vec::<String>::new());
    }

    #[test]
    fn the_lines_that_scripts_rely_on_are_understood() {
        for line in [
            "run people.csv --ports all --strict --idle 10 --json",
            "run people.csv --ports 1-1.2,1-1.3 --group Keys --sim-keys 4",
            "run --group Keys --allow-privileged a@b.c --allow-privileged d@e.f",
            "escrow keygen --out id.txt",
            "escrow open --identity a --identity b --job J --as Kim --reason lost --to-stdout",
            "custodian rotate --recipient r --second-recipient s --identity a --as Kim --reason left --yes",
            "export manifest --out m.csv",
            "export carrier autumn --map m.toml --out p.csv --packing-list l.csv",
            "letters make autumn --identity a --out d --lang nl --template t.toml",
            "letters make --identity a --identity b --printer ipp://localhost/printers/l --after 74",
            "letters confirm --all",
            "notify --batch autumn --dry-run",
            "notify kim@a.b --again --reason bounced",
            "pack --to kim@a.b --plug --no-tracking",
            "handover watch --once",
            "handover watch --of 19283746 --method M",
            "handover end 19283746 --returned --reason moved",
            "lost --serial 19283746 --reason stolen",
            "stock receive",
            "labels make autumn --for parcel --format zpl --size 100x150 --out l.zpl",
            "addresses import hr.csv --batch autumn",
            "sim tenant --listen 127.0.0.1:0 --people 12 --latency-ms 40 --faults f.toml",
            "demo --keys 12 --ports 4 --seed 7 --out d --json",
            "--config c.toml status --json",
            "config init --config c.toml --force",
            "record --port 1-4.2 --out y.jsonl --what provision --dry-run",
            "key list --unopened --json",
            "key blink --port 1-4.2",
        ] {
            let arguments = std::iter::once("keybench").chain(line.split(' '));
            if let Err(error) = Cli::try_parse_from(arguments) {
                panic!("{line}: {error}");
            }
        }
        // Somebody must be asked for; opening a PIN takes a name and a reason; a simulated tenant stays on this machine.
        for line in [
            "run",
            "letters make --out d",
            "letters make --identity a --reprint kim@a.b",
            "letters confirm",
            "notify kim@a.b --again",
            "handover watch --method M",
            "handover end 19283746 --reason moved",
            "lost --reason stolen",
            "escrow open --identity a --job J",
            "sim tenant --listen 0.0.0.0:80",
        ] {
            assert!(Cli::try_parse_from(std::iter::once("keybench").chain(line.split(' '))).is_err(), "{line}");
        }
    }
}
