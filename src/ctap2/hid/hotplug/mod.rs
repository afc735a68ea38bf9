//! Seeing keys come and go, without asking over and over and without opening any of them. Each system has its own way, in a
//! file of its own; all of them tell [`super::stays`].

#[cfg(target_os = "linux")]
pub(super) mod linux;
#[cfg(not(target_os = "linux"))]
pub(super) mod other;

#[cfg(target_os = "linux")]
pub(super) use linux as system;
#[cfg(not(target_os = "linux"))]
pub(super) use other as system;
