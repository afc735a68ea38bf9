//! Plans and changes in words and as JSON.

use serde_json::{Value, json};

use super::confirm;
use crate::cli::Context;
use crate::tenant::apply::{Step, in_words};
use crate::tenant::names::Names;
use crate::tenant::overlay::Difference;
use crate::tenant::plan::{Change, Effects, Plan, Weight};
use crate::tenant::statements::{Statement, Topic};

/// A plan, on stdout.
pub(super) fn plan(context: &Context<'_>, plan: &Plan, names: &Names, said: &[Statement]) {
    let output = context.output;
    for (index, change) in plan.changes.iter().enumerate() {
        output.json(&json!({
            "event": "change", "number": index + 1, "area": change.area, "subject": change.subject,
            "call": change.act.call(), "beta": change.act.is_beta(), "tried_first": change.gate.is_some(),
            "differences": change.differences.iter().map(difference_json).collect::<Vec<_>>(),
            "before": change.before, "after": change.after,
        }));
        output.answer(&format!("{:>2}. {}", index + 1, change.subject));
        lines(&change.differences, names).iter().for_each(|line| output.answer(&format!("      {line}")));
        if let Some(gate) = &change.gate {
            output.answer(&format!("      tried first by what-if: {}", in_words(&gate.doing)));
        }
    }
    if plan.is_empty() {
        output.answer("Nothing to change: the tenant is as the file says.");
    } else {
        on_people(context, &plan.effects, &plan.looked_at);
    }
    cautions(context, &plan.effects);
    by_hand(context, said);
    output.json(&json!({
        "event": "plan", "changes": plan.changes.len(), "locked_out": plan.locked_out(),
        "uncounted": plan.effects.uncounted.len(), "looked_at": plan.looked_at,
    }));
}

/// What a change does to people, and where nobody can say.
pub(super) fn on_people(context: &Context<'_>, effects: &Effects, looked_at: &str) {
    let output = context.output;
    output.answer(&format!("\nWhat it does to people. {looked_at}"));
    for effect in &effects.on_people {
        let weight = weight(effect.weight);
        output.json(&json!({ "event": "effect", "weight": weight, "what": effect.what, "people": effect.people }));
        output.answer(&format!(
            "  {:<10}  {}\n              {}",
            weight.replace('-', " "),
            effect.people.join(", "),
            effect.what
        ));
    }
    if effects.on_people.is_empty() {
        output.answer("  Nobody of them loses anything.");
    }
    if effects.uncounted.is_empty() {
        return;
    }
    output.answer("\nWho else is locked out can't be counted:");
    for (number, what) in effects.uncounted.iter().enumerate() {
        output.json(&json!({ "event": "caution", "what": what, "uncounted": true }));
        output.answer(&format!("  {}. {what}", number.saturating_add(1)));
    }
}

/// What should be known besides.
pub(super) fn cautions(context: &Context<'_>, effects: &Effects) {
    for caution in &effects.cautions {
        context.output.json(&json!({ "event": "caution", "what": caution, "uncounted": false }));
    }
    if !effects.cautions.is_empty() {
        context.output.answer("\nMind:");
        effects.cautions.iter().for_each(|caution| context.output.answer(&format!("  - {caution}")));
    }
}

/// What has no API and is not settled yet.
fn by_hand(context: &Context<'_>, said: &[Statement]) {
    let open = |topic: &Topic| !said.iter().any(|one| one.topic == *topic && one.answer.is_settled());
    let open: Vec<Topic> = Topic::ALL.into_iter().filter(open).collect();
    if open.is_empty() {
        return;
    }
    context
        .output
        .answer("\nNo API has these; look at them in the portal, then `keybench tenant confirm SETTING done`:");
    for topic in open {
        let statement = said.iter().find(|one| one.topic == topic);
        context.output.json(&json!({
            "event": "by-hand", "setting": topic.id(), "title": topic.title(), "portal": topic.portal(),
            "wanted": topic.wanted(), "answer": statement.map(|one| one.answer.id()),
        }));
        let text = confirm::in_words(topic, statement);
        text.lines().take(4).for_each(|line| context.output.answer(&format!("  {line}")));
    }
}

fn weight(weight: Weight) -> &'static str {
    match weight {
        Weight::LockedOut => "locked-out",
        Weight::Loses => "loses",
        Weight::Note => "note",
    }
}

fn difference_json(one: &Difference) -> Value {
    json!({ "path": one.path, "old": one.old, "new": one.new })
}

/// Where documents differ, a line each; groups and people by name.
pub(super) fn lines(differences: &[Difference], names: &Names) -> Vec<String> {
    differences
        .iter()
        .map(|one| {
            let path: Vec<String> = one.path.split('.').map(|part| names.of(part)).collect();
            let path = if one.path.is_empty() { "all of it".to_owned() } else { path.join(".") };
            match (&one.old, &one.new) {
                (Value::Array(old), Value::Array(new)) if !old.is_empty() => {
                    let only = |these: &[Value], those: &[Value], sign: char| -> Vec<String> {
                        let only = these.iter().filter(|item| !those.contains(item));
                        only.map(|item| format!("{sign}{}", value(item, names))).collect()
                    };
                    let mut parts = only(old, new, '-');
                    parts.extend(only(new, old, '+'));
                    format!("{path}: {}", parts.join(" "))
                }
                (Value::Null, Value::Object(item)) => format!("+ {path}{}", members(item, names)),
                (Value::Object(_), Value::Null) => format!("- {path}"),
                (Value::Null, new) => format!("+ {path}: {}", value(new, names)),
                _ => format!("{path}: {} → {}", value(&one.old, names), value(&one.new, names)),
            }
        })
        .collect()
}

/// What a new item says, beside what its name tells.
fn members(item: &serde_json::Map<String, Value>, names: &Names) -> String {
    let told = item.iter().filter(|(name, value)| {
        !matches!(name.as_str(), "id" | "name" | "targetType" | "@odata.type") && **value != Value::Bool(false)
    });
    let told: Vec<String> = told.map(|(name, item)| format!("{name} {}", value(item, names))).collect();
    if told.is_empty() { String::new() } else { format!(" ({})", told.join(", ")) }
}

/// The line with every id that has a name replaced by it.
fn named(line: &str, names: &Names) -> String {
    let word = |word: &str| {
        let bare = word.trim_end_matches([':', ',', ')']);
        if names.knows(bare) { word.replacen(bare, &names.of(bare), 1) } else { word.to_owned() }
    };
    line.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

/// A value for people.
fn value(value: &Value, names: &Names) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::String(text) if text.starts_with('$') => {
            format!("the new {}", text.trim_start_matches('$').replacen(':', " ", 1))
        }
        Value::String(text) => one_line(&names.of(text)),
        Value::Array(items) => {
            format!("[{}]", items.iter().map(|item| self::value(item, names)).collect::<Vec<_>>().join(", "))
        }
        Value::Object(map) => {
            let members: Vec<String> =
                map.iter().map(|(name, item)| format!("{name} {}", self::value(item, names))).collect();
            format!("{{{}}}", members.join(", "))
        }
        plain => plain.to_string(),
    }
}

/// Without control characters: what a tenant says is not to move anybody's cursor.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// What happens while a plan is carried out.
pub(super) fn step(context: &Context<'_>, names: &Names, step: Step<'_>) {
    let output = context.output;
    match step {
        Step::Writing(id, Change { subject, .. }) => output.progress(&format!("{id}: writing {subject} …")),
        Step::Waiting { subject, seconds } => {
            output.progress(&format!("    taken; not shown yet, waiting since {seconds} s ({subject})"));
        }
        Step::Done(id, change) => {
            output.json(&json!({ "event": "changed", "change": id, "area": change.area, "subject": change.subject }));
            output.answer(&format!("{id}: done and read back: {}", change.subject));
        }
        Step::Tried(gate, lines) => {
            output.progress(&format!("Trying {} by what-if: {}", gate.policy, in_words(&gate.doing)));
            lines.iter().for_each(|line| output.progress(&format!("    {}", named(line, names))));
        }
        Step::Held(change, why) => {
            output.json(&json!({ "event": "held", "subject": change.subject, "why": why }));
            output.answer(&format!("Left as it is: {}.\n    {}", change.subject, named(why, names)));
        }
        Step::Settled { change, made, area } => {
            output.json(&json!({ "event": "settled", "change": change, "area": area, "made": made }));
            let how = if made { "it was made" } else { "it was not made" };
            output.progress(&format!("Change {change} ({area}) was cut off earlier; by reading, {how}."));
        }
    }
}
