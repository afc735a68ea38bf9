//! Pure: given what came back, how often and how long we have tried: wait, retry at once, or stop.
//!
//! Promise: a wait the server asked for is kept to the second, and never cut short; a wait of zero is taken once, and then our own
//! back-off counts. A request that must not happen twice is never repeated after it may have arrived: the verdict is [`Verdict::Unknown`]
//! and the caller reads first. Nothing is tried forever.

use std::time::Duration;

/// What came of one attempt, as far as trying again is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerClass {
    /// An answer to go on with: success, or a refusal that stays one.
    Final,
    /// 401 without a claims challenge: the token may merely have ended.
    Unauthorized {
        /// That was a new token already.
        renewed: bool,
    },
    /// 429: not carried out. The wait the server asked for, if it did.
    Throttled(Option<Duration>),
    /// 5xx, or an answer that is not Graph's: it may have been carried out. The wait the server asked for, if it did.
    Outage(Option<Duration>),
    /// The request never left: no name, no connection.
    NotSent,
    /// The request left, or part of it, and no whole answer came.
    Unanswered,
    /// An answer too strange to try for again, to a request that may have been carried out.
    Unusable,
    /// The request never left, and trying again can't help: TLS, a settings mistake.
    Hopeless,
}

/// Whether a request may be sent twice, and whether anything comes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// Reads, and look-ups by POST: nothing comes of them.
    Read,
    /// Writes of which twice is as good as once.
    Safe,
    /// Only when the first certainly had no effect.
    OnlyIfNotCarriedOut,
}

/// How long to go on. All spans count from the first attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// While the service fails or doesn't answer.
    pub outage: Duration,
    /// While no connection can be made.
    pub connect: Duration,
    /// While the service asks to slow down.
    pub throttle: Duration,
}

impl Repeat {
    /// Whether it may change something at the other side.
    pub fn writes(self) -> bool {
        self != Self::Read
    }
}

impl AnswerClass {
    /// Whether a write of which this came may have been carried out, and nobody knows.
    pub fn leaves_doubt(self) -> bool {
        matches!(self, Self::Outage(_) | Self::Unanswered | Self::Unusable)
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self { outage: Duration::from_secs(120), connect: Duration::from_secs(30), throttle: Duration::from_secs(600) }
    }
}

/// What to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Try again after this time.
    Wait(Duration),
    /// Try again at once, with a new token.
    Retry,
    /// Go on with what came, good or bad.
    Stop,
    /// It may or may not have been carried out: read before anything else.
    Unknown,
}

/// The longest wait of our own choosing.
const LONGEST: Duration = Duration::from_secs(30);

/// Decides. `made` counts the attempts made (1 after the first), `spent` is the time since the first began,
/// `jitter` is uniform in 0..1.
pub fn decide(class: AnswerClass, repeat: Repeat, made: u32, spent: Duration, jitter: f64, budget: &Budget) -> Verdict {
    let (asked, limit) = match (class, repeat) {
        (AnswerClass::Final | AnswerClass::Hopeless, _) => return Verdict::Stop,
        (AnswerClass::Unauthorized { renewed: false }, _) => return Verdict::Retry,
        (class, Repeat::OnlyIfNotCarriedOut) if class.leaves_doubt() => return Verdict::Unknown,
        (AnswerClass::Unauthorized { renewed: true } | AnswerClass::Unusable, _) => return Verdict::Stop,
        (AnswerClass::Throttled(asked), _) => (asked, budget.throttle),
        (AnswerClass::Outage(asked), _) => (asked, budget.outage),
        (AnswerClass::Unanswered, _) => (None, budget.outage),
        (AnswerClass::NotSent, _) => (None, budget.connect),
    };
    let own = back_off(made, jitter);
    let wait = match asked {
        // Who asks for no wait again and again would be asked without a pause until the budget ends.
        Some(asked) if made > 1 && asked.is_zero() => own,
        Some(asked) => asked,
        None => own,
    };
    match spent.checked_add(wait) {
        Some(total) if total <= limit => Verdict::Wait(wait),
        _ => Verdict::Stop,
    }
}

/// 1, 2, 4 … 30 seconds, each between half and the whole of itself, so that benches that failed together don't return together.
pub fn back_off(made: u32, jitter: f64) -> Duration {
    let doublings = made.saturating_sub(1).min(16);
    let whole = Duration::from_secs(1u64 << doublings).min(LONGEST);
    let jitter = if jitter.is_finite() { jitter.clamp(0.0, 1.0) } else { 1.0 };
    whole.mul_f64(0.5 + jitter / 2.0)
}

/// Reads `Retry-After`: seconds, or an HTTP date against the server's own `Date` (RFC 9110 §10.2.3). A date in the past is no wait.
pub fn retry_after(header: &str, server_now: Option<jiff::Timestamp>) -> Option<Duration> {
    let header = header.trim();
    if let Ok(seconds) = header.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    // Some gateways send "1.5".
    if let Some(seconds) = header.parse::<f64>().ok().filter(|s| s.is_finite() && (0.0..1e9).contains(s)) {
        return Some(Duration::from_secs_f64(seconds.ceil()));
    }
    let until = http_date(header)?;
    let span = until.duration_since(server_now?);
    Some(Duration::try_from(span).unwrap_or(Duration::ZERO))
}

/// Reads an HTTP date such as `Sat, 21 Nov 2026 01:14:53 GMT`.
pub fn http_date(text: &str) -> Option<jiff::Timestamp> {
    jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text.trim()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BUDGET: Budget = Budget {
        outage: Duration::from_secs(120),
        connect: Duration::from_secs(30),
        throttle: Duration::from_secs(600),
    };

    fn secs(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn the_table() {
        use AnswerClass::{Final, Hopeless, NotSent, Outage, Throttled, Unanswered, Unauthorized, Unusable};
        use Repeat::{OnlyIfNotCarriedOut as Once, Read, Safe};
        use Verdict::{Retry, Stop, Unknown, Wait};
        for (class, repeat, made, spent, wanted) in [
            (Final, Safe, 1, 0, Stop),
            (Hopeless, Safe, 1, 0, Stop),
            (Unauthorized { renewed: false }, Safe, 1, 0, Retry),
            (Unauthorized { renewed: false }, Once, 3, 0, Retry),
            (Unauthorized { renewed: true }, Safe, 2, 0, Stop),
            (Unusable, Safe, 1, 0, Stop),
            (Unusable, Read, 1, 0, Stop),
            (Unusable, Once, 1, 0, Unknown),
            // To the second, whatever our own back-off would be; also for what mustn't happen twice: 429 is "not carried out".
            (Throttled(Some(secs(17))), Safe, 1, 0, Wait(secs(17))),
            (Throttled(Some(secs(17))), Once, 5, 0, Wait(secs(17))),
            (Throttled(Some(secs(0))), Safe, 1, 0, Wait(secs(0))),
            // Once is a courtesy, again and again would be a hot loop.
            (Throttled(Some(secs(0))), Safe, 2, 0, Wait(secs(2))),
            (Throttled(Some(secs(1))), Once, 5, 0, Wait(secs(1))),
            (Outage(Some(secs(0))), Read, 9, 0, Wait(secs(30))),
            (Throttled(Some(secs(100))), Safe, 4, 500, Wait(secs(100))),
            (Throttled(Some(secs(101))), Safe, 4, 500, Stop),
            (Throttled(None), Safe, 1, 0, Wait(secs(1))),
            (Outage(Some(secs(7))), Safe, 1, 0, Wait(secs(7))),
            (Outage(None), Safe, 3, 0, Wait(secs(4))),
            (Outage(None), Safe, 9, 0, Wait(secs(30))),
            (Outage(None), Safe, 9, 91, Stop),
            (Outage(None), Once, 1, 0, Unknown),
            (Outage(Some(secs(1))), Once, 1, 0, Unknown),
            (Unanswered, Once, 1, 0, Unknown),
            (Unanswered, Safe, 1, 0, Wait(secs(1))),
            (NotSent, Once, 1, 0, Wait(secs(1))),
            (NotSent, Safe, 6, 20, Stop),
        ] {
            assert_eq!(
                decide(class, repeat, made, secs(spent), 1.0, &BUDGET),
                wanted,
                "{class:?} {repeat:?} {made} {spent}"
            );
        }
    }

    #[test]
    fn retry_after_comes_as_seconds_or_as_a_date() {
        let now = http_date("Sat, 21 Nov 2026 01:14:53 GMT");
        assert!(now.is_some());
        assert_eq!(retry_after("12", None), Some(secs(12)));
        assert_eq!(retry_after(" 1.2 ", None), Some(secs(2)));
        assert_eq!(retry_after("Sat, 21 Nov 2026 01:15:03 GMT", now), Some(secs(10)));
        assert_eq!(retry_after("Sat, 21 Nov 2026 01:14:03 GMT", now), Some(Duration::ZERO));
        assert_eq!(retry_after("Sat, 21 Nov 2026 01:15:03 GMT", None), None);
        for bad in ["", "-1", "soon", "1e99", "NaN"] {
            assert_eq!(retry_after(bad, now), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_service_that_asks_for_no_wait_is_not_asked_in_a_hot_loop(jitter in 0.0f64..1.0) {
            let (mut spent, mut made) = (Duration::ZERO, 1);
            let no_wait = AnswerClass::Throttled(Some(Duration::ZERO));
            while let Verdict::Wait(wait) = decide(no_wait, Repeat::Safe, made, spent, jitter, &BUDGET) {
                spent += wait;
                made += 1;
                prop_assert!(made < 100);
            }
            prop_assert!(spent >= secs(500));
        }

        #[test]
        fn every_series_ends(jitter in 0.0f64..1.0) {
            let mut spent = Duration::ZERO;
            let mut made = 1;
            while let Verdict::Wait(wait) = decide(AnswerClass::Outage(None), Repeat::Safe, made, spent, jitter, &BUDGET) {
                prop_assert!(wait >= Duration::from_millis(500) && wait <= LONGEST);
                spent += wait;
                made += 1;
                prop_assert!(made < 100);
            }
            // "500s for a minute" are waited out.
            prop_assert!(spent >= secs(60));
        }

        #[test]
        fn no_header_panics(text in "\\PC{0,60}") {
            let _ = retry_after(&text, http_date("Sat, 21 Nov 2026 01:14:53 GMT"));
        }
    }
}
