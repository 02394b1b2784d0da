//! `beamnode epmd`: the port mapper daemon, and the questions that stock's `epmd` program can ask one.
//!
//! The command line, the variables of the environment, the exit codes and the texts that scripts look for are those
//! of stock's program (`epmd` in the ERTS Reference Manual); what is ours is said in the usage text.

mod daemon;
mod options;

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::Arc;

use beamnode::epmd::message::AnswerError;
use beamnode::epmd::server::BindError;
use beamnode::epmd::{Client, ClientError, Name, Server};

use self::options::{Action, Options};

/// Run the Erlang port mapper daemon, or ask the one of this host: all options of Erlang's epmd, `-help` lists them.
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true, disable_version_flag = true)]
pub(crate) struct Args {
    /// As of Erlang's epmd.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) arguments: Vec<OsString>,
}

pub(crate) fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let parsed = Options::parse(&arguments, |name| std::env::var_os(name));
    let Ok(options) = parsed else {
        eprint!("{}", options::USAGE);
        return ExitCode::FAILURE;
    };
    match &options.action {
        Action::Serve if options.daemon && !options.detached => daemon::start(&arguments),
        Action::Serve => serve(&options),
        action => ask(&options, action),
    }
}

/// Serves until killed or told to end by a signal.
fn serve(options: &Options) -> ExitCode {
    if options.detached
        && let Err(error) = daemon::detach()
    {
        eprintln!("epmd: cannot detach: {error}");
        return ExitCode::FAILURE;
    }
    if let Err(error) = start_log(options) {
        eprintln!("epmd: cannot open the log: {error}");
        return ExitCode::FAILURE;
    }
    daemon::take_name();
    let limit = daemon::raise_descriptor_limit();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error),
    };
    runtime.block_on(async {
        let server = match listen(options, limit) {
            Ok(server) => server,
            Err(BindError::InUse { address }) => {
                tracing::info!(%address, "there is already an epmd running");
                return ExitCode::SUCCESS;
            }
            Err(error) => return fail(&error),
        };
        let shutdown = match daemon::signals() {
            Ok(shutdown) => shutdown,
            Err(error) => return fail(&error),
        };
        tracing::info!(addresses = ?server.addresses(), descriptors = limit, "epmd is running");
        if options.systemd {
            daemon::notify_systemd();
        }
        if options.detached
            && let Err(error) = daemon::ready()
        {
            return fail(&error);
        }
        match server.serve(shutdown).await {
            Ok(ended) => {
                tracing::info!(?ended, "epmd ends");
                ExitCode::SUCCESS
            }
            Err(error) => fail(&error),
        }
    })
}

fn listen(options: &Options, descriptors: usize) -> Result<Server, BindError> {
    let server = if options.systemd {
        // Without any, an error says so.
        Server::from_std(daemon::systemd_sockets())?
    } else {
        Server::bind_port(
            options.port,
            &beamnode::epmd::server::parse_addresses(&options.addresses)?,
        )?
    };
    // What silent connections may use, and some for listening and answering, is kept from those that register.
    let silent = (descriptors / 64).clamp(16, 1024);
    let held = descriptors.saturating_sub(silent + 32);
    Ok(server
        .silent_limit(silent)
        .held_limit(held)
        .relaxed_command_check(options.relaxed)
        .debugging(options.debug > 0)
        .packet_timeout(options.packet_timeout)
        .delays(options.delay_accept, options.delay_write))
}

/// What `-d` shows goes to stderr, as does what is wrong without it; `RUST_LOG` and `-log` say otherwise.
fn start_log(options: &Options) -> io::Result<()> {
    let level = match options.debug {
        0 => "warn",
        1 => "info",
        2 => "debug",
        _ => "trace",
    };
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| level.into());
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false);
    if let Some(path) = &options.log {
        let file = std::fs::OpenOptions::new().create(true).append(true).open(path)?;
        log.with_ansi(false).with_writer(Arc::new(file)).init();
    } else {
        log.with_ansi(io::IsTerminal::is_terminal(&io::stderr()))
            .with_writer(io::stderr)
            .init();
    }
    Ok(())
}

/// Asks the daemon of this host and says what stock's program says.
fn ask(options: &Options, action: &Action) -> ExitCode {
    let client = Client::local().port(options.port);
    let answered = crate::block_on(async {
        match action {
            Action::Names | Action::Dump | Action::Started => {
                let (port, text) = match action {
                    Action::Dump => client.dump().await?,
                    _ => client.names_text().await?,
                };
                if *action != Action::Started {
                    // Nobody reads on: as good as read.
                    let _ = crate::names::print(port, &text);
                }
                Ok(ExitCode::SUCCESS)
            }
            Action::Kill => {
                client.kill().await?;
                say("Killed");
                Ok(ExitCode::SUCCESS)
            }
            Action::Stop(name) => {
                let Ok(name) = Name::new(name) else {
                    say("epmd: Name too long!");
                    return Ok(ExitCode::FAILURE);
                };
                say(if client.stop(&name).await? {
                    "STOPPED"
                } else {
                    "NOEXIST"
                });
                Ok(ExitCode::SUCCESS)
            }
            Action::Serve => Ok(ExitCode::SUCCESS),
        }
    });
    match answered {
        Ok(Ok(code)) => code,
        Ok(Err(error)) => {
            explain(&error, action);
            ExitCode::FAILURE
        }
        Err(error) => fail(&error),
    }
}

/// Says why there is no answer, in stock's words where it has some.
fn explain(error: &ClientError, action: &Action) {
    match (error, action) {
        (_, Action::Started) => {}
        (ClientError::NotRunning { .. } | ClientError::Unreachable { .. }, _) => {
            eprintln!("epmd: Cannot connect to local epmd");
        }
        (ClientError::LivingNodes, _) => say("Killing not allowed - living nodes in database."),
        (ClientError::Closed { .. }, Action::Kill | Action::Stop(_)) => {
            say("epmd: local epmd responded with <>");
        }
        (
            ClientError::Closed { .. }
            | ClientError::Malformed {
                reason: AnswerError::Truncated,
                ..
            },
            _,
        ) => {
            say("epmd: no response from local epmd");
        }
        _ => eprintln!("epmd: {error}"),
    }
}

fn say(text: &str) {
    // Nobody reads on: as good as read.
    let _ = writeln!(io::stdout(), "{text}");
}

fn fail(error: &dyn std::fmt::Display) -> ExitCode {
    tracing::error!("{error}");
    ExitCode::FAILURE
}
