//! `docs/PREFLIGHT.md`, written from the table of checks; a test compares.

use super::catalogue::{CHECKS, Check};
use super::facts::{Call, Mode, Purpose};
use super::verdict::Verdict;

const HEAD: &str = "# Preflight

What `keybench tenant check` weighs, and what `keybench run` weighs before its first key. It reads and never writes.

<!-- Written from src/tenant/preflight/catalogue.rs; a test compares. KEYBENCH_BLESS=1 cargo test --lib preflight writes it anew. -->

- **FAIL** stops a run. **WARN** is listed and the run goes on. **INFO** is worth knowing. **UNKNOWN** says what could not be asked and why: a
  missing right, no API, the licence. It never counts as passed. With `--strict` warnings and what is unknown stop as well.
- Exit codes of `tenant check`: 0 nothing stands against it, 10 warnings, 20 fails, 30 nothing wrong but not everything could be asked.
- Weighed for: **P** the bench registers keys (`--mode provision`), **S** people register them with a pass (`self-service`), **O** hardware OATH tokens
  (`oath`), **W** policy is written (`--apply`, and `tenant apply`). **R**: `run` weighs it before its first key. What depends on the key in hand
  (PF09, PF10, PF33) a run weighs at each key. PF03, PF04 and PF07 are about single people: a run refuses those and serves the others.
- What has no API (PF05, PF26, recovery in PF32) is said once with `keybench tenant confirm` and stands in the ledger with date and name.
- Calls that begin with `/beta` are Graph's beta, which Microsoft may change without notice.

Cost: people are asked about twenty to a request, one question each: a roster of 1,000 people takes 50 requests a kind of question. Conditional Access is
evaluated once for all whose membership is the same to it, 20 times at most, and asked at most once in 1.1 s, because its limit is one request a second for
the whole tenant. The registration report is read page by page. `--json` ends with the requests by kind.

Read-only permissions that answer everything: `Policy.Read.All`, `Policy.Read.DeviceConfiguration`, `User.Read.All`, `GroupMember.Read.All`,
`UserAuthenticationMethod.Read.All`, `LicenseAssignment.Read.All`, `RoleManagement.Read.Directory`, `AuditLog.Read.All`, `Domain.Read.All`. Fewer do; what they
leave out is UNKNOWN.

| id | what | passes when | for | verdicts | remedy | asked of |
|---|---|---|---|---|---|---|
";

fn purposes(check: &Check) -> String {
    let mut letters: Vec<&str> = check
        .purposes
        .iter()
        .map(|purpose| match purpose {
            Purpose::Mode(Mode::Provision) => "P",
            Purpose::Mode(Mode::SelfService) => "S",
            Purpose::Mode(Mode::Oath) => "O",
            Purpose::WriteMethods | Purpose::WriteAccess => "W",
        })
        .collect();
    if check.in_run {
        letters.push("R");
    }
    letters.join(" ")
}

fn verdicts(check: &Check) -> String {
    let words: Vec<&str> = check.verdicts.iter().map(|verdict| verdict.word()).collect();
    let unknown = (check.id.0 != 35).then_some(Verdict::Unknown.word());
    words.into_iter().chain(unknown).collect::<Vec<_>>().join(", ")
}

fn call(call: &Call) -> String {
    if call.method.is_empty() { call.path.to_owned() } else { format!("`{} {}`", call.method, call.path) }
}

/// The whole page.
pub fn page() -> String {
    let mut page = HEAD.to_owned();
    for check in CHECKS {
        let asked: Vec<String> = check.calls.iter().map(call).collect();
        page.push_str(&format!(
            "| {} | {} | {} | {} | {} | {} | {} |\n",
            check.id,
            check.name,
            check.rule,
            purposes(check),
            verdicts(check),
            check.remedy,
            asked.join(", "),
        ));
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_the_table() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/PREFLIGHT.md");
        if std::env::var_os("KEYBENCH_BLESS").is_some() {
            std::fs::write(path, page()).expect("written");
        }
        // Git may have given Windows its line ends.
        let written = std::fs::read_to_string(path).expect("docs/PREFLIGHT.md").replace("\r\n", "\n");
        assert_eq!(written, page(), "KEYBENCH_BLESS=1 writes docs/PREFLIGHT.md anew");
        assert_eq!(CHECKS.len(), 36);
        for (number, check) in CHECKS.iter().enumerate() {
            assert_eq!(usize::from(check.id.0), number + 1);
            assert!(check.rule.ends_with('.') && check.remedy.ends_with('.'), "{}", check.id);
        }
    }
}
