//! What may be done with a parcel now, and why not. Pure.

use jiff::civil::Date;
use jiff::{Timestamp, Unit, Zoned};

use super::state::{Hold, Parcel, Place};

/// Why something has to wait, or can't be done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotNow {
    /// The bench is not done with it.
    #[error("its key is not finished at the bench")]
    NotFinished,
    /// It is in a parcel already.
    #[error("its key was packed on {when} by {by}")]
    PackedAlready {
        /// When.
        when: Timestamp,
        /// By whom.
        by: String,
    },
    /// Nobody packed it.
    #[error("its key was not packed here")]
    NotPacked,
    /// Nobody knows that it arrived.
    #[error("nothing says that its parcel arrived")]
    NotDelivered,
    /// Nobody made sure who holds it.
    #[error("nobody has made sure that the right person holds the key")]
    NotVerified,
    /// Two people are needed.
    #[error("{0} packed its key; whoever packed a key does not release its PIN")]
    SamePerson(String),
    /// Two people are needed here too.
    #[error("{0} packed its key; whoever packed a key does not activate it")]
    PackerActivates(String),
    /// Its registration waits for receipt.
    #[error("its key is held and not activated: it opens nothing yet")]
    NotActivated,
    /// It was registered at the bench, or is activated already.
    #[error("its key does not wait to be activated")]
    NotHeld,
    /// Its registration can't be sent any more.
    #[error("its key could be activated until {0}")]
    HoldExpired(Timestamp),
    /// The hold was ended.
    #[error("its sealed registration was destroyed: the key opens nothing any more")]
    HoldOver,
    /// The PIN is out.
    #[error("its PIN was released on {0}")]
    ReleasedAlready(Timestamp),
    /// A mail with it may have left.
    #[error("a mail with its PIN was about to leave on {0}, and nobody knows whether it did")]
    ReleaseUnknown(Timestamp),
    /// No good letter.
    #[error("there is no good PIN letter for it")]
    NoLetter,
    /// The letter lay too long.
    #[error("its PIN letter is {days} days old; letters live {limit}")]
    LetterExpired {
        /// Its age.
        days: i64,
        /// How old it may be.
        limit: u16,
    },
    /// The letter's own last day is over.
    #[error("its PIN letter says itself that it is good until {0}")]
    LetterOver(Date),
    /// The key is gone.
    #[error("its key is lost")]
    Lost,
    /// The key is back.
    #[error("its key came back")]
    Returned,
}

/// What the organisation asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// A PIN leaves only after receipt.
    pub after_receipt: bool,
    /// Days that a letter lives.
    pub letter_days: u16,
}

fn on_its_way(parcel: &Parcel) -> Result<(), NotNow> {
    match parcel.place() {
        Place::Bench => Err(NotNow::NotFinished),
        Place::Lost => Err(NotNow::Lost),
        Place::Returned => Err(NotNow::Returned),
        _ => Ok(()),
    }
}

/// May the key be put into a parcel?
///
/// # Errors
/// Why not.
pub fn may_pack(parcel: &Parcel) -> Result<(), NotNow> {
    on_its_way(parcel)?;
    if parcel.hold == Some(Hold::Over) {
        return Err(NotNow::HoldOver);
    }
    match &parcel.packed {
        Some((when, by)) => Err(NotNow::PackedAlready { when: *when, by: by.clone() }),
        None => Ok(()),
    }
}

/// May the parcel be noted as arrived?
///
/// # Errors
/// Why not.
pub fn may_be_delivered(parcel: &Parcel) -> Result<(), NotNow> {
    on_its_way(parcel)?;
    if parcel.packed.is_none() { Err(NotNow::NotPacked) } else { Ok(()) }
}

/// May somebody say that the right person holds the key?
///
/// # Errors
/// Why not. Before the parcel arrived nobody can hold its key.
pub fn may_be_verified(parcel: &Parcel) -> Result<(), NotNow> {
    may_be_delivered(parcel)?;
    if parcel.delivered.is_none() { Err(NotNow::NotDelivered) } else { Ok(()) }
}

/// May this person activate the held key? Always after receipt and by somebody else than who packed it, whatever the settings
/// say of PINs: the code on the card alone activates nothing, because a thief of the parcel has it.
///
/// # Errors
/// Why not.
pub fn may_activate(parcel: &Parcel, by: &[&str], now: Timestamp) -> Result<(), NotNow> {
    on_its_way(parcel)?;
    match parcel.hold {
        Some(Hold::Waits { expires }) if now >= expires => return Err(NotNow::HoldExpired(expires)),
        Some(Hold::Waits { .. }) => {}
        Some(Hold::Over) => return Err(NotNow::HoldOver),
        Some(Hold::Activated) | None => return Err(NotNow::NotHeld),
    }
    may_be_verified(parcel)?;
    if parcel.verified.is_none() {
        return Err(NotNow::NotVerified);
    }
    match packer_among(parcel, by) {
        Some(packer) => Err(NotNow::PackerActivates(packer)),
        None => Ok(()),
    }
}

/// The packer, if it is one of these.
fn packer_among(parcel: &Parcel, by: &[&str]) -> Option<String> {
    let (_, packer) = parcel.packed.as_ref()?;
    by.iter().any(|by| same_person(packer, by)).then(|| packer.clone())
}

/// May this person hand the PIN over? `by_letter`: as a letter, which must be good and not too old. `now` is local time: a
/// letter's last day is one where it is read.
///
/// # Errors
/// Why not.
pub fn may_release(
    parcel: &Parcel,
    settings: &Settings,
    by: &[&str],
    by_letter: bool,
    now: &Zoned,
) -> Result<(), NotNow> {
    on_its_way(parcel)?;
    if let Some(when) = parcel.released {
        return Err(NotNow::ReleasedAlready(when));
    }
    if let Some(when) = parcel.releasing {
        return Err(NotNow::ReleaseUnknown(when));
    }
    if settings.after_receipt {
        may_be_verified(parcel)?;
        if parcel.verified.is_none() {
            return Err(NotNow::NotVerified);
        }
    }
    // Whatever the settings say: the PIN of a key that opens nothing is of use to a thief only.
    match parcel.hold {
        Some(Hold::Waits { .. }) => return Err(NotNow::NotActivated),
        Some(Hold::Over) => return Err(NotNow::HoldOver),
        Some(Hold::Activated) | None => {}
    }
    if let Some(packer) = packer_among(parcel, by) {
        return Err(NotNow::SamePerson(packer));
    }
    if by_letter {
        let letter = parcel.letter.ok_or(NotNow::NoLetter)?;
        let age = now.timestamp().since((Unit::Hour, letter.confirmed));
        let days = age.map_or(i64::MAX, |age| i64::from(age.get_hours()) / 24);
        if days >= i64::from(settings.letter_days) {
            return Err(NotNow::LetterExpired { days, limit: settings.letter_days });
        }
        // It was printed days before it was confirmed, say: what the person reads counts as well.
        if let Some(last) = letter.last_day.filter(|last| now.date() > *last) {
            return Err(NotNow::LetterOver(last));
        }
    }
    Ok(())
}

/// Names are typed by people: case and blanks don't make another person.
fn same_person(one: &str, other: &str) -> bool {
    let plain = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
    plain(one) == plain(other)
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::super::state::GoodLetter;
    use super::*;

    const SETTINGS: Settings = Settings { after_receipt: true, letter_days: 21 };

    fn at(days: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + days * 86_400).expect("a time")
    }

    /// The same on a clock in London.
    fn day(days: i64) -> Zoned {
        at(days).to_zoned(TimeZone::UTC)
    }

    fn letter(last_day: Option<Date>) -> Option<GoodLetter> {
        Some(GoodLetter { confirmed: at(1), last_day, issue: 1 })
    }

    fn finished() -> Parcel {
        Parcel { attempt: 1, finished: Some(at(0)), ..Parcel::default() }
    }

    fn packed() -> Parcel {
        Parcel { packed: Some((at(1), "Robin Roe".into())), letter: letter(None), ..finished() }
    }

    #[test]
    fn each_step_waits_for_the_one_before() {
        let begun = Parcel { attempt: 1, ..Parcel::default() };
        assert_eq!(may_pack(&begun), Err(NotNow::NotFinished));
        assert_eq!(may_pack(&finished()), Ok(()));
        assert!(matches!(may_pack(&packed()), Err(NotNow::PackedAlready { .. })));
        assert_eq!(may_be_delivered(&finished()), Err(NotNow::NotPacked));
        assert_eq!(may_be_delivered(&packed()), Ok(()));
        assert_eq!(may_be_verified(&packed()), Err(NotNow::NotDelivered));
        let delivered = Parcel { delivered: Some(at(3)), ..packed() };
        assert_eq!(may_be_verified(&delivered), Ok(()));
        let release = |parcel: &Parcel, by: &str, on| may_release(parcel, &SETTINGS, &[by], true, &day(on));
        assert_eq!(release(&packed(), "Kim", 3), Err(NotNow::NotDelivered));
        assert_eq!(release(&delivered, "Kim", 3), Err(NotNow::NotVerified), "a code alone releases nothing");
        let verified = Parcel { verified: Some((at(4), "Kim".into())), ..delivered };
        assert_eq!(release(&verified, "Kim", 4), Ok(()));
        assert_eq!(release(&verified, " robin  ROE", 4), Err(NotNow::SamePerson("Robin Roe".into())));
        assert_eq!(release(&verified, "Kim", 22), Err(NotNow::LetterExpired { days: 21, limit: 21 }));
        assert_eq!(release(&Parcel { letter: None, ..verified.clone() }, "Kim", 4), Err(NotNow::NoLetter));
        assert_eq!(may_release(&verified, &SETTINGS, &["Kim"], false, &day(40)), Ok(()), "no letter, no age");
        let last = day(3).date();
        let old = Parcel { letter: letter(Some(last)), ..verified.clone() };
        assert_eq!(release(&old, "Kim", 3), Ok(()), "on its last day");
        assert_eq!(release(&old, "Kim", 4), Err(NotNow::LetterOver(last)), "the letter itself says so");
        let on = |at: Timestamp, hours| {
            let zone = TimeZone::fixed(jiff::tz::offset(hours));
            may_release(&old, &SETTINGS, &["Kim"], true, &at.to_zoned(zone))
        };
        assert_eq!(on(at(4), -10), Ok(()), "in Honolulu that day is not over yet");
        let evening = at(3).saturating_add(jiff::SignedDuration::from_hours(12)).expect("a time");
        assert_eq!((on(evening, 0), on(evening, 13)), (Ok(()), Err(NotNow::LetterOver(last))), "in Auckland it is");
        let released = Parcel { released: Some(at(5)), ..verified };
        assert_eq!(release(&released, "Kim", 6), Err(NotNow::ReleasedAlready(at(5))));
        let in_doubt = Parcel { released: None, releasing: Some(at(5)), ..released };
        assert_eq!(release(&in_doubt, "Kim", 6), Err(NotNow::ReleaseUnknown(at(5))), "never twice by chance");
    }

    #[test]
    fn without_the_rule_a_letter_may_leave_before_the_receipt() {
        let loose = Settings { after_receipt: false, ..SETTINGS };
        assert_eq!(may_release(&packed(), &loose, &["Kim"], true, &day(2)), Ok(()));
        assert!(may_release(&packed(), &loose, &["x", "Robin Roe"], true, &day(2)).is_err(), "two people in any case");
    }

    #[test]
    fn a_held_key_is_activated_after_receipt_by_another_and_only_then_its_pin_leaves() {
        let held = |parcel: Parcel| Parcel { hold: Some(Hold::Waits { expires: at(30) }), ..parcel };
        let activate = |parcel: &Parcel, by: &str, day| may_activate(parcel, &[by], at(day));
        assert_eq!(activate(&packed(), "Kim", 3), Err(NotNow::NotHeld));
        assert_eq!(activate(&held(packed()), "Kim", 3), Err(NotNow::NotDelivered));
        let delivered = held(Parcel { delivered: Some(at(3)), ..packed() });
        assert_eq!(activate(&delivered, "Kim", 3), Err(NotNow::NotVerified), "the card's code alone activates nothing");
        let verified = Parcel { verified: Some((at(4), "Kim".into())), ..delivered };
        assert_eq!(verified.place(), Place::ToActivate);
        assert_eq!(activate(&verified, "ROBIN roe ", 4), Err(NotNow::PackerActivates("Robin Roe".into())));
        assert_eq!(activate(&verified, "Kim", 4), Ok(()));
        assert_eq!(activate(&verified, "Kim", 30), Err(NotNow::HoldExpired(at(30))));
        for after_receipt in [true, false] {
            let settings = Settings { after_receipt, ..SETTINGS };
            assert_eq!(may_release(&verified, &settings, &["Kim"], true, &day(4)), Err(NotNow::NotActivated));
        }
        let activated = Parcel { hold: Some(Hold::Activated), ..verified.clone() };
        assert_eq!(activated.place(), Place::ToRelease);
        assert_eq!(may_release(&activated, &SETTINGS, &["Kim"], true, &day(4)), Ok(()));
        assert_eq!(activate(&activated, "Kim", 4), Err(NotNow::NotHeld), "not twice");
        let over = Parcel { hold: Some(Hold::Over), ..verified };
        assert_eq!(activate(&over, "Kim", 4), Err(NotNow::HoldOver));
        assert_eq!(may_release(&over, &SETTINGS, &["Kim"], true, &day(4)), Err(NotNow::HoldOver));
    }

    #[test]
    fn a_lost_or_returned_key_goes_nowhere() {
        for (parcel, why) in [
            (Parcel { lost: Some(at(2)), ..packed() }, NotNow::Lost),
            (Parcel { returned: Some(at(2)), ..packed() }, NotNow::Returned),
        ] {
            assert_eq!(may_pack(&parcel), Err(why.clone()));
            assert_eq!(may_be_delivered(&parcel), Err(why.clone()));
            assert_eq!(may_be_verified(&parcel), Err(why.clone()));
            assert_eq!(may_release(&parcel, &SETTINGS, &["Kim"], true, &day(3)), Err(why));
        }
    }
}
