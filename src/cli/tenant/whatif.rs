//! `keybench tenant whatif USER`: which Conditional Access policies meet a person who registers security information, joins a
//! device or signs in, what they demand, and whether a Temporary Access Pass or a key is enough. Changes nothing.

use std::net::IpAddr;

use clap::Args;
use serde_json::{Value, json};

use super::super::at_tenant::{AtTenant, name_of};
use super::super::{CliError, Context, Exit};
use crate::graph::grant::{Enough, Proof};
use crate::graph::tenant_settings::JoinMfa;
use crate::graph::what_if::{Circumstances, Undertaking, WhatIf};
use crate::graph::{DirectoryUser, ErrorKind, GraphError};
use crate::model::Aaguid;

/// SharePoint Online: what people open first, and the app of Microsoft's own example.
const SHAREPOINT: &str = "00000003-0000-0ff1-ce00-000000000000";

/// `keybench tenant whatif`
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  keybench tenant whatif kim@contoso.com --country NL
  keybench tenant whatif kim@contoso.com --address 203.0.113.10 \\
      --aaguid 2fc0579f-8113-47ea-b116-bb5a8db9202a
  keybench tenant whatif kim@contoso.com --app All --all --json

Nothing is changed, and nobody signs in. Say where people will be: without country and address, a
policy that depends on the place can't be decided.")]
pub struct WhatIfArgs {
    /// User principal name or object id
    #[arg(value_name = "USER")]
    pub user: String,
    /// The key's model
    #[arg(long, value_name = "AAGUID", value_parser = aaguid)]
    pub aaguid: Option<Aaguid>,
    /// Where the person is: two letters (ISO 3166)
    #[arg(long, value_name = "CC", value_parser = country)]
    pub country: Option<String>,
    /// The public address the person comes from
    #[arg(long, value_name = "IP")]
    pub address: Option<IpAddr>,
    /// What the person sits at
    #[arg(long, value_name = "SYSTEM", default_value = "windows", value_parser = ["windows", "macOS", "iOS", "android", "linux"])]
    pub platform: String,
    /// The app signed in to, by its id, or All; may be given several times [default: SharePoint Online]
    #[arg(long = "app", value_name = "ID")]
    pub apps: Vec<String>,
    /// Also list the policies that don't apply, and why
    #[arg(long)]
    pub all: bool,
}

fn aaguid(text: &str) -> Result<Aaguid, String> {
    Aaguid::parse(text).ok_or_else(|| "this is no AAGUID, such as 2fc0579f-8113-47ea-b116-bb5a8db9202a".to_owned())
}

fn country(text: &str) -> Result<String, String> {
    let fits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_alphabetic());
    fits.then(|| text.to_ascii_uppercase()).ok_or_else(|| "a country has two letters, such as NL".to_owned())
}

/// What is asked about.
struct Question {
    /// For programs.
    word: &'static str,
    /// For people.
    title: String,
    doing: Undertaking,
}

/// Three proofs side by side.
struct Weighed {
    once: Enough,
    often: Enough,
    key: Enough,
}

impl Weighed {
    fn by(weigh: impl Fn(Proof) -> Enough, model: Option<Aaguid>) -> Self {
        Self {
            once: weigh(Proof::AccessPass { one_time: true }),
            often: weigh(Proof::AccessPass { one_time: false }),
            key: weigh(Proof::Key(model)),
        }
    }

    fn and(self, other: Self) -> Self {
        Self { once: self.once.and(other.once), often: self.often.and(other.often), key: self.key.and(other.key) }
    }

    fn named(&self) -> [(&'static str, &'static str, &Enough); 3] {
        [
            ("one_time_pass", "one-time pass", &self.once),
            ("multi_use_pass", "multi-use pass", &self.often),
            ("key", "this key", &self.key),
        ]
    }

    fn to_json(&self) -> Value {
        let one = |enough: &Enough| json!({ "enough": enough.word(), "why": enough.reason() });
        self.named().into_iter().map(|(word, _, enough)| (word.to_owned(), one(enough))).collect()
    }
}

fn weighed(policy: &WhatIf, model: Option<Aaguid>) -> Weighed {
    let grant = policy.policy().grant();
    Weighed::by(|proof| grant.as_ref().map_or(Enough::Yes, |grant| grant.weigh(proof)), model)
}

pub(super) fn run(context: &Context<'_>, args: &WhatIfArgs) -> Result<Exit, CliError> {
    let at = AtTenant::sign_in(context)?;
    let person = at.person(&args.user)?;
    let circumstances = Circumstances {
        country: args.country.clone(),
        address: args.address,
        platform: Some(args.platform.clone()),
        client: Some("browser".to_owned()),
        compliant: None,
    };
    let output = context.output;
    output.answer(&format!("{}, {}", name_of(&person), whence(args)));
    let questions = questions(args);
    let switches = switches(&at);
    for (number, question) in questions.iter().enumerate() {
        // Conditional Access is asked once a second at most, so this takes its time.
        output.progress(&format!("Asking: {} ({} of {}) \u{2026}", question.title, number + 1, questions.len()));
        let results = at.graph.what_if(&person.id, &question.doing, &circumstances, false)?;
        tell(context, args, question, &person, &results, &switches);
    }
    if args.aaguid.is_none() {
        output
            .answer("\nNo model was named (--aaguid): where a strength lists models, a key is said to depend on that.");
    }
    Ok(Exit::Done)
}

fn questions(args: &WhatIfArgs) -> Vec<Question> {
    let apps = if args.apps.is_empty() { vec![SHAREPOINT.to_owned()] } else { args.apps.clone() };
    let shown: Vec<&str> = apps.iter().map(|app| if app == SHAREPOINT { "SharePoint Online" } else { app }).collect();
    vec![
        Question {
            word: "register-security-information",
            title: "Registering security information".to_owned(),
            doing: Undertaking::RegisterSecurityInformation,
        },
        Question {
            word: "join-device",
            title: "Joining a device".to_owned(),
            doing: Undertaking::RegisterOrJoinDevice,
        },
        Question {
            word: "sign-in",
            title: format!("Signing in to {}", shown.join(", ")),
            doing: Undertaking::SignIn(apps),
        },
    ]
}

fn whence(args: &WhatIfArgs) -> String {
    let place = match (&args.country, args.address) {
        (None, None) => "from nowhere in particular".to_owned(),
        (Some(country), None) => format!("from {country}"),
        (None, Some(address)) => format!("from {address}"),
        (Some(country), Some(address)) => format!("from {country} ({address})"),
    };
    format!("{place}, in a browser on {}", args.platform)
}

/// What stands beside Conditional Access and what-if does not tell: a sentence each, and for which undertaking.
fn switches(at: &AtTenant) -> Vec<(Option<&'static str>, String)> {
    let mut notes = Vec::new();
    let unread = |what: &str, error: &GraphError| match error.kind() {
        ErrorKind::Forbidden => format!("{what} could not be read: {}", error.next()),
        _ => format!("{what} could not be read: {error}."),
    };
    match at.graph.security_defaults().map(|defaults| defaults.is_enabled()) {
        Ok(Some(true)) => notes.push((
            None,
            "Security defaults are on: they ask for multifactor authentication by themselves, and no policy can be enabled beside them."
                .to_owned(),
        )),
        Ok(_) => {}
        Err(error) => notes.push((None, unread("Whether security defaults are on", &error))),
    }
    match at.graph.device_registration_policy().map(|policy| policy.join_mfa()) {
        Ok(Some(JoinMfa::Required)) => notes.push((
            Some("join-device"),
            "The tenant-wide switch asks for multifactor authentication to join devices; policies for this are not enforced properly \
             while it is on."
                .to_owned(),
        )),
        Ok(_) => {}
        Err(error) => notes.push((Some("join-device"), unread("The device registration policy", &error))),
    }
    notes
}

fn tell(
    context: &Context<'_>,
    args: &WhatIfArgs,
    question: &Question,
    person: &DirectoryUser,
    results: &[WhatIf],
    switches: &[(Option<&'static str>, String)],
) {
    let output = context.output;
    let notes: Vec<&str> = switches
        .iter()
        .filter(|(about, _)| about.is_none_or(|about| about == question.word))
        .map(|(_, note)| note.as_str())
        .collect();
    let applying: Vec<&WhatIf> = results.iter().filter(|one| one.applies()).collect();
    let together = applying
        .iter()
        .map(|one| weighed(one, args.aaguid))
        .reduce(Weighed::and)
        .unwrap_or_else(|| Weighed::by(|_| Enough::Yes, args.aaguid));
    output.json(&json!({
        "event": "whatif",
        "user": person.id.as_str(),
        "doing": question.word,
        "policies": results.iter().map(|one| as_json(one, args.aaguid)).collect::<Vec<_>>(),
        "together": together.to_json(),
        "notes": notes,
    }));
    output.answer(&format!("\n{}", question.title));
    if applying.is_empty() {
        output.answer("  No policy applies: nothing is demanded beyond what the sign-in itself asks for.");
    }
    for one in &applying {
        let policy = one.policy();
        let state = match policy.state() {
            Some(state) if !policy.is_enabled() => format!(" [{}]", in_words(state.as_str())),
            _ => String::new(),
        };
        output.answer(&format!("  {}{state} demands {}", policy.name(), demands(one)));
        for (_, name, enough) in weighed(one, args.aaguid).named() {
            output.answer(&format!("    {name:<15} {}", sentence(enough)));
        }
    }
    if applying.len() > 1 {
        output.answer("  Together");
        for (_, name, enough) in together.named() {
            output.answer(&format!("    {name:<15} {}", sentence(enough)));
        }
    }
    let idle: Vec<&WhatIf> = results.iter().filter(|one| !one.applies()).collect();
    for one in &idle {
        let reasons = one.reasons();
        if reasons == ["policyNotEnabled"] {
            output.answer(&format!("  Off, and would apply: {} demands {}", one.policy().name(), demands(one)));
        } else if args.all || reasons.contains(&"notEnoughInformation") {
            let why: Vec<&str> = reasons.iter().map(|reason| in_words(reason)).collect();
            output.answer(&format!("  Does not apply: {} ({})", one.policy().name(), why.join(", ")));
        }
    }
    for note in notes {
        output.answer(&format!("  Note: {note}"));
    }
    if question.word == "register-security-information" {
        output.answer("  Note: while registering, a strength demanded here stands above one demanded for all apps.");
    }
}

fn sentence(enough: &Enough) -> String {
    match enough {
        Enough::Yes => "is enough".to_owned(),
        Enough::No(why) => format!("is not enough: {why}"),
        Enough::Depends(why) => format!("depends: {why}"),
    }
}

fn demands(one: &WhatIf) -> String {
    let Some(grant) = one.policy().grant() else { return "nothing (it limits the session only)".to_owned() };
    let list: Vec<String> = grant.demands().iter().map(ToString::to_string).collect();
    if list.is_empty() {
        return "nothing".to_owned();
    }
    list.join(if grant.all { " and " } else { " or " })
}

/// Graph's words for states and reasons.
fn in_words(word: &str) -> &str {
    match word {
        "enabledForReportingButNotEnforced" => "report only: it is watched, not enforced",
        "users" => "it is not for this person",
        "application" => "it is about other apps",
        "userActions" => "it is about something else",
        "authenticationContext" => "it is about an authentication context",
        "devicePlatform" => "it is for other systems",
        "devices" => "it is for other devices",
        "clientApps" => "it is for other client apps",
        "location" => "it is for other places",
        "signInRisk" | "userRisk" | "insiderRisk" => "it is for riskier sign-ins",
        "emptyPolicy" => "it demands nothing",
        "policyNotEnabled" => "it is off",
        "authenticationFlow" => "it is for other ways to sign in",
        "notEnoughInformation" => "undecided: it depends on something not told, such as the place",
        other => other,
    }
}

fn as_json(one: &WhatIf, model: Option<Aaguid>) -> Value {
    let policy = one.policy();
    let grant = policy.grant();
    let demands = grant.iter().flat_map(crate::graph::conditional_access::Grant::demands);
    json!({
        "id": policy.id(),
        "name": policy.name(),
        "state": policy.state().map(|state| state.to_string()),
        "applies": one.applies(),
        "reasons": one.reasons(),
        "demands": demands.map(|demand| demand.to_string()).collect::<Vec<_>>(),
        "all_of_them": grant.as_ref().is_some_and(|grant| grant.all),
        "weighed": weighed(one, model).to_json(),
    })
}

#[cfg(all(test, feature = "sim"))]
#[path = "whatif_tests.rs"]
mod tests;
