//! What the operator sees while keys are in the hub.
//!
//! [`say`] turns progress into sentences, [`board`] keeps what each port is doing, [`draw`] lays it out, [`screen`] puts it
//! on a terminal. Nothing here decides anything: it watches.

pub mod board;
pub mod draw;
pub mod say;
pub mod screen;
