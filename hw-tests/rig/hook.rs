//! An actuator for the trial of DUTs: `--virtual-hook SOCKET[,lazy|,swap|,brief] VERB ACTUATOR PORT` drives a virtual key over its control socket,
//! called as any hook is, and notes what it was asked for in `SOCKET.asked`. `lazy` never puts a key back; `swap` does once, and then puts
//! in the key of `SOCKET.other`; `brief` soon gives up waiting for a key that blinks.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::time::{Duration, Instant};

pub fn main(arguments: &[String]) -> ExitCode {
    match play(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn play(arguments: &[String]) -> Result<(), String> {
    let [socket, verb, actuator, _port] = arguments else { return Err("SOCKET VERB ACTUATOR PORT".to_owned()) };
    let (socket, manner) = socket.split_once(',').unwrap_or((socket, ""));
    let notes = asked(socket);
    let before = fs::read_to_string(&notes).unwrap_or_default();
    fs::write(&notes, format!("{before}{verb}\n")).map_err(|error| format!("{notes}: {error}"))?;
    match verb.as_str() {
        "touch" | "touch-long" => touch(socket, actuator, Duration::from_secs(if manner == "brief" { 2 } else { 20 })),
        "insert" if manner == "lazy" => Ok(()),
        "insert" if manner == "swap" && before.contains("insert") => {
            ask(&format!("{socket}.other"), &format!("plug {actuator}")).map(drop)
        }
        "insert" => ask(socket, &format!("plug {actuator}")).map(drop),
        "remove" => ask(socket, &format!("unplug {actuator}")).map(drop),
        other => Err(format!("this hand can't {other}")),
    }
}

/// Where the hook of this socket notes what it was asked for.
pub fn asked(socket: &str) -> String {
    format!("{socket}.asked")
}

/// Presses when the key blinks, as an actuator's finger that stays for a while.
fn touch(socket: &str, actuator: &str, patience: Duration) -> Result<(), String> {
    let end = Instant::now() + patience;
    while Instant::now() < end {
        if ask(socket, &format!("touch {actuator} now"))?.contains("\"touched\":1") {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

fn ask(socket: &str, line: &str) -> Result<String, String> {
    let stream = UnixStream::connect(socket).map_err(|error| format!("{socket}: {error}"))?;
    writeln!(&stream, "{line}").map_err(|error| error.to_string())?;
    let mut answer = String::new();
    BufReader::new(&stream).read_line(&mut answer).map_err(|error| error.to_string())?;
    if answer.contains("\"ok\":true") { Ok(answer) } else { Err(answer) }
}
