//! The packing table: what is scanned, in which order, and when to stop. Pure.
//!
//! Promise: nothing is packed before key and parcel were both scanned and belong together; a mismatch forgets both, so that
//! the next scan can't complete it by chance.

use crate::model::JobId;

/// What was scanned or typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scanned {
    /// A key: by its label, its serial number, or plugged in.
    Key {
        /// Whose.
        job: JobId,
        /// `label`, `serial` or `plugged`.
        seen_by: &'static str,
    },
    /// A parcel's label.
    Parcel(JobId),
    /// A sheet of a PIN letter: it has no place at this table.
    PinPaper(JobId),
    /// Anything else: the carrier's number, where one is asked for.
    Text(String),
    /// There is no carrier's number.
    NoNumber,
}

/// What is asked for next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asks {
    /// A key.
    Key,
    /// The parcel of this key.
    Parcel {
        /// Whose key is in hand.
        job: JobId,
        /// How it was recognised.
        seen_by: &'static str,
    },
    /// The carrier's number.
    Number {
        /// Whose parcel it is.
        job: JobId,
        /// How the key was recognised.
        seen_by: &'static str,
    },
}

/// What a scan came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Go on: something else is asked for now.
    Next,
    /// Key and parcel belong together, and all is told.
    Packed {
        /// Whose.
        job: JobId,
        /// How the key was recognised.
        seen_by: &'static str,
        /// The carrier's number.
        tracking: Option<String>,
    },
    /// The parcel is another's. Take both apart.
    OtherParcel {
        /// Whose key is in hand.
        key: JobId,
        /// Whose parcel it is.
        parcel: JobId,
    },
    /// A PIN letter lies at the packing table.
    PinPaper(JobId),
    /// Not what was asked for; it is still asked for.
    Unexpected,
}

/// The table, between two scans.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    asks: Asks,
    numbers: bool,
}

impl Table {
    /// An empty table. `numbers`: the carrier's number is asked for.
    pub fn new(numbers: bool) -> Self {
        Self { asks: Asks::Key, numbers }
    }

    /// What is asked for.
    pub fn asks(&self) -> &Asks {
        &self.asks
    }

    /// Forgets what was scanned.
    pub fn clear(&mut self) {
        self.asks = Asks::Key;
    }

    /// Takes a scan.
    pub fn scan(&mut self, scanned: Scanned) -> Verdict {
        match (self.asks.clone(), scanned) {
            (_, Scanned::PinPaper(job)) => {
                self.clear();
                Verdict::PinPaper(job)
            }
            (Asks::Key, Scanned::Key { job, seen_by }) => {
                self.asks = Asks::Parcel { job, seen_by };
                Verdict::Next
            }
            // A key's label twice: the scanner bounced. Another key's: two keys are in hand.
            (Asks::Parcel { job, .. }, Scanned::Key { job: again, .. }) if job == again => Verdict::Unexpected,
            (Asks::Parcel { job: key, .. } | Asks::Number { job: key, .. }, Scanned::Key { job: parcel, .. })
            | (Asks::Number { job: key, .. }, Scanned::Parcel(parcel))
                if key != parcel =>
            {
                self.clear();
                Verdict::OtherParcel { key, parcel }
            }
            (Asks::Parcel { job, seen_by }, Scanned::Parcel(parcel)) => {
                self.clear();
                if job != parcel {
                    return Verdict::OtherParcel { key: job, parcel };
                }
                if self.numbers {
                    self.asks = Asks::Number { job, seen_by };
                    return Verdict::Next;
                }
                Verdict::Packed { job, seen_by, tracking: None }
            }
            (Asks::Number { job, seen_by }, Scanned::Text(number)) => {
                self.clear();
                Verdict::Packed { job, seen_by, tracking: Some(number) }
            }
            (Asks::Number { job, seen_by }, Scanned::NoNumber) => {
                self.clear();
                Verdict::Packed { job, seen_by, tracking: None }
            }
            _ => Verdict::Unexpected,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn job(name: &str) -> JobId {
        JobId::new(name)
    }

    fn key(name: &str) -> Scanned {
        Scanned::Key { job: job(name), seen_by: "label" }
    }

    #[test]
    fn key_parcel_number() {
        let mut table = Table::new(true);
        assert_eq!(table.scan(Scanned::Parcel(job("A"))), Verdict::Unexpected, "the key first");
        assert_eq!(table.scan(key("A")), Verdict::Next);
        assert_eq!(table.scan(key("A")), Verdict::Unexpected, "the scanner bounced");
        assert_eq!(table.scan(Scanned::Parcel(job("A"))), Verdict::Next);
        assert_eq!(table.scan(Scanned::Parcel(job("A"))), Verdict::Unexpected);
        let packed = Verdict::Packed { job: job("A"), seen_by: "label", tracking: Some("JD01".into()) };
        assert_eq!(table.scan(Scanned::Text("JD01".into())), packed);
        assert_eq!(table.asks(), &Asks::Key);
    }

    #[test]
    fn a_mismatch_forgets_both() {
        let mut table = Table::new(false);
        table.scan(key("A"));
        let stop = Verdict::OtherParcel { key: job("A"), parcel: job("B") };
        assert_eq!(table.scan(Scanned::Parcel(job("B"))), stop);
        assert_eq!(table.scan(Scanned::Parcel(job("A"))), Verdict::Unexpected, "the key has to be scanned again");
        table.scan(key("A"));
        assert_eq!(table.scan(key("B")), stop, "two keys in hand");
        table.scan(key("A"));
        assert_eq!(table.scan(Scanned::PinPaper(job("A"))), Verdict::PinPaper(job("A")));
        assert_eq!(table.asks(), &Asks::Key);
    }

    fn scans() -> impl Strategy<Value = Scanned> {
        let name = || prop_oneof![Just("A"), Just("B"), Just("C")];
        prop_oneof![
            name().prop_map(key),
            name().prop_map(|name| Scanned::Parcel(job(name))),
            name().prop_map(|name| Scanned::PinPaper(job(name))),
            Just(Scanned::Text("JD01".into())),
            Just(Scanned::NoNumber),
        ]
    }

    proptest! {
        /// Whatever is scanned: what is packed was scanned as key and as parcel, in this order, with no other key, other
        /// parcel or PIN paper between.
        #[test]
        fn nothing_is_packed_by_chance(scans in prop::collection::vec(scans(), 1..30), numbers: bool) {
            let mut table = Table::new(numbers);
            let mut since: Vec<Scanned> = Vec::new();
            for scan in scans {
                let verdict = table.scan(scan.clone());
                since.push(scan);
                match verdict {
                    Verdict::Packed { job, .. } => {
                        let parcel = since.iter().rposition(|one| *one == Scanned::Parcel(job.clone()));
                        let before = &since[..parcel.expect("its parcel was scanned")];
                        let key = before.iter().rposition(|one| matches!(one, Scanned::Key { job: of, .. } if *of == job));
                        let after = &since[key.expect("its key was scanned, and before the parcel")..];
                        let stray = after.iter().any(|one| match one {
                            Scanned::Key { job: of, .. } | Scanned::Parcel(of) => *of != job,
                            Scanned::PinPaper(_) => true,
                            _ => false,
                        });
                        prop_assert!(!stray, "{:?}", after);
                        since.clear();
                    }
                    Verdict::OtherParcel { .. } | Verdict::PinPaper(_) => since.clear(),
                    _ => {}
                }
            }
        }
    }
}
