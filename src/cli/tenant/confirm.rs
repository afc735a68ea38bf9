//! `keybench tenant confirm`: what an administrator says of settings that have no API.

use clap::Args;
use serde_json::json;

use crate::cli::{CliError, Context, Exit, ledger};
use crate::config::Settings;
use crate::model::TenantId;
use crate::platform::who;
use crate::tenant::statements::{Answer, Statement, Topic, keep, latest};

/// `keybench tenant confirm`
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  keybench tenant confirm                       what there is to confirm, and what was said
  keybench tenant confirm sspr-scope done
  keybench tenant confirm windows-web-sign-in not-used

The answer stands in the ledger for good; a later one counts instead.")]
pub struct ConfirmArgs {
    /// Which setting
    #[arg(value_name = "SETTING", value_parser = topic)]
    pub topic: Option<Topic>,
    /// How it stands: done, not-done or not-used
    #[arg(value_name = "ANSWER", requires = "topic", value_parser = answer)]
    pub answer: Option<Answer>,
}

fn topic(text: &str) -> Result<Topic, String> {
    let all = || Topic::ALL.map(Topic::id).join(", ");
    Topic::parse(text).ok_or_else(|| format!("there are {}", all()))
}

fn answer(text: &str) -> Result<Answer, String> {
    Answer::parse(text).ok_or_else(|| format!("say {}", Answer::ALL.map(Answer::id).join(", ")))
}

pub(super) fn run(context: &Context<'_>, args: &ConfirmArgs) -> Result<Exit, CliError> {
    let settings = context.settings()?;
    let tenant = settings.tenant()?.id;
    if let (Some(topic), Some(answer)) = (args.topic, args.answer) {
        let by = who::operator();
        keep(&ledger::to_begin(&settings)?, &tenant, topic, answer, &by)?;
        context.output.json(&json!({ "event": "confirmed", "setting": topic.id(), "answer": answer.id(), "by": by }));
        context.output.answer(&format!("Noted: {} is {}, said by {by}.", topic.title(), answer.id()));
        return Ok(Exit::Done);
    }
    let said = said(&settings, &tenant)?;
    for topic in Topic::ALL.into_iter().filter(|one| args.topic.is_none_or(|wanted| wanted == *one)) {
        let statement = said.iter().find(|one| one.topic == topic);
        context.output.json(&json!({
            "event": "setting", "setting": topic.id(), "title": topic.title(), "portal": topic.portal(),
            "wanted": topic.wanted(), "otherwise": topic.otherwise(),
            "answer": statement.map(|one| one.answer.id()), "by": statement.map(|one| &one.by),
            "at": statement.map(|one| one.at.to_string()),
        }));
        context.output.answer(&in_words(topic, statement));
    }
    context.output.answer("Answer with `keybench tenant confirm SETTING done`, `not-done` or `not-used`.");
    Ok(Exit::Done)
}

/// What was said so far; a bench that has no ledger yet was told nothing.
pub(super) fn said(settings: &Settings, tenant: &TenantId) -> Result<Vec<Statement>, CliError> {
    if !settings.ledger.path.exists() {
        return Ok(Vec::new());
    }
    Ok(latest(&ledger::to_read(settings)?, tenant)?)
}

/// One setting, for people.
pub(super) fn in_words(topic: Topic, statement: Option<&Statement>) -> String {
    let stands = match statement {
        Some(said) => format!("{} said {} on {}", said.by, said.answer.id(), said.at.strftime("%Y-%m-%d")),
        None => "nobody has said".to_owned(),
    };
    format!(
        "{}: {stands}\n    {}\n    {}\n    should be: {}\n    otherwise: {}",
        topic.id(),
        topic.title(),
        topic.portal(),
        topic.wanted(),
        topic.otherwise()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::testing::Desk;

    fn desk() -> Desk {
        let desk = Desk::new(1);
        desk.settings(
            "[tenant]\nid = \"72f988bf-86f1-41af-91ab-2d7cd011db47\"\nclient_id = \"11111111-2222-4333-8444-555555555555\"\n",
        );
        desk
    }

    #[test]
    fn an_answer_is_remembered_with_date_and_name() {
        let desk = desk();
        let before = desk.run(&["tenant", "confirm", "--json"]).lines();
        assert_eq!(before.len(), Topic::ALL.len());
        assert!(before.iter().all(|line| line["answer"].is_null() && line["portal"].is_string()), "{before:?}");
        let kept = desk.run(&["tenant", "confirm", "sspr-scope", "done"]);
        assert_eq!(kept.exit, Exit::Done);
        assert!(kept.out.contains("who may reset their own password is done"), "{}", kept.out);
        let shown = desk.run(&["tenant", "confirm", "sspr-scope"]).out;
        assert!(shown.contains("said done on 20") && shown.contains("Password reset > Properties"), "{shown}");
    }

    #[test]
    fn what_is_no_setting_is_refused_with_those_there_are() {
        let desk = desk();
        assert_eq!(desk.run(&["tenant", "confirm", "nonsense"]).exit, Exit::Usage);
        assert_eq!(desk.run(&["tenant", "confirm", "sspr-scope", "perhaps"]).exit, Exit::Usage);
    }
}
