//! Temporary Access Passes: which kind fits, what the policy allows, and how one may reach its person. Pure.
//!
//! Sources: Microsoft Entra, "Configure Temporary Access Pass"; the matrix of [`advise`] condenses published trials of both
//! kinds in onboarding (bench browser, Authenticator, Autopilot, macOS).

use jiff::{SignedDuration, Timestamp};

use crate::graph::PassPolicy;

/// How the code gets to its person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Face to face.
    InPerson,
    /// Read out on a call.
    Call,
    /// On a video call.
    Video,
    /// On paper by post, with or without the key.
    Post,
    /// In an e-mail, a chat or a text message.
    Message,
}

impl Way {
    /// The word in the ledger and on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::InPerson => "in-person",
            Self::Call => "call",
            Self::Video => "video",
            Self::Post => "post",
            Self::Message => "message",
        }
    }

    /// Why a code may not go this way; `None` when it may. Whoever holds the paper and guesses the name on it owns the account.
    pub fn objection(self) -> Option<&'static str> {
        match self {
            Self::InPerson | Self::Call | Self::Video => None,
            Self::Post => Some("Whoever opens the letter and guesses the sign-in name owns the account."),
            Self::Message => {
                Some("Messages are kept, forwarded and read by others; a person without a sign-in can't read theirs.")
            }
        }
    }
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// It works once; `None`: as the policy has it, else once.
    pub one_time: Option<bool>,
    /// How long; `None`: as short as the policy allows for a pass that works once, else the policy's default.
    pub minutes: Option<u32>,
    /// From when on; `None`: now.
    pub starts: Option<Timestamp>,
}

/// A pass that the policy allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowed {
    /// It works once.
    pub one_time: bool,
    /// How long.
    pub minutes: u32,
    /// From when on; `None`: now.
    pub starts: Option<Timestamp>,
}

/// Why the policy, or sense, does not allow it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAllowed {
    /// The method is off.
    #[error("the Temporary Access Pass method is off in this tenant")]
    Off,
    /// Only one-time passes.
    #[error("the tenant's policy makes every pass one-time, and a multi-use one is asked for")]
    OnceOnly,
    /// Outside the policy's bounds.
    #[error("{asked} minutes is not within the tenant's policy: {least} to {most} minutes")]
    Lifetime {
        /// As asked.
        asked: u32,
        /// The policy's least.
        least: u32,
        /// The policy's most.
        most: u32,
    },
    /// It would begin in the past.
    #[error("it would begin in the past, at {0}")]
    Past(Timestamp),
    /// It would begin so late that it is a secret lying about.
    #[error("it would begin at {0}, more than {MOST_AHEAD_HOURS} hours from now")]
    FarAhead(Timestamp),
}

impl NotAllowed {
    /// What to do, to follow "Next: ".
    pub fn next(&self) -> String {
        match self {
            Self::Off => {
                "turn on Temporary Access Pass under Authentication methods > Policies, or by `keybench tenant apply`."
                    .into()
            }
            Self::OnceOnly => {
                "leave --multi-use out; `keybench tap advise` says whether a one-time pass is enough.".into()
            }
            Self::Lifetime { least, most, .. } => format!("ask for {least} to {most} minutes (--minutes)."),
            Self::Past(_) => "leave --start out: the pass begins now.".into(),
            Self::FarAhead(_) => "issue it when the person is on the phone or at the desk, not before.".into(),
        }
    }
}

/// The code is out from the moment it is issued: a start far ahead only means that it lies about for longer.
const MOST_AHEAD_HOURS: i64 = 24;

/// Checks a wish against the tenant's policy.
///
/// # Errors
/// [`NotAllowed`], the first that applies.
pub fn allowed(policy: &PassPolicy, wanted: &Wanted, now: Timestamp) -> Result<Allowed, NotAllowed> {
    if !policy.enabled {
        return Err(NotAllowed::Off);
    }
    let one_time = wanted.one_time.unwrap_or(true);
    if policy.once_only && !one_time {
        return Err(NotAllowed::OnceOnly);
    }
    let usual = if one_time { policy.least_minutes } else { policy.default_minutes };
    let minutes = wanted.minutes.unwrap_or(usual);
    if !(policy.least_minutes..=policy.most_minutes).contains(&minutes) {
        return Err(NotAllowed::Lifetime { asked: minutes, least: policy.least_minutes, most: policy.most_minutes });
    }
    if let Some(starts) = wanted.starts {
        // A minute, since clocks differ and typing takes time.
        if starts < now.saturating_sub(SignedDuration::from_secs(60)).unwrap_or(Timestamp::MIN) {
            return Err(NotAllowed::Past(starts));
        }
        if starts > now.saturating_add(SignedDuration::from_hours(MOST_AHEAD_HOURS)).unwrap_or(Timestamp::MAX) {
            return Err(NotAllowed::FarAhead(starts));
        }
    }
    // What begins this very minute begins now: the service refuses a start that has just passed.
    let starts = wanted.starts.filter(|starts| *starts > now);
    Ok(Allowed { one_time, minutes, starts })
}

/// What a person is to do with a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Situation {
    /// Registers a security key in a guest-mode browser, and nothing else.
    BrowserKey,
    /// As above, and turns on phone sign-in in Authenticator from the browser.
    BrowserPhoneSignIn,
    /// Signs in inside the Authenticator app on the phone.
    AuthenticatorApp,
    /// Sets a new Windows device up (Autopilot, first start), without a restart in between.
    WindowsSetup,
    /// As above, with a restart in between; `web_sign_in`: Intune has switched web sign-in on for the lock screen.
    WindowsSetupRestart {
        /// Intune has switched web sign-in on.
        web_sign_in: bool,
    },
    /// Enrols a Mac by Company Portal and registers a method afterwards.
    MacPortal,
    /// Sets Windows up with a key that is registered already, e.g. by `keybench run`.
    WindowsWithKey,
}

/// Which kind fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A person with a working key needs none.
    NoPass,
    /// One-time is enough, and leaves the smaller door.
    OneTime,
    /// Only multi-use works.
    MultiUse,
    /// Neither works.
    Neither,
}

impl Kind {
    /// The word for `--json`.
    pub fn word(self) -> &'static str {
        match self {
            Self::NoPass => "none",
            Self::OneTime => "one-time",
            Self::MultiUse => "multi-use",
            Self::Neither => "neither",
        }
    }
}

/// Advice for one situation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Advice {
    /// Which kind.
    pub kind: Kind,
    /// Why, and what to mind: sentences.
    pub why: &'static str,
}

/// Which kind of pass fits one situation.
pub fn advise(situation: Situation) -> Advice {
    use Situation::{
        AuthenticatorApp, BrowserKey, BrowserPhoneSignIn, MacPortal, WindowsSetup, WindowsSetupRestart, WindowsWithKey,
    };
    let (kind, why) = match situation {
        BrowserKey => (Kind::OneTime, "Both kinds work. The key must be registered within 10 minutes of signing in."),
        BrowserPhoneSignIn => (
            Kind::MultiUse,
            "The app registers, but turning phone sign-in on asks again, and a one-time pass is used up by then.",
        ),
        AuthenticatorApp => (Kind::OneTime, "Both kinds work, phone sign-in included."),
        WindowsSetup => (
            Kind::MultiUse,
            "A one-time pass joins the device; Windows Hello then fails, and security info asks for a password nobody has.",
        ),
        WindowsSetupRestart { web_sign_in: true } => {
            (Kind::MultiUse, "After the restart the lock screen asks again; web sign-in takes the pass there.")
        }
        WindowsSetupRestart { web_sign_in: false } => (
            Kind::Neither,
            "After the restart the lock screen takes no pass. Switch web sign-in on in Intune (then multi-use), or give the person a registered key.",
        ),
        MacPortal => (
            Kind::MultiUse,
            "Enrolment goes through; registering a method afterwards asks again, and a one-time pass is used up by then.",
        ),
        WindowsWithKey => {
            (Kind::NoPass, "The key itself signs in, also after restarts. Don't leave a pass lying about.")
        }
    };
    Advice { kind, why }
}

/// One pass for several situations: the widest kind that any of them needs.
pub fn advise_all(situations: &[Situation]) -> Kind {
    let kinds: Vec<Kind> = situations.iter().map(|one| advise(*one).kind).collect();
    for kind in [Kind::Neither, Kind::MultiUse, Kind::OneTime] {
        if kinds.contains(&kind) {
            return kind;
        }
    }
    Kind::NoPass
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> PassPolicy {
        PassPolicy {
            enabled: true,
            least_minutes: 60,
            most_minutes: 480,
            default_minutes: 120,
            once_only: false,
            include: Vec::new(),
            exclude: Vec::new(),
        }
    }

    const NOW: &str = "2026-11-21T12:00:00Z";

    fn now() -> Timestamp {
        NOW.parse().expect("a time")
    }

    #[test]
    fn the_matrix() {
        use Situation::*;
        for (situation, kind, words) in [
            (BrowserKey, Kind::OneTime, "10 minutes"),
            (BrowserPhoneSignIn, Kind::MultiUse, "asks again"),
            (AuthenticatorApp, Kind::OneTime, "phone sign-in"),
            (WindowsSetup, Kind::MultiUse, "Windows Hello"),
            (WindowsSetupRestart { web_sign_in: true }, Kind::MultiUse, "web sign-in"),
            (WindowsSetupRestart { web_sign_in: false }, Kind::Neither, "Intune"),
            (MacPortal, Kind::MultiUse, "Enrolment"),
            (WindowsWithKey, Kind::NoPass, "key itself"),
        ] {
            let advice = advise(situation);
            assert_eq!(advice.kind, kind, "{situation:?}");
            assert!(advice.why.contains(words), "{situation:?}: {}", advice.why);
        }
        assert_eq!(advise_all(&[BrowserKey, WindowsWithKey]), Kind::OneTime);
        assert_eq!(advise_all(&[BrowserKey, MacPortal]), Kind::MultiUse);
        assert_eq!(advise_all(&[MacPortal, WindowsSetupRestart { web_sign_in: false }]), Kind::Neither);
        assert_eq!(advise_all(&[WindowsWithKey]), Kind::NoPass);
    }

    #[test]
    fn a_wish_is_held_against_the_policy() {
        let ask = |one_time, minutes| Wanted { one_time, minutes, starts: None };
        let got = |policy: &PassPolicy, wish: &Wanted| allowed(policy, wish, now());
        // One-time and as short as can be, unless asked otherwise.
        assert_eq!(got(&policy(), &ask(None, None)), Ok(Allowed { one_time: true, minutes: 60, starts: None }));
        assert_eq!(
            got(&policy(), &ask(Some(false), None)),
            Ok(Allowed { one_time: false, minutes: 120, starts: None })
        );
        assert!(got(&policy(), &ask(None, Some(480))).is_ok());
        for minutes in [59, 481] {
            assert_eq!(
                got(&policy(), &ask(None, Some(minutes))),
                Err(NotAllowed::Lifetime { asked: minutes, least: 60, most: 480 })
            );
        }
        let once = PassPolicy { once_only: true, ..policy() };
        assert_eq!(got(&once, &ask(Some(false), None)), Err(NotAllowed::OnceOnly));
        assert!(got(&once, &ask(None, None)).is_ok());
        let off = PassPolicy { enabled: false, ..policy() };
        assert_eq!(got(&off, &ask(None, None)), Err(NotAllowed::Off));
    }

    #[test]
    fn a_start_is_soon_and_not_past() {
        let at = |text: &str| Wanted { one_time: None, minutes: None, starts: Some(text.parse().expect("a time")) };
        let starts = |text: &str| allowed(&policy(), &at(text), now()).map(|allowed| allowed.starts.is_some());
        assert_eq!(starts("2026-11-21T13:00:00Z"), Ok(true));
        // Within the minute is now.
        assert_eq!(starts("2026-11-21T11:59:30Z"), Ok(false));
        assert!(matches!(starts("2026-11-21T11:00:00Z"), Err(NotAllowed::Past(_))));
        assert!(matches!(starts("2026-11-23T12:00:00Z"), Err(NotAllowed::FarAhead(_))));
    }

    #[test]
    fn paper_and_messages_are_no_way() {
        for way in [Way::InPerson, Way::Call, Way::Video] {
            assert_eq!(way.objection(), None, "{way:?}");
        }
        assert!(Way::Post.objection().is_some_and(|why| why.contains("owns the account")));
        assert!(Way::Message.objection().is_some());
    }
}
