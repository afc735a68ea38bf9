//! How the program ends, in one number for scripts. `docs/ERRORS.md` explains them.

/// The exit codes. Anything else is a fault of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// Everything that was asked for is done.
    Done,
    /// Somebody was refused, or somebody's key failed.
    SomeFailed,
    /// Usage, settings, roster or credentials are wrong; nothing was started.
    Usage,
    /// The tenant or the network.
    Tenant,
    /// No key, or no right to open keys.
    Keys,
    /// The ledger.
    Ledger,
    /// `tenant check`: there are warnings, and nothing stops.
    CheckWarns,
    /// `tenant check`: something stops.
    CheckFails,
    /// `tenant check`: nothing stops or warns, but not everything could be asked.
    CheckUnknown,
    /// A fault of keybench itself (EX_SOFTWARE of sysexits.h).
    Fault,
    /// Interrupted; what was in flight is parked.
    Interrupted,
}

impl Exit {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Done,
        Self::SomeFailed,
        Self::Usage,
        Self::Tenant,
        Self::Keys,
        Self::Ledger,
        Self::CheckWarns,
        Self::CheckFails,
        Self::CheckUnknown,
        Self::Fault,
        Self::Interrupted,
    ];

    /// The number.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::SomeFailed => 1,
            Self::Usage => 2,
            Self::Tenant => 3,
            Self::Keys => 4,
            Self::Ledger => 5,
            Self::CheckWarns => 10,
            Self::CheckFails => 20,
            Self::CheckUnknown => 30,
            Self::Fault => 70,
            Self::Interrupted => 130,
        }
    }

    /// For `docs/ERRORS.md`.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Done => "Everything that was asked for is done; people who had their key already count as done.",
            Self::SomeFailed => {
                "The run went through, but somebody was refused or somebody's key failed; or `--strict` stopped it before the first key."
            }
            Self::Usage => "The command, the settings, the roster or the credentials are wrong. Nothing was started.",
            Self::Tenant => "The tenant or the network stopped the run. What was open is parked.",
            Self::Keys => "There is no key, or this account may not open keys.",
            Self::Ledger => "The ledger can't be read or written, or is in use by another run.",
            Self::CheckWarns => "`tenant check` found warnings, and nothing that stops a run.",
            Self::CheckFails => {
                "`tenant check` found what stops a run; with `--strict` also a warning, or something that could not be asked."
            }
            Self::CheckUnknown => "`tenant check` found nothing wrong, but not everything could be asked.",
            Self::Fault => {
                "keybench stopped at a fault of its own. The same command goes on where it stopped; please report it."
            }
            Self::Interrupted => {
                "Interrupted (Ctrl-C). What was in flight is finished or parked; the same command goes on."
            }
        }
    }
}
