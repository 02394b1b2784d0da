//! What makes a process a daemon: detaching, signals, descriptors, and what systemd wants to hear.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::net::TcpListener;
use std::os::fd::RawFd;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::{close, dup2_stderr, dup2_stdout, setsid};
use tokio::signal::unix::{SignalKind, signal};

use super::options::DETACHED;

/// What the daemon writes to its parent once it listens.
const READY: &[u8] = b"ready";

/// Starts this program again, to go on as the daemon ([`detach`]). Returns when the daemon listens, with 0, or when it has
/// ended: with 0 if another EPMD was listening already.
pub(super) fn start(arguments: &[OsString]) -> ExitCode {
    match spawn(arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("epmd: cannot start the daemon: {error}");
            ExitCode::FAILURE
        }
    }
}

fn spawn(arguments: &[OsString]) -> io::Result<bool> {
    let mut daemon = Command::new(program()?)
        .arg0("epmd")
        .arg(DETACHED)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut said = Vec::new();
    if let Some(stdout) = &mut daemon.stdout {
        stdout.take(READY.len() as u64).read_to_end(&mut said)?;
    }
    Ok(said == READY || daemon.wait()?.success())
}

/// What to start again: what was called as `epmd`, which need not be this file itself but may be a script around it; else this.
fn program() -> io::Result<PathBuf> {
    match std::env::args_os().next().map(PathBuf::from) {
        Some(called) if called.ends_with("epmd") && called.components().count() > 1 => Ok(called),
        _ => std::env::current_exe(),
    }
}

/// First thing in the daemon: leaves the session of the terminal and gives up what was open in the program that
/// started it, lest somebody wait for the end of a pipe for as long as the daemon lives.
pub(super) fn detach() -> io::Result<()> {
    setsid()?;
    let open: Vec<RawFd> = std::fs::read_dir("/proc/self/fd")
        .map(|entries| {
            entries
                .flatten()
                .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
                .collect()
        })
        .unwrap_or_default();
    for descriptor in open.into_iter().filter(|&descriptor| descriptor > 2) {
        // The one of the directory itself is among them, and closed already.
        let _ = close(descriptor);
    }
    Ok(())
}

/// The daemon listens: tells the process that waits for that, and leaves the terminal's streams and the directory.
pub(super) fn ready() -> io::Result<()> {
    std::env::set_current_dir("/")?;
    let mut parent = io::stdout();
    // It may have been ended while it waited.
    let _ = parent.write_all(READY).and_then(|()| parent.flush());
    let null = File::options().read(true).write(true).open("/dev/null")?;
    dup2_stdout(&null)?;
    dup2_stderr(&null)?;
    Ok(())
}

/// Takes the name `epmd` in the list of processes, where people and `pidof` look for it.
pub(super) fn take_name() {
    // A daemon of another name does as well.
    let _ = nix::sys::prctl::set_name(c"epmd");
}

/// Becomes ready when the process is asked to end. A hang-up is ignored.
pub(super) fn signals() -> io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    Ok(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => return,
                _ = interrupt.recv() => return,
                _ = hangup.recv() => {}
            }
        }
    })
}

/// Lets this process have as many descriptors as it may, each node needs one, and says how many that is.
pub(super) fn raise_descriptor_limit() -> usize {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else {
        return 0;
    };
    // Beyond the hard limit with privileges only, and up to what the kernel grants in principle.
    let grantable = std::fs::read_to_string("/proc/sys/fs/nr_open")
        .ok()
        .and_then(|number| number.trim().parse().ok())
        .unwrap_or(hard);
    for wanted in [grantable.max(hard), hard] {
        if setrlimit(Resource::RLIMIT_NOFILE, wanted, wanted).is_ok() {
            return usize::try_from(wanted).unwrap_or(usize::MAX);
        }
    }
    usize::try_from(soft).unwrap_or(usize::MAX)
}

/// The listening sockets that systemd hands over, as `systemd.socket(5)` has it.
pub(super) fn systemd_sockets() -> Vec<TcpListener> {
    let mut handed = listenfd::ListenFd::from_env();
    (0..handed.len())
        .filter_map(|index| handed.take_tcp_listener(index).ok().flatten())
        .collect()
}

/// Tells systemd that the daemon serves, as `sd_notify(3)` has it.
pub(super) fn notify_systemd() {
    if let Some(path) = std::env::var_os("NOTIFY_SOCKET")
        && let Err(error) = notify(&path)
    {
        tracing::warn!(%error, "cannot tell systemd that epmd is ready");
    }
}

fn notify(path: &std::ffi::OsStr) -> io::Result<()> {
    use std::os::linux::net::SocketAddrExt as _;
    use std::os::unix::ffi::OsStrExt as _;
    use std::os::unix::net::{SocketAddr, UnixDatagram};

    let address = match path.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(path)?,
    };
    let message = format!(
        "READY=1\nSTATUS=Serving port mapping requests\nMAINPID={}\n",
        std::process::id()
    );
    UnixDatagram::unbound()?.send_to_addr(message.as_bytes(), &address)?;
    Ok(())
}
