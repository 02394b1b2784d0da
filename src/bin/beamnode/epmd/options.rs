//! The command line of `epmd`, which has long options with a single dash, and what the environment adds to it.
//!
//! Numbers are read as C's `atoi` reads them, as stock's program does: what is not a number is 0.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::time::Duration;

/// What `epmd` prints when it does not understand its command line.
pub(super) const USAGE: &str = "\
usage: epmd [OPTION...]                     run the Erlang port mapper daemon
       epmd [-port No] -names|-dump|-started|-kill|-stop Name
                                            ask the one of this host

The daemon
    -port No                 listen on this port instead of 4369 (ERL_EPMD_PORT)
    -address List            listen only at these addresses, separated by commas,
                             and at the loopback addresses (ERL_EPMD_ADDRESS)
    -daemon                  run detached from this terminal; return when it listens
    -systemd                 serve on the sockets that systemd hands over
    -relaxed_command_check   grant -kill while nodes are registered, and -stop
                             (ERL_EPMD_RELAXED_COMMAND_CHECK)
    -d, -debug               say more on stderr, remember fewer names; may be repeated
    -log File                write the log to the end of this file instead of stderr;
                             RUST_LOG selects what (not in Erlang's epmd)
    -packet_timeout Seconds  close a connection that has been silent this long (60)
    -delay_accept Seconds    wait before accepting a connection, to play a busy daemon
    -delay_write Seconds     wait before answering, likewise

Questions (the last option)
    -names                   list the registered nodes
    -dump                    list everything the daemon knows
    -started                 say by the exit code whether a daemon is running
    -kill                    end the daemon, if no node is registered
    -stop Name               unregister a node

Two dashes do as well as one.
";

/// An option of no use to people: this process is what `-daemon` has started.
pub(super) const DETACHED: &str = "-detached";

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Action {
    Serve,
    Names,
    Started,
    Dump,
    Kill,
    Stop(String),
}

/// The command line and the environment, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Options {
    pub(super) action: Action,
    pub(super) port: u16,
    pub(super) addresses: String,
    pub(super) debug: u32,
    pub(super) daemon: bool,
    pub(super) detached: bool,
    pub(super) systemd: bool,
    pub(super) relaxed: bool,
    pub(super) log: Option<PathBuf>,
    pub(super) packet_timeout: Duration,
    pub(super) delay_accept: Duration,
    pub(super) delay_write: Duration,
}

/// The command line is not one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Usage;

impl Options {
    /// Reads a command line without the program's name; `environment` looks a variable up.
    pub(super) fn parse(
        arguments: &[OsString],
        environment: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Self, Usage> {
        let mut options = Self {
            action: Action::Serve,
            port: match environment("ERL_EPMD_PORT") {
                Some(port) => to_port(atoi(&port)),
                None => beamnode::epmd::DEFAULT_PORT,
            },
            addresses: environment("ERL_EPMD_ADDRESS")
                .map(|list| list.to_string_lossy().into_owned())
                .unwrap_or_default(),
            debug: 0,
            daemon: false,
            detached: false,
            systemd: false,
            relaxed: environment("ERL_EPMD_RELAXED_COMMAND_CHECK").is_some(),
            log: None,
            packet_timeout: beamnode::epmd::server::DEFAULT_PACKET_TIMEOUT,
            delay_accept: Duration::ZERO,
            delay_write: Duration::ZERO,
        };
        let mut arguments = arguments.iter();
        while let Some(option) = arguments.next() {
            let option = option.to_str().ok_or(Usage)?;
            let option = match option.strip_prefix("--") {
                Some(option) => option,
                None => option.strip_prefix('-').ok_or(Usage)?,
            };
            let mut number = || match arguments.next().map(|value| atoi(value)) {
                None | Some(0) => Err(Usage),
                Some(number) => Ok(number),
            };
            match option {
                "d" | "debug" => options.debug += 1,
                "daemon" => options.daemon = true,
                "detached" => options.detached = true,
                "systemd" => options.systemd = true,
                "relaxed_command_check" => options.relaxed = true,
                "port" => options.port = to_port(number()?),
                "packet_timeout" => options.packet_timeout = to_seconds(number()?),
                "delay_accept" => options.delay_accept = to_seconds(number()?),
                "delay_write" => options.delay_write = to_seconds(number()?),
                "address" => options.addresses = text(arguments.next())?,
                "log" => options.log = Some(arguments.next().ok_or(Usage)?.into()),
                "names" => return options.ask(Action::Names, arguments.as_slice()),
                "started" => return options.ask(Action::Started, arguments.as_slice()),
                "dump" => return options.ask(Action::Dump, arguments.as_slice()),
                "kill" => return options.ask(Action::Kill, arguments.as_slice()),
                "stop" => {
                    let name = text(arguments.next())?;
                    return options.ask(Action::Stop(name), arguments.as_slice());
                }
                _ => return Err(Usage),
            }
        }
        Ok(options)
    }

    /// A question is the last thing on the command line.
    fn ask(mut self, action: Action, rest: &[OsString]) -> Result<Self, Usage> {
        self.action = action;
        if rest.is_empty() { Ok(self) } else { Err(Usage) }
    }
}

fn text(argument: Option<&OsString>) -> Result<String, Usage> {
    Ok(argument.ok_or(Usage)?.to_string_lossy().into_owned())
}

/// The number at the front of `text`, or 0.
fn atoi(text: &OsStr) -> i64 {
    let text = text.to_string_lossy();
    let text = text.trim_start();
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let end = digits
        .find(|character: char| !character.is_ascii_digit())
        .unwrap_or(digits.len());
    let number: i64 = digits.get(..end).unwrap_or_default().parse().unwrap_or(0);
    if text.starts_with('-') { -number } else { number }
}

/// Ports are cut to 16 bits, as by an assignment in C.
fn to_port(number: i64) -> u16 {
    u16::try_from(number.rem_euclid(1 << 16)).unwrap_or_default()
}

/// A negative time is a very long one, as by an assignment in C.
fn to_seconds(number: i64) -> Duration {
    Duration::from_secs(u64::try_from(number).unwrap_or(u32::MAX.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, Usage> {
        let arguments: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        Options::parse(&arguments, |_| None)
    }

    #[test]
    fn a_bare_command_line_serves_on_the_usual_port() {
        let options = parse("").unwrap();
        assert_eq!(options.action, Action::Serve);
        assert_eq!((options.port, options.debug, options.daemon), (4369, 0, false));
    }

    #[test]
    fn options_have_one_dash_or_two() {
        for line in [
            "-port 4370 -d -debug -daemon -relaxed_command_check -address 10.0.0.1,::1 -packet_timeout 5",
            "--port 4370 -d --debug --daemon --relaxed_command_check --address 10.0.0.1,::1 --packet_timeout 5",
        ] {
            let options = parse(line).unwrap();
            assert_eq!((options.port, options.debug), (4370, 2));
            assert!(options.daemon && options.relaxed && !options.systemd);
            assert_eq!(options.addresses, "10.0.0.1,::1");
            assert_eq!(options.packet_timeout, Duration::from_secs(5));
        }
    }

    #[test]
    fn a_question_comes_last() {
        assert_eq!(parse("-port 80x -names").unwrap().port, 80);
        assert_eq!(parse("-names").unwrap().action, Action::Names);
        assert_eq!(parse("-stop alice").unwrap().action, Action::Stop("alice".into()));
        for line in [
            "-names x",
            "-names -port 1",
            "-stop",
            "-stop a b",
            "names",
            "-nosuch",
            "-help",
        ] {
            assert_eq!(parse(line), Err(Usage), "{line}");
        }
    }

    #[test]
    fn numbers_are_not_nothing() {
        for line in [
            "-port",
            "-port 0",
            "-port x",
            "-packet_timeout",
            "-delay_accept 0",
            "-delay_write x",
        ] {
            assert_eq!(parse(line), Err(Usage), "{line}");
        }
    }

    #[test]
    fn the_environment_gives_way_to_the_command_line() {
        let environment = |name: &str| match name {
            "ERL_EPMD_PORT" => Some("5000".into()),
            "ERL_EPMD_ADDRESS" => Some("10.0.0.1".into()),
            "ERL_EPMD_RELAXED_COMMAND_CHECK" => Some("".into()),
            _ => None,
        };
        let options = Options::parse(&[], environment).unwrap();
        assert_eq!(
            (options.port, options.addresses.as_str(), options.relaxed),
            (5000, "10.0.0.1", true)
        );
        let arguments = ["-port", "5001", "-address", "10.0.0.2"].map(OsString::from);
        let options = Options::parse(&arguments, environment).unwrap();
        assert_eq!((options.port, options.addresses.as_str()), (5001, "10.0.0.2"));
    }
}
