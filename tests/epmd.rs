//! `beamnode epmd` as a program: its command line, its exit codes, how it becomes a daemon. What it does for real nodes, and
//! how like stock's daemon it is, the test bed shows (`interop`).

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

const BEAMNODE: &str = env!("CARGO_BIN_EXE_beamnode");
const LIMIT: Duration = Duration::from_secs(60);

/// A port of this test's own, below those that the kernel gives to whoever asks for any.
fn free_port() -> String {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = std::process::id() as u16 % 64 * 32;
    loop {
        let port = 29_000 + (start + NEXT.fetch_add(1, Ordering::Relaxed)) % 2048;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port.to_string();
        }
    }
}

/// A folder of this test's own, with a link `epmd` to the program. It goes when it is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("beamnode-epmd-{}-{test}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        std::os::unix::fs::symlink(BEAMNODE, folder.join("epmd")).unwrap();
        Self(folder)
    }

    fn epmd(&self) -> PathBuf {
        self.0.join("epmd")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A command with none of the variables that this process may have.
fn command(program: impl AsRef<Path>) -> Command {
    let mut command = Command::new(program.as_ref());
    for variable in [
        "ERL_EPMD_PORT",
        "ERL_EPMD_ADDRESS",
        "ERL_EPMD_RELAXED_COMMAND_CHECK",
        "RUST_LOG",
    ] {
        command.env_remove(variable);
    }
    command.stdin(Stdio::null());
    command
}

/// Asks the daemon on `port`, and gives the exit code and what was printed.
fn ask(port: &str, question: &[&str]) -> (i32, String) {
    let output = command(BEAMNODE)
        .args(["epmd", "-port", port])
        .args(question)
        .output()
        .unwrap();
    (output.status.code().unwrap(), text(&output))
}

fn text(output: &Output) -> String {
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8(text).unwrap()
}

/// A daemon in the foreground. It is killed when it is dropped.
struct Foreground(Child);

impl Foreground {
    fn start(command: &mut Command, port: &str) -> Self {
        let child = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let daemon = Self(child);
        wait_for(|| ask(port, &["-started"]).0 == 0);
        daemon
    }

    fn end(&mut self) -> i32 {
        wait_for(|| matches!(self.0.try_wait(), Ok(Some(_))));
        self.0.wait().unwrap().code().unwrap()
    }
}

impl Drop for Foreground {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn wait_for(mut there: impl FnMut() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !there() {
        assert!(Instant::now() < deadline, "not within {LIMIT:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Registers a name by bytes spelled out here.
fn register(address: impl Into<SocketAddr>, name: &str) -> TcpStream {
    register_by(TcpStream::connect(address.into()).unwrap(), name)
}

/// The same from another address for every 10,000 names: one does not have ports enough.
fn register_from(number: usize, address: SocketAddr, name: &str) -> TcpStream {
    let from = Ipv4Addr::new(127, 0, 1 + u8::try_from(number / 10_000).unwrap(), 1);
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((from, 0)).into()).unwrap();
    socket.connect(&address.into()).unwrap();
    register_by(socket.into(), name)
}

fn register_by(mut stream: TcpStream, name: &str) -> TcpStream {
    let mut request = b"x\x11\x92M\0\0\x06\0\x05".to_vec();
    request.extend(u16::try_from(name.len()).unwrap().to_be_bytes());
    request.extend(name.as_bytes());
    request.extend(b"\0\0");
    stream
        .write_all(&u16::try_from(request.len()).unwrap().to_be_bytes())
        .unwrap();
    stream.write_all(&request).unwrap();
    let mut answer = [0; 6];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(answer[..2], [118, 0]);
    stream
}

fn loopback(port: &str) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port.parse().unwrap()))
}

#[test]
fn without_a_daemon_every_question_fails() {
    let port = free_port();
    for question in [&["-names"][..], &["-dump"], &["-kill"], &["-stop", "alice"]] {
        assert_eq!(
            ask(&port, question),
            (1, "epmd: Cannot connect to local epmd\n".into())
        );
    }
    assert_eq!(ask(&port, &["-started"]), (1, String::new()));
}

#[test]
fn what_is_not_understood_gets_the_usage() {
    for line in [
        &["-nosuch"][..],
        &["-help"],
        &["-port"],
        &["-port", "0"],
        &["-names", "x"],
    ] {
        let output = command(BEAMNODE).arg("epmd").args(line).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(
            output.stdout.is_empty() && output.stderr.starts_with(b"usage: epmd"),
            "{line:?}"
        );
    }
}

#[test]
fn a_daemon_listens_when_its_command_returns_and_leaves_nothing_of_its_starter_open() {
    let (folder, port) = (Folder::new("daemon"), free_port());
    // By the name of epmd, as erl calls it. Reading to the end would not end if the daemon kept a pipe.
    let start = || {
        command(folder.epmd())
            .args(["-port", &port, "-daemon"])
            .output()
            .unwrap()
    };
    let started = start();
    assert_eq!((started.status.code(), text(&started)), (Some(0), String::new()));
    let listing = format!("epmd: up and running on port {port} with data:\n");
    assert_eq!(ask(&port, &["-names"]), (0, listing.clone()));
    // A second one is content with the first.
    assert_eq!(start().status.code(), Some(0));

    let held = register(loopback(&port), "alice");
    assert_eq!(
        ask(&port, &["-names"]),
        (0, format!("{listing}name alice at port 4498\n"))
    );
    assert_eq!(ask(&port, &["-started"]), (0, String::new()));
    let (code, dump) = ask(&port, &["-dump"]);
    assert_eq!(code, 0);
    assert!(
        dump.starts_with(&format!("{listing}active name     <alice> at port 4498, fd = ")),
        "{dump}"
    );
    assert_eq!(
        ask(&port, &["-kill"]),
        (1, "Killing not allowed - living nodes in database.\n".into())
    );
    assert_eq!(
        ask(&port, &["-stop", "alice"]),
        (1, "epmd: local epmd responded with <>\n".into())
    );
    drop(held);
    wait_for(|| ask(&port, &["-kill"]) == (0, "Killed\n".into()));
    wait_for(|| ask(&port, &["-started"]).0 == 1);
}

#[test]
fn a_daemon_that_cannot_start_says_so() {
    let port = free_port();
    for (address, reason) in [("10.0.0.x", "10.0.0.x"), ("192.0.2.1", "192.0.2.1")] {
        let line = ["epmd", "-port", &port, "-address", address, "-daemon"];
        let output = command(BEAMNODE).args(line).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(text(&output).contains(reason), "{}", text(&output));
    }
}

#[test]
fn a_relaxed_daemon_stops_names_and_is_killed_with_nodes() {
    let port = free_port();
    let line = ["epmd", "-port", &port, "-relaxed_command_check"];
    let mut daemon = Foreground::start(command(BEAMNODE).args(line), &port);
    let mut held = register(loopback(&port), "alice");
    assert_eq!(ask(&port, &["-stop", "bob"]), (0, "NOEXIST\n".into()));
    assert_eq!(ask(&port, &["-stop", "alice"]), (0, "STOPPED\n".into()));
    assert_eq!(held.read(&mut [0]).unwrap(), 0);
    let _held = register(loopback(&port), "alice");
    assert_eq!(ask(&port, &["-kill"]), (0, "Killed\n".into()));
    assert_eq!(daemon.end(), 0);
}

#[test]
fn the_environment_says_where_to_listen_and_loopback_is_always_among_it() {
    let port = free_port();
    let mut daemon = command(BEAMNODE);
    daemon
        .arg("epmd")
        .env("ERL_EPMD_PORT", &port)
        .env("ERL_EPMD_ADDRESS", "127.0.0.2, 127.0.0.3");
    let _daemon = Foreground::start(&mut daemon, &port);
    let number: u16 = port.parse().unwrap();
    for address in ["127.0.0.1", "127.0.0.2", "127.0.0.3"] {
        let address: Ipv4Addr = address.parse().unwrap();
        drop(register((address, number), &address.to_string()));
    }
    assert!(TcpStream::connect((Ipv4Addr::new(127, 0, 0, 4), number)).is_err());
    if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok() {
        drop(register((Ipv6Addr::LOCALHOST, number), "six"));
    }
}

#[test]
fn a_signal_ends_it_in_good_order() {
    let port = free_port();
    let mut daemon = Foreground::start(command(BEAMNODE).args(["epmd", "-port", &port]), &port);
    let mut held = register(loopback(&port), "alice");
    let pid = daemon.0.id().to_string();
    assert!(
        Command::new("sh")
            .args(["-c", &format!("kill -HUP {pid}; kill -TERM {pid}")])
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(daemon.end(), 0);
    assert_eq!(held.read(&mut [0]).unwrap(), 0);
}

/// Starts a daemon that is handed these sockets as systemd does it (`sd_listen_fds(3)`): as descriptors from 3 on, two at most here.
fn activated(sockets: Vec<TcpListener>, notify: &Path) -> Foreground {
    let port = sockets[0].local_addr().unwrap().port().to_string();
    let count = sockets.len();
    let mut sockets = sockets
        .into_iter()
        .map(|socket| Stdio::from(OwnedFd::from(socket)));
    let mut shell = command("/bin/sh");
    shell
        .args([
            "-c",
            &format!(
                "exec env LISTEN_FDS={count} LISTEN_PID=$$ \"$0\" epmd -systemd 3<&0 4<&1 </dev/null >/dev/null"
            ),
            BEAMNODE,
        ])
        .env("NOTIFY_SOCKET", notify)
        .stdin(sockets.next().unwrap())
        .stdout(sockets.next().unwrap_or_else(Stdio::null))
        .stderr(Stdio::null());
    let daemon = Foreground(shell.spawn().unwrap());
    drop(shell);
    wait_for(|| ask(&port, &["-started"]).0 == 0);
    daemon
}

fn has_ipv6() -> bool {
    TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok()
}

#[test]
fn it_serves_on_the_socket_that_systemd_hands_over_and_says_when() {
    let folder = Folder::new("systemd");
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let notified = UnixDatagram::bind(folder.0.join("notify")).unwrap();
    notified.set_read_timeout(Some(LIMIT)).unwrap();
    let port = address.port().to_string();
    let mut daemon = activated(vec![listener], &folder.0.join("notify"));
    let mut message = [0; 200];
    let length = notified.recv(&mut message).unwrap();
    assert!(
        message[..length].starts_with(b"READY=1\n"),
        "{}",
        message[..length].escape_ascii()
    );
    let held = register(address, "alice");
    assert!(
        ask(&port, &["-names"])
            .1
            .starts_with(&format!("epmd: up and running on port {port} with data:\n"))
    );
    drop(held);
    wait_for(|| ask(&port, &["-kill"]).0 == 0);
    assert_eq!(daemon.end(), 0);
}

#[test]
fn sockets_of_both_families_are_handed_over_apart_or_as_one() {
    if !has_ipv6() {
        eprintln!("not tried: there is no IPv6 here");
        return;
    }
    let folder = Folder::new("families");
    let six = |only: bool, port: u16| {
        let socket = socket2::Socket::new(socket2::Domain::IPV6, socket2::Type::STREAM, None)?;
        socket.set_only_v6(only)?;
        let address = if only {
            Ipv6Addr::LOCALHOST
        } else {
            Ipv6Addr::UNSPECIFIED
        };
        socket.bind(&SocketAddr::from((address, port)).into())?;
        socket.listen(128)?;
        Ok::<_, std::io::Error>(TcpListener::from(socket))
    };
    let apart = loop {
        let four = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        // Somebody else may have the other one.
        if let Ok(six) = six(true, four.local_addr().unwrap().port()) {
            break vec![four, six];
        }
    };
    let as_one = vec![six(false, 0).unwrap()];
    for sockets in [apart, as_one] {
        let port = sockets[0].local_addr().unwrap().port();
        let _daemon = activated(sockets, &folder.0.join("nobody"));
        // Who is there by either is local: others may not register.
        let _four = register((Ipv4Addr::LOCALHOST, port), "four");
        let _six = register((Ipv6Addr::LOCALHOST, port), "six");
        let (code, names) = ask(&port.to_string(), &["-names"]);
        assert_eq!(code, 0);
        assert!(
            names.ends_with("name six at port 4498\nname four at port 4498\n"),
            "{names}"
        );
    }
}

#[test]
fn sockets_that_are_for_another_process_are_none() {
    let without = command(BEAMNODE).args(["epmd", "-systemd"]).output().unwrap();
    assert_eq!(without.status.code(), Some(1));
    assert!(text(&without).contains("no socket"), "{}", text(&without));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let elsewhere = command("/bin/sh")
        .args([
            "-c",
            "exec env LISTEN_FDS=1 LISTEN_PID=1 \"$0\" epmd -systemd 3<&0 </dev/null",
            BEAMNODE,
        ])
        .stdin(OwnedFd::from(listener))
        .output()
        .unwrap();
    assert_eq!(elsewhere.status.code(), Some(1));
    assert!(text(&elsewhere).contains("no socket"), "{}", text(&elsewhere));
}

#[test]
fn systemd_starts_it_when_it_is_first_asked() {
    let port = free_port();
    let mut sockets = vec![format!("127.0.0.1:{port}")];
    if has_ipv6() {
        sockets.push(format!("[::1]:{port}"));
    }
    let mut activate = command("systemd-socket-activate");
    for socket in &sockets {
        activate.args(["-l", socket]);
    }
    activate
        .args([BEAMNODE, "epmd", "-systemd"])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut daemon = match activate.spawn() {
        Ok(child) => Foreground(child),
        Err(error) => {
            eprintln!("not tried: systemd-socket-activate: {error}");
            return;
        }
    };
    wait_for(|| TcpStream::connect(loopback(&port)).is_ok());
    let held = register(loopback(&port), "alice");
    let listing = format!("epmd: up and running on port {port} with data:\nname alice at port 4498\n");
    assert_eq!(ask(&port, &["-names"]), (0, listing));
    let name = std::fs::read_to_string(format!("/proc/{}/comm", daemon.0.id())).unwrap();
    assert_eq!(name, "epmd\n");
    drop(held);
    wait_for(|| ask(&port, &["-kill"]).0 == 0);
    assert_eq!(daemon.end(), 0);
}

#[test]
fn systemd_understands_the_units_of_the_documentation() {
    let folder = Folder::new("units");
    let page = include_str!("../docs/epmd.md").replace("/usr/local/bin/beamnode", BEAMNODE);
    let mut units = Vec::new();
    for (number, unit) in ["epmd.socket", "epmd.service"].into_iter().enumerate() {
        let text = page.split("```ini\n").nth(number + 1).unwrap();
        let path = folder.0.join(unit);
        std::fs::write(&path, text.split("```").next().unwrap()).unwrap();
        units.push(path);
    }
    match command("systemd-analyze").arg("verify").args(&units).output() {
        Ok(verified) => assert_eq!(
            (verified.status.code(), text(&verified)),
            (Some(0), String::new())
        ),
        Err(error) => eprintln!("not tried: systemd-analyze: {error}"),
    }
}

/// Names held, at most: one needs a descriptor in the daemon and one here.
const MANY: usize = 20_000;
/// Memory that a name may take.
const KIB_A_NAME: f64 = 4.0;

#[test]
fn names_are_held_by_the_thousand_in_little_memory_and_take_nobody_s_time() {
    let descriptors = raise_descriptor_limit();
    // Some are for silent connections and questions there, and for other tests here.
    let many = MANY.min(descriptors.saturating_sub(descriptors / 64 + 600));
    let (port, other) = (free_port(), free_port());
    let _one = Foreground::start(command(BEAMNODE).args(["epmd", "-port", &other]), &other);
    let daemon = Foreground::start(command(BEAMNODE).args(["epmd", "-port", &port]), &port);
    let _first = register(loopback(&other), "node0");
    let memory = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.0.id())).unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .unwrap();
        line.trim().trim_end_matches(" kB").parse::<f64>().unwrap()
    };
    let empty = memory();
    let held: Vec<TcpStream> = (0..many)
        .map(|number| register_from(number, loopback(&port), &format!("node{number}")))
        .collect();
    let a_name = (memory() - empty) / many as f64;
    assert!(a_name < KIB_A_NAME, "{a_name:.2} KiB a name with {many} names");

    // One question to each in turn: what else the machine does falls on both.
    let mut times = [Vec::new(), Vec::new()];
    for number in 0..1500 {
        let name = format!("node{}", number * (many / 1500).max(1) % many);
        for (which, (port, name)) in [(&other, "node0"), (&port, &*name)].into_iter().enumerate() {
            let start = Instant::now();
            assert_eq!(look_up(loopback(port), name)[..4], [119, 0, 0x11, 0x92], "{name}");
            times[which].push(start.elapsed());
        }
    }
    let [with_one, with_many] = times.map(|mut times| {
        times.sort();
        times[times.len() / 2]
    });
    eprintln!(
        "{many} names held, {a_name:.2} KiB each; a look-up with one name {with_one:?}, with these {with_many:?}"
    );
    assert!(
        with_many < with_one * 3 / 2,
        "a look-up takes {with_one:?} with one name, {with_many:?} with {many}"
    );
    let (code, names) = ask(&port, &["-names"]);
    assert_eq!((code, names.lines().count()), (0, many + 1));
    drop(held);
    wait_for(|| ask(&port, &["-names"]).1.lines().count() == 1);
}

fn look_up(address: SocketAddr, name: &str) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).unwrap();
    let length = u16::try_from(name.len() + 1).unwrap();
    stream
        .write_all(&[&length.to_be_bytes()[..], b"z", name.as_bytes()].concat())
        .unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    answer
}

fn raise_descriptor_limit() -> usize {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    let most = hard.min(1 << 17);
    let raised = setrlimit(Resource::RLIMIT_NOFILE, most, hard).map_or(soft, |()| most);
    usize::try_from(raised).unwrap()
}

#[test]
fn the_log_goes_where_it_is_told() {
    let (folder, port) = (Folder::new("log"), free_port());
    let start = ["-port", &port, "-daemon", "-d", "-log", "epmd.log"];
    let started = command(folder.epmd())
        .args(start)
        .current_dir(&folder.0)
        .status()
        .unwrap();
    assert_eq!(started.code(), Some(0));
    drop(register(loopback(&port), "alice"));
    let log = || std::fs::read_to_string(folder.0.join("epmd.log")).unwrap();
    wait_for(|| log().contains("unregistered name=alice"));
    assert!(
        log().contains("registered name=alice port=4498 creation="),
        "{}",
        log()
    );
    wait_for(|| ask(&port, &["-kill"]).0 == 0);
}

#[test]
fn a_busy_daemon_can_be_played() {
    let port = free_port();
    let line = [
        "epmd",
        "-port",
        &port,
        "-delay_write",
        "1",
        "-packet_timeout",
        "1",
    ];
    let _daemon = Foreground::start(command(BEAMNODE).args(line), &port);
    let start = Instant::now();
    assert_eq!(ask(&port, &["-started"]).0, 0);
    assert!(start.elapsed() >= Duration::from_secs(1));
    // One that says nothing is not waited for longer than that.
    let mut silent = TcpStream::connect(loopback(&port)).unwrap();
    silent.set_read_timeout(Some(LIMIT)).unwrap();
    assert_eq!(silent.read(&mut [0]).unwrap(), 0);
}

#[test]
fn names_of_a_host_are_listed_and_what_is_wrong_is_said() {
    let port = free_port();
    let names = |host: &[&str]| {
        let output = command(BEAMNODE)
            .arg("names")
            .args(host)
            .env("ERL_EPMD_PORT", &port)
            .output()
            .unwrap();
        (output.status.code().unwrap(), text(&output))
    };
    let none = names(&[]);
    assert_eq!(
        none,
        (1, format!("beamnode: no EPMD is running at 127.0.0.1:{port}\n"))
    );
    let nowhere = names(&["nowhere.invalid"]);
    assert_eq!(nowhere.0, 1);
    assert!(
        nowhere
            .1
            .starts_with("beamnode: cannot find the address of host nowhere.invalid: "),
        "{}",
        nowhere.1
    );

    let _daemon = Foreground::start(command(BEAMNODE).args(["epmd", "-port", &port]), &port);
    let _held = register(loopback(&port), "alice");
    let listing = format!("epmd: up and running on port {port} with data:\nname alice at port 4498\n");
    for host in [&[][..], &["localhost"], &["127.0.0.1"]] {
        assert_eq!(names(host), (0, listing.clone()));
    }
}
