//! How many PIN letters a second, and how much memory a print run takes: `cargo bench --bench letters [-- LETTERS]`.
//!
//! Lays out and writes one PDF of that many letters (1,000 unless told), each with another name, address and PIN, in the
//! built-in template's languages in turn. No key, no ledger, no printer.

#![allow(clippy::print_stdout, reason = "a benchmark's answer is what it prints")]

use std::time::Instant;

use keybench::handover::letter::{Letter, Template};
use keybench::handover::paper::pdf::Maker;
use keybench::model::{Aaguid, FirstDevice, JobId, KeyRef, Pin, PortName, PostalAddress, Serial, TenantId, UserId};
use zeroize::Zeroizing;

#[global_allocator]
static ALLOCATOR: zeroizing_alloc::ZeroAlloc<std::alloc::System> = zeroizing_alloc::ZeroAlloc(std::alloc::System);

type Failed = Box<dyn std::error::Error>;

#[allow(clippy::print_stdout)] // a benchmark's answer is its output
fn main() -> Result<(), Failed> {
    let count: u32 = std::env::args().skip(1).find_map(|text| text.parse().ok()).unwrap_or(1000);
    let template = Template::built_in()?;
    let fonts = template.fonts()?;
    let languages: Vec<String> = template.languages().map(str::to_owned).collect();
    let begun = Instant::now();
    let mut maker = Maker::new(&fonts);
    for number in 0..count {
        let letter = letter(number, &languages)?;
        let pin = Pin::new(Zeroizing::new(format!("{:06}", (u64::from(number) * 7919 + 104_729) % 1_000_000)))?;
        for sheet in &letter.sheets(&template, &fonts, &pin)? {
            maker.add(sheet)?;
        }
    }
    let document = maker.finish()?;
    let seconds = begun.elapsed().as_secs_f64();
    println!("letters            {count}");
    println!("letters per second {:.0}", f64::from(count) / seconds);
    println!("seconds            {seconds:.2}");
    println!("PDF                {:.1} MB", document.len() as f64 / 1e6);
    match peak_memory() {
        Some(kilobytes) => println!("peak memory        {:.0} MB", kilobytes as f64 / 1e3),
        None => println!("peak memory        not told by this system"),
    }
    Ok(())
}

fn letter(number: u32, languages: &[String]) -> Result<Letter, Failed> {
    let tenant = TenantId::new("72f988bf-86f1-41af-91ab-2d7cd011db47");
    let language = languages.get(number as usize % languages.len().max(1)).ok_or("no language")?;
    Ok(Letter {
        job: JobId::derive(&tenant, &UserId::new(format!("person-{number}")), 1),
        attempt: 1,
        issue: 1,
        name: format!("Person Łukasz van der Nummer {number}"),
        address: PostalAddress {
            lines: vec![format!("Straße {number}, Aufgang {}", number % 7), format!("{:05} Ort", 10_000 + number)],
            country: Some("Deutschland".into()),
            parts: None,
        },
        language: language.clone(),
        key: KeyRef {
            aaguid: Aaguid::ZERO,
            serial: Some(Serial::new(format!("{}", 19_000_000 + number))),
            firmware: None,
            model: Some("YubiKey 5 NFC".into()),
            port: PortName::new("1-1"),
        },
        pin_minimum: 6,
        forced: number.is_multiple_of(2),
        first_device: number.is_multiple_of(5).then_some(FirstDevice::Ios),
        date: jiff::civil::date(2026, 11, 21),
        expires: jiff::civil::date(2026, 12, 12),
    })
}

/// The most memory this process had, in kilobytes (`VmHWM` of proc_pid_status(5)); Linux tells it.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches("kB").trim().parse().ok()
}
