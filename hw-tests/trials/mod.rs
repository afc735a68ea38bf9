//! The trials, in the order in which they are run. Each file says what it destroys and what it needs.

mod duts;
mod foreign_client;
mod info;
mod itself;
mod kill_at;
mod memory;
mod permission;
mod pin;
mod proof;
mod provision;
mod record;
mod replug;
mod reset;
mod second_firmware;
mod soak;
mod speed;
mod storm;
mod unplug_at;

use crate::Trial;

pub fn all() -> &'static [Trial] {
    &[
        info::TRIAL,
        record::TRIAL,
        permission::WITHOUT,
        provision::ONE,
        provision::MANY,
        pin::TRIAL,
        reset::TRIAL,
        replug::TRIAL,
        second_firmware::TRIAL,
        foreign_client::TRIAL,
        storm::TRIAL,
        memory::TRIAL,
        proof::TOOLS,
        proof::PYTHON,
        proof::RUST,
        itself::TRIAL,
        duts::FILES,
        duts::LAB,
        unplug_at::TRIAL,
        kill_at::TRIAL,
        soak::TRIAL,
        speed::TRIAL,
        speed::WAITING,
        permission::UDEV,
    ]
}
