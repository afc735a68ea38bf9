//! The trials, in the order in which they are run. Each file says what it destroys and what it needs.

mod info;
mod provision;

use crate::Trial;

pub fn all() -> &'static [Trial] {
    &[info::TRIAL, provision::ONE, provision::MANY]
}
