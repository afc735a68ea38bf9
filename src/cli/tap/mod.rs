//! `keybench tap`: Temporary Access Passes, which are open doors for as long as they live.

mod advise;
mod issue;
mod list;
mod sweep;
#[cfg(all(test, feature = "sim"))]
mod tests;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde_json::json;

use super::at_tenant::{AtTenant, name_of};
use super::{CliError, Context, Exit, ledger};
use crate::graph::Pass;
use crate::ledger::{Ledger, TenantEntry};
use crate::model::UserId;
use crate::tenant::account_journal::{AccountJournal, Intended};

/// `keybench tap …`
#[derive(Debug, Subcommand)]
pub enum TapCommand {
    /// Issue a pass and show its code, once
    ///
    /// The code goes to stdout and nowhere else; it is in no log and not in the ledger. Issue it when the person is in front of
    /// you or on the phone, and you know who they are.
    Issue(issue::IssueArgs),
    /// Who has a pass
    List(list::ListArgs),
    /// Delete somebody's pass
    Revoke(sweep::RevokeArgs),
    /// Delete the passes of people who have a passkey now
    ///
    /// A pass that is left over is asked for before a key when its person signs in, and opens the account to whoever reads it.
    Sweep(sweep::SweepArgs),
    /// Which kind of pass fits: one-time, multi-use, or none
    Advise(advise::AdviseArgs),
}

pub(super) fn run(context: &Context<'_>, command: &TapCommand) -> Result<Exit, CliError> {
    match command {
        TapCommand::Issue(args) => issue::run(context, args),
        TapCommand::List(args) => list::run(context, args),
        TapCommand::Revoke(args) => sweep::revoke(context, args),
        TapCommand::Sweep(args) => sweep::run(context, args),
        TapCommand::Advise(args) => advise::run(context, args),
    }
}

/// Whose passes.
#[derive(Debug, Default, Args)]
pub struct Whose {
    /// User principal names or object ids [else everybody in the ledger]
    #[arg(value_name = "USER")]
    pub users: Vec<String>,
    /// The members of this group (name or object id)
    #[arg(long, value_name = "NAME|ID", conflicts_with = "users")]
    pub group: Option<String>,
    /// The people of this roster
    #[arg(long, value_name = "FILE", conflicts_with_all = ["users", "group"])]
    pub roster: Option<PathBuf>,
}

impl Whose {
    /// The people, each with a name to show.
    fn look_up(&self, at: &AtTenant) -> Result<Vec<(UserId, String)>, CliError> {
        if let Some(group) = &self.group {
            let members = at.graph.group_members(&at.graph.find_group(group)?)?;
            return Ok(members.iter().map(|user| (user.id.clone(), name_of(user))).collect());
        }
        let mut names = self.users.clone();
        if let Some(path) = &self.roster {
            let bytes = super::at_tenant::read_file(path)?;
            let roster = crate::roster::Roster::read(&path.display().to_string(), &bytes)?;
            names = roster.rows.iter().map(|row| row.upn.to_string()).collect();
        }
        if !names.is_empty() {
            let found = at.graph.find_users(&names)?;
            return names
                .iter()
                .zip(found)
                .map(|(name, user)| match user {
                    Some(user) => Ok((user.id.clone(), name_of(&user))),
                    None => at.person(name).map(|user| (user.id.clone(), name_of(&user))),
                })
                .collect();
        }
        let ledger = ledger::to_read(&at.settings)?;
        let mut people: Vec<(UserId, String)> =
            ledger.people()?.into_iter().map(|person| (person.id, person.upn.to_string())).collect();
        // Whoever got a pass from here need not have a key yet.
        for door in crate::tenant::doors::open_doors(&ledger, at.clock.now())? {
            if !people.iter().any(|(id, _)| *id == door.user) {
                people.push((door.user.clone(), door.user.to_string()));
            }
        }
        Ok(people)
    }
}

/// Deletes a pass and writes it down: the intention before, the fact after.
pub(super) fn delete(
    at: &AtTenant,
    journal: &AccountJournal<'_>,
    user: &UserId,
    pass: &Pass,
    reason: &str,
) -> Result<bool, CliError> {
    let call = format!("DELETE /users/{user}/authentication/temporaryAccessPassMethods/{}", pass.id);
    let before = described(pass);
    let change =
        journal.intend(Intended { user: Some(user), area: "pass", call: &call, before: Some(&before), sent: None })?;
    match at.graph.revoke_pass(user, &pass.id) {
        Ok(deleted) => {
            let fact = TenantEntry::MethodRemoved {
                tenant: journal.tenant.clone(),
                user: user.clone(),
                method_kind: "temporaryAccessPass".to_owned(),
                method: pass.id.clone(),
                reason: reason.to_owned(),
                by: journal.operator.clone(),
                request: deleted.request.clone(),
            };
            journal.done(&change, Some(&deleted.request), [fact])?;
            Ok(deleted.by_us)
        }
        Err(error) => {
            journal.failed(&change, &error)?;
            Err(error.into())
        }
    }
}

/// What Graph says of a pass, for the ledger: never a code.
fn described(pass: &Pass) -> serde_json::Value {
    json!({
        "id": pass.id, "startDateTime": pass.starts.map(|time| time.to_string()), "lifetimeInMinutes": pass.minutes,
        "isUsableOnce": pass.one_time, "isUsable": pass.usable, "methodUsabilityReason": pass.reason,
    })
}

/// For `--json`.
fn event(user: &UserId, name: &str, pass: &Pass, now: Timestamp) -> serde_json::Value {
    json!({
        "event": "pass", "user": user, "upn": name, "method": pass.id, "from": pass.starts.map(|time| time.to_string()),
        "until": pass.ends().map(|time| time.to_string()), "one_time": pass.one_time, "open": pass.is_open(now),
        "reason": pass.reason,
    })
}

/// For people: `one-time, until 2026-11-21 13:00 UTC`.
fn in_words(pass: &Pass, now: Timestamp) -> String {
    let kind = match pass.one_time {
        Some(true) => "one-time",
        Some(false) => "multi-use",
        None => "kind not told",
    };
    let mut text = kind.to_owned();
    if let Some(starts) = pass.starts.filter(|starts| *starts > now) {
        text.push_str(&format!(", from {}", moment(starts)));
    }
    if let Some(ends) = pass.ends() {
        text.push_str(&format!(", until {}", moment(ends)));
    }
    match pass.reason.as_deref() {
        Some("Expired") => text.push_str(": ended"),
        Some("OneTimeUsed") => text.push_str(": used"),
        Some("DisabledByPolicy") => text.push_str(": the policy does not let it work"),
        Some("NotYetValid") => text.push_str(": not yet valid"),
        _ if pass.is_open(now) => text.push_str(": OPEN"),
        _ => text.push_str(": ended"),
    }
    text
}

/// A time as the person at this machine reads it.
fn moment(time: Timestamp) -> String {
    time.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M %Z").to_string()
}
