//! The trials, in the order in which they are run. Each file says what it destroys and what it needs.

mod foreign_client;
mod info;
mod kill_at;
mod memory;
mod permission;
mod proof;
mod provision;
mod replug;
mod storm;
mod unplug_at;

use crate::Trial;

pub fn all() -> &'static [Trial] {
    &[
        info::TRIAL,
        permission::WITHOUT,
        provision::ONE,
        provision::MANY,
        replug::TRIAL,
        foreign_client::TRIAL,
        storm::TRIAL,
        memory::TRIAL,
        proof::TOOLS,
        proof::PYTHON,
        unplug_at::TRIAL,
        kill_at::TRIAL,
        permission::UDEV,
    ]
}
