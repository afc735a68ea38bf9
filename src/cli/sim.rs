//! `keybench sim`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::interrupt::interrupted;
use super::{CliError, Context, Exit};
use crate::sim::tenant::{FaultPlan, TenantSpec, start, startup_line};

/// `keybench sim …`
#[derive(Debug, Subcommand)]
pub enum SimCommand {
    /// A simulated tenant on this machine, until Ctrl-C
    ///
    /// Prints one JSON line with what a client needs: graph_url, login_url, tenant_id, client_id, client_secret, upns.
    Tenant(TenantArgs),
    /// Simulated keys as USB devices of this machine, until Ctrl-C
    ///
    /// Any program sees them as ordinary keys. Prints one JSON line with what was plugged in.
    Key(super::sim_key::KeyArgs),
}

/// `keybench sim tenant`
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  keybench sim tenant --people 12
  keybench sim tenant --listen 127.0.0.1:8080 --people people.csv --latency-ms 40
  keybench sim tenant --people 100 --faults faults.toml

docs/SIMULATOR.md describes the files.")]
pub struct TenantArgs {
    /// Address on this machine; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0", value_parser = loopback)]
    pub listen: SocketAddr,
    /// How many people, or a file: people in CSV, or a whole tenant in TOML or JSON
    #[arg(long, value_name = "N|FILE", default_value = "12")]
    pub people: String,
    /// Each answer takes so long [else what the file says, else 0]
    #[arg(long, value_name = "N")]
    pub latency_ms: Option<u64>,
    /// Faults to play: docs/SIMULATOR.md
    #[arg(long, value_name = "FILE")]
    pub faults: Option<PathBuf>,
}

fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = text.parse().map_err(|_| "write an address and a port, e.g. 127.0.0.1:0".to_owned())?;
    if !address.ip().is_loopback() {
        return Err("the simulated tenant is for this machine only: 127.0.0.1 or [::1]".to_owned());
    }
    Ok(address)
}

pub(super) fn run(context: &Context<'_>, command: &SimCommand) -> Result<Exit, CliError> {
    let args = match command {
        SimCommand::Tenant(args) => args,
        SimCommand::Key(args) => return super::sim_key::run(context, args),
    };
    let stop = interrupted();
    let tenant = start(spec(args)?, args.listen).map_err(|error| wrong(&error.to_string()))?;
    context.output.raw(format!("{}\n", startup_line(&tenant)).as_bytes())?;
    context.output.progress("The simulated tenant serves until Ctrl-C.");
    while !stop.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(50));
    }
    tenant.shutdown();
    Ok(Exit::Done)
}

fn spec(args: &TenantArgs) -> Result<TenantSpec, CliError> {
    let mut spec = TenantSpec::from_people_argument(&args.people).map_err(|error| wrong(&error.to_string()))?;
    if let Some(latency) = args.latency_ms {
        spec.latency_ms = latency;
    }
    if let Some(path) = &args.faults {
        let text = std::fs::read_to_string(path)
            .map_err(|error| wrong(&format!("{} can't be read: {error}", path.display())))?;
        let plan =
            FaultPlan::from_toml(&text, &path.display().to_string()).map_err(|error| wrong(&error.to_string()))?;
        spec.faults.extend(plan);
    }
    Ok(spec)
}

fn wrong(what: &str) -> CliError {
    super::causes::told(Exit::Usage, "sim-tenant", what, "see docs/SIMULATOR.md.")
}
