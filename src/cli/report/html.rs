//! The adoption report as one HTML file, for a screen, a phone or paper.
//!
//! Promise: it asks for nothing (no script, font, image or style from anywhere; a content policy says so), and whatever comes from the
//! directory stands in it as text. Charts are inline SVG without text of their own, so that they shrink and letters don't; colour
//! never says anything alone.

use std::fmt::Write as _;

use jiff::Timestamp;

use super::adoption::questions;
use crate::graph::sign_in_methods::MethodKind;
use crate::tenant::adoption::{Adoption, Standing, Tally, in_words};

/// What the page is made of.
pub(super) struct Page<'a> {
    /// `batch X` or `group Y`.
    pub(super) about: &'a str,
    /// When it was asked.
    pub(super) at: Timestamp,
    /// The people.
    pub(super) adoption: &'a Adoption,
    /// The registration report could be read.
    pub(super) licensed: bool,
}

const STYLE: &str = "
:root{--ink:#1c2430;--soft:#5a6675;--line:#d8dee6;--paper:#fff;--good:#1f7a4d;--rest:#e6eaef;--warn:#b3541e;--unknown:#aab4c0;--accent:#24539b}
*{box-sizing:border-box}
body{margin:0;background:#f4f6f8;color:var(--ink);font:16px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,sans-serif}
main{max-width:60rem;margin:0 auto;padding:2rem 1.25rem 3rem}
h1{font-size:1.6rem;line-height:1.25;margin:0 0 .25rem}
h2{font-size:1.1rem;margin:0 0 .75rem}
p{margin:.25rem 0 .75rem}
.soft{color:var(--soft)}
.card{background:var(--paper);border:1px solid var(--line);border-radius:.6rem;padding:1.25rem;margin-top:1.25rem}
.head{display:flex;gap:1.5rem;align-items:center;flex-wrap:wrap}
.ring{flex:0 0 9rem;width:9rem;height:9rem}
.ring text{font:700 22px system-ui,sans-serif;fill:var(--ink)}
.facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(8.5rem,1fr));gap:.75rem 1.5rem;flex:1 1 16rem;margin:0}
.facts div{border-left:3px solid var(--accent);padding-left:.75rem}
.facts dt{color:var(--soft);font-size:.875rem}
.facts dd{margin:0;font-size:1.5rem;font-weight:650;font-variant-numeric:tabular-nums}
.bar{display:grid;grid-template-columns:17.5rem 1fr 11rem;gap:.25rem 1rem;align-items:center;padding:.4rem 0}
.bar svg{width:100%;height:1rem;display:block;border-radius:.25rem}
.bar .n{font-variant-numeric:tabular-nums;text-align:right;white-space:nowrap}
.key{display:flex;flex-wrap:wrap;gap:.25rem 1.25rem;font-size:.875rem;color:var(--soft);margin:.75rem 0 0;padding:0;list-style:none}
.key svg{width:.8rem;height:.8rem;vertical-align:-.05rem;margin-right:.35rem}
table{width:100%;border-collapse:collapse;font-size:.925rem}
th,td{text-align:left;padding:.45rem .6rem .45rem 0;border-bottom:1px solid var(--line);vertical-align:top}
th{color:var(--soft);font-weight:600}
th:first-child{width:34%}th:nth-child(2){width:7.5rem}th:nth-child(3){width:5rem}th:nth-child(4){width:11.5rem}
td.who{font-weight:600;overflow-wrap:anywhere}
.no{color:var(--warn);font-weight:600}.un{color:var(--soft)}
footer{margin-top:1.5rem;font-size:.85rem;color:var(--soft)}
@media(max-width:44rem){
main{padding:1.25rem .85rem 2rem}
.card{padding:1rem}
.bar{grid-template-columns:1fr auto}.bar svg{grid-column:1/-1;grid-row:2}
table,tbody,tr,td{display:block}thead{display:none}
tr{border-bottom:1px solid var(--line);padding:.6rem 0}
td{border:0;padding:.1rem 0;display:grid;grid-template-columns:9rem 1fr;gap:.5rem}
td.who{display:block;margin-bottom:.2rem}
td::before{content:attr(data-label);color:var(--soft);font-weight:400}
td.who::before{content:none}
}
@media print{
@page{margin:1.6cm}
html{font-size:12px}
body{background:none;font-size:1rem}
main{max-width:none;padding:0}
.card{border:0;padding:0;margin-top:1rem;break-inside:avoid}
.card.long{break-inside:auto}
th,td{padding:.2rem .5rem .2rem 0}
tr{break-inside:avoid}thead{display:table-header-group}
*{-webkit-print-color-adjust:exact;print-color-adjust:exact}
}
";

/// The page.
pub(super) fn page(page: &Page<'_>) -> String {
    let total = page.adoption.people.len();
    let mut out = String::with_capacity(16_384_usize.saturating_add(total.saturating_mul(512)));
    let about = escape(page.about);
    let day = page.at.strftime("%-d %B %Y, %H:%M UTC");
    // infallible: writing into memory
    let _ = write!(
        out,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n<meta name=\"referrer\" content=\"no-referrer\">\n\
         <title>Security keys: {about}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>Security keys: how far {about} has come</h1>\n\
         <p class=\"soft\">As of {day}. {total} {}.</p>\n",
        if total == 1 { "person" } else { "people" }
    );
    head(&mut out, page.adoption);
    questions_card(&mut out, page);
    last_card(&mut out, page.adoption);
    people_card(&mut out, page.adoption);
    out.push_str("<footer><p>Keys and methods are those of this moment. The registration report of Microsoft Entra (MFA, password reset) is some hours old and leaves out disabled accounts.</p>");
    let _ = write!(
        out,
        "<p>Made by keybench {} from Microsoft Graph (beta). This page holds people's names: pass it on as such.</p></footer>\n</main>\n</body>\n</html>\n",
        env!("CARGO_PKG_VERSION")
    );
    out
}

/// The one number, as a ring, and the three that explain it.
fn head(out: &mut String, adoption: &Adoption) {
    let (keys, used, two) = (adoption.keys(), adoption.used(), adoption.two());
    let to_do = adoption.people.iter().filter(|person| !person.to_do().is_empty()).count();
    // A circle of radius 54 has a circumference of 339.3.
    let reach = f64::from(u32::try_from(used.percent()).unwrap_or(100)) * 3.393;
    let _ = write!(
        out,
        "<section class=\"card head\">\n<svg class=\"ring\" viewBox=\"0 0 128 128\" role=\"img\" aria-label=\"{0} percent have signed in with a key\">\
         <circle cx=\"64\" cy=\"64\" r=\"54\" fill=\"none\" stroke=\"#e6eaef\" stroke-width=\"14\"/>\
         <circle cx=\"64\" cy=\"64\" r=\"54\" fill=\"none\" stroke=\"#1f7a4d\" stroke-width=\"14\" stroke-dasharray=\"{reach:.1} 400\" transform=\"rotate(-90 64 64)\"/>\
         <text x=\"64\" y=\"72\" text-anchor=\"middle\">{0} %</text></svg>\n\
         <dl class=\"facts\"><div><dt>have signed in with a key</dt><dd>{1}</dd></div><div><dt>have a key registered</dt><dd>{2}</dd></div>\
         <div><dt>have a second authenticator</dt><dd>{3}</dd></div><div><dt>need something done</dt><dd>{to_do}</dd></div></dl>\n</section>\n",
        used.percent(),
        used.yes,
        keys.yes,
        two.yes
    );
}

fn questions_card(out: &mut String, page: &Page<'_>) {
    out.push_str("<section class=\"card\">\n<h2>What is there, and what is left over</h2>\n");
    for (name, title, tally) in questions(page.adoption) {
        // What should be there is green; what should be gone is orange.
        let wanted = !matches!(name, "pass_left" | "sspr");
        bar(out, title, tally, wanted);
    }
    out.push_str("<ul class=\"key\">");
    for (color, text) in [
        ("#1f7a4d", "yes, as wanted"),
        ("#b3541e", "yes, but should be gone"),
        ("#e6eaef", "no"),
        ("url(#hatch)", "not known"),
    ] {
        let _ = write!(
            out,
            "<li><svg viewBox=\"0 0 10 10\" aria-hidden=\"true\">{HATCH}<rect width=\"10\" height=\"10\" fill=\"{color}\"/></svg>{text}</li>"
        );
    }
    out.push_str("</ul>\n");
    if !page.licensed {
        out.push_str("<p class=\"soft\">Without Microsoft Entra ID P1 there is no registration report: MFA and password reset are not known.</p>\n");
    }
    out.push_str("</section>\n");
}

/// Unknown is hatched, so that it is told apart without colour.
const HATCH: &str = "<defs><pattern id=\"hatch\" width=\"4\" height=\"4\" patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(45)\"><rect width=\"4\" height=\"4\" fill=\"#fff\"/><rect width=\"2\" height=\"4\" fill=\"#aab4c0\"/></pattern></defs>";

fn bar(out: &mut String, title: &str, tally: Tally, wanted: bool) {
    let total = tally.total();
    let part = |count: usize| count.saturating_mul(1000).checked_div(total).unwrap_or(0);
    let (yes, unknown) = (part(tally.yes), part(tally.unknown));
    let color = if wanted { "#1f7a4d" } else { "#b3541e" };
    let note = if tally.unknown > 0 { format!(", {} unknown", tally.unknown) } else { String::new() };
    let _ = writeln!(
        out,
        "<div class=\"bar\"><span>{title}</span><svg viewBox=\"0 0 1000 16\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{title}: {0} of {total}{note}\">\
         {HATCH}<rect width=\"1000\" height=\"16\" fill=\"#e6eaef\"/><rect width=\"{yes}\" height=\"16\" fill=\"{color}\"/>\
         <rect x=\"{1}\" width=\"{unknown}\" height=\"16\" fill=\"url(#hatch)\"/></svg><span class=\"n\">{0} of {total}{note}</span></div>",
        tally.yes,
        1000_usize.saturating_sub(unknown)
    );
}

fn last_card(out: &mut String, adoption: &Adoption) {
    let methods = adoption.last_methods();
    let most = methods.iter().map(|(_, count)| *count).max().unwrap_or(0);
    if most == 0 {
        return;
    }
    out.push_str("<section class=\"card\">\n<h2>The method each person used last</h2>\n");
    for (kind, count) in methods {
        let title = kind.as_ref().map_or("nothing known", in_words);
        let width = count.saturating_mul(1000).checked_div(most).unwrap_or(0);
        let color = match kind.as_ref() {
            Some(MethodKind::Passkey | MethodKind::WindowsHello | MethodKind::PlatformCredential) => "#1f7a4d",
            Some(_) => "#24539b",
            None => "#aab4c0",
        };
        let title = escape(title);
        let _ = writeln!(
            out,
            "<div class=\"bar\"><span>{title}</span><svg viewBox=\"0 0 1000 16\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{title}: {count}\">\
             <rect width=\"{width}\" height=\"16\" fill=\"{color}\"/></svg><span class=\"n\">{count}</span></div>"
        );
    }
    out.push_str("</section>\n");
}

fn people_card(out: &mut String, adoption: &Adoption) {
    out.push_str(
        "<section class=\"card long\">\n<h2>Person by person</h2>\n<table>\n<thead><tr><th scope=\"col\">Person</th><th scope=\"col\">Key</th>\
         <th scope=\"col\">Strong methods</th><th scope=\"col\">Last used</th><th scope=\"col\">To do</th></tr></thead>\n<tbody>\n",
    );
    for person in &adoption.people {
        row(out, person);
    }
    out.push_str("</tbody>\n</table>\n</section>\n");
}

fn row(out: &mut String, person: &Standing) {
    let key = match (person.key, person.key_used) {
        (Some(true), Some(true)) => "in use",
        (Some(true), _) => "<span class=\"no\">not used yet</span>",
        (Some(false), _) => "<span class=\"no\">none</span>",
        (None, _) => "<span class=\"un\">unknown</span>",
    };
    let strong =
        person.strong.map_or_else(|| "<span class=\"un\">unknown</span>".to_owned(), |count| count.to_string());
    let last = person.last.as_ref().map_or_else(
        || "<span class=\"un\">nothing known</span>".to_owned(),
        |(kind, at)| format!("{} {}", at.strftime("%Y-%m-%d"), escape(kind.words())),
    );
    let to_do = person.to_do();
    let to_do = if to_do.is_empty() { "nothing".to_owned() } else { escape(&to_do.join("; ")) };
    let _ = writeln!(
        out,
        "<tr><td class=\"who\">{}</td><td data-label=\"Key\"><span>{key}</span></td><td data-label=\"Strong methods\"><span>{strong}</span></td>\
         <td data-label=\"Last used\"><span>{last}</span></td><td data-label=\"To do\"><span>{to_do}</span></td></tr>",
        broken_at_sign(&person.name)
    );
}

/// A name as text, which a narrow column breaks before its domain rather than anywhere.
fn broken_at_sign(name: &str) -> String {
    escape(name).replace('@', "<wbr>@")
}

/// Text as text, in content and in quoted attributes.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::UserId;
    use proptest::prelude::*;

    fn person(name: &str) -> Standing {
        Standing::of(UserId::new(name), name.to_owned(), Some(&[]), None)
    }

    fn made(about: &str, people: Vec<Standing>) -> String {
        page(&Page { about, at: Timestamp::UNIX_EPOCH, adoption: &Adoption::new(people), licensed: true })
    }

    #[test]
    fn the_page_asks_for_nothing() {
        let html = made("batch pilot", vec![person("kim@contoso.com"), person("o'reilly@contoso.com")]);
        for word in ["http://", "https://", "src=", "href=", "@import", "<script", "<link", "<img", "<iframe"] {
            assert!(!html.contains(word), "{word}");
        }
        assert!(html.contains("default-src 'none'"));
        // The only addresses are patterns within the page.
        assert!(html.matches("url(").count() == html.matches("url(#hatch)").count());
        assert!(html.contains("o&#39;reilly<wbr>@contoso.com"));
    }

    #[test]
    fn nobody_at_all_is_a_page_too() {
        let html = made("group none", Vec::new());
        assert!(html.contains("0 people") && html.contains("0 of 0"));
    }

    proptest! {
        #[test]
        fn no_name_gets_out_of_its_place(name in "\\PC{0,40}", tag in "[<>&\"']{1,6}") {
            let plain = made("x", vec![person("plain")]);
            let html = made(&format!("{name}{tag}"), vec![person(&format!("{tag}{name}"))]);
            let tags = |page: &str| page.replace("<wbr>", "").matches('<').count();
            prop_assert_eq!(tags(&html), tags(&plain));
            prop_assert_eq!(html.matches('"').count(), plain.matches('"').count());
        }
    }
}
