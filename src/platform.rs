//! Differences between operating systems.
