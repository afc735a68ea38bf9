//! `keybench sim`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand};

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
  keybench sim tenant --people 100 --faults faults.toml")]
pub struct TenantArgs {
    /// Address on this machine; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0", value_parser = loopback)]
    pub listen: SocketAddr,
    /// How many people, or a file that lists them
    #[arg(long, value_name = "N|FILE", default_value = "12")]
    pub people: People,
    /// Each answer takes so long
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub latency_ms: u64,
    /// Faults to play: see docs/OPERATING.md
    #[arg(long, value_name = "FILE")]
    pub faults: Option<PathBuf>,
}

/// `--people`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum People {
    /// So many, invented.
    Count(u32),
    /// Those of this file.
    File(PathBuf),
}

impl std::str::FromStr for People {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(text.parse().map_or_else(|_| Self::File(PathBuf::from(text)), Self::Count))
    }
}

fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = text.parse().map_err(|_| "write an address and a port, e.g. 127.0.0.1:0".to_owned())?;
    if !address.ip().is_loopback() {
        return Err("the simulated tenant is for this machine only: 127.0.0.1 or [::1]".to_owned());
    }
    Ok(address)
}
