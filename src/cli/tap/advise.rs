//! `keybench tap advise`. Asks nobody and changes nothing.

use clap::Args;
use serde_json::json;

use crate::cli::{CliError, Context, Exit};
use crate::tenant::pass::{Kind, Situation, advise, advise_all};

/// `keybench tap advise`
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  keybench tap advise --use browser                   registers a key in a browser
  keybench tap advise --use browser --phone-sign-in
  keybench tap advise --use windows,mac --restart
  keybench tap advise --use windows --restart --web-sign-in
  keybench tap advise --use windows --has-key")]
pub struct AdviseArgs {
    /// What the person does with the pass
    #[arg(long = "use", value_name = "WHERE,…", value_delimiter = ',', required = true)]
    pub places: Vec<Place>,
    /// In the browser they also turn phone sign-in on in Authenticator
    #[arg(long)]
    pub phone_sign_in: bool,
    /// Windows restarts in the middle of its set-up
    #[arg(long)]
    pub restart: bool,
    /// Intune has switched web sign-in on for the lock screen
    #[arg(long)]
    pub web_sign_in: bool,
    /// They have a registered key already
    #[arg(long)]
    pub has_key: bool,
}

/// Where a pass is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Place {
    /// A browser in guest mode, to register a key
    Browser,
    /// The Authenticator app on the phone
    Phone,
    /// First start of a Windows device (Autopilot)
    Windows,
    /// Enrolment of a Mac by Company Portal
    Mac,
}

fn situation(place: Place, args: &AdviseArgs) -> Situation {
    match place {
        Place::Browser if args.phone_sign_in => Situation::BrowserPhoneSignIn,
        Place::Browser => Situation::BrowserKey,
        Place::Phone => Situation::AuthenticatorApp,
        Place::Windows if args.has_key => Situation::WindowsWithKey,
        Place::Windows if args.restart => Situation::WindowsSetupRestart { web_sign_in: args.web_sign_in },
        Place::Windows => Situation::WindowsSetup,
        Place::Mac => Situation::MacPortal,
    }
}

fn word(place: Place) -> &'static str {
    match place {
        Place::Browser => "browser",
        Place::Phone => "phone",
        Place::Windows => "windows",
        Place::Mac => "mac",
    }
}

pub(super) fn run(context: &Context<'_>, args: &AdviseArgs) -> Result<Exit, CliError> {
    let situations: Vec<Situation> = args.places.iter().map(|place| situation(*place, args)).collect();
    let overall = advise_all(&situations);
    for (place, one) in args.places.iter().zip(&situations) {
        let advice = advise(*one);
        context.output.json(&json!({
            "event": "advice", "use": word(*place), "pass": advice.kind.word(), "why": advice.why,
        }));
        context.output.answer(&format!("{}: {}. {}", word(*place), advice.kind.word(), advice.why));
    }
    context.output.json(&json!({ "event": "advised", "pass": overall.word() }));
    context.output.answer(match overall {
        Kind::NoPass => "No pass is needed.",
        Kind::OneTime => "Issue a one-time pass: `keybench tap issue USER --by call`.",
        Kind::MultiUse => "Issue a multi-use pass, short: `keybench tap issue USER --by call --multi-use --minutes N`.",
        Kind::Neither => "No pass does all of this.",
    });
    Ok(Exit::Done)
}
