//! An actuator for the trial of DUTs: `--virtual-hook SOCKET[,lazy] VERB ACTUATOR PORT` drives a virtual key over its control socket,
//! called as any hook is. `lazy` never puts a key back.

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
    let (socket, lazy) = socket.strip_suffix(",lazy").map_or((socket.as_str(), false), |socket| (socket, true));
    match verb.as_str() {
        "touch" => touch(socket, actuator),
        "insert" if lazy => Ok(()),
        "insert" => ask(socket, &format!("plug {actuator}")).map(drop),
        "remove" => ask(socket, &format!("unplug {actuator}")).map(drop),
        other => Err(format!("this hand can't {other}")),
    }
}

/// Presses when the key blinks, as an actuator's finger that stays for a while.
fn touch(socket: &str, actuator: &str) -> Result<(), String> {
    let end = Instant::now() + Duration::from_secs(20);
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
