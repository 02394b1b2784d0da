//! EPMD of this crate against stock's, in one run.
//!
//! `cargo bench --features cli --bench epmd` prints medians and ratios: look-ups and registrations a second, with one and with many
//! connections at a time; how many names each holds, and in how much memory; what a request takes with one name and with the most. The daemons run
//! as processes of their own, on ports of their own, and take turns in short rounds, so that whatever else the
//! machine does falls on both. Stock's is the `epmd` of the PATH, or what `STOCK_EPMD` names. A number on the command line is
//! that of the names to hold.

use std::collections::VecDeque;
use std::error::Error;
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use beamnode::epmd::message::{RegisterAnswer, Request};
use beamnode::epmd::{Name, Registrant};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// How long each daemon works in each round of each case.
const TURN: Duration = Duration::from_millis(400);
/// Rounds of each case.
const ROUNDS: usize = 15;
/// Names registered while look-ups are timed: those of a host with a few nodes and of one with many.
const NAMES: [usize; 2] = [100, 500];
/// Names to hold, and where to look at the memory on the way.
const MANY: usize = 20_000;
const SOME: usize = 500;
/// With so many names stock's still answers.
const STOCK_ANSWERS: usize = 1_000;
/// Requests of each kind to each daemon with one name and with the most.
const REQUESTS: usize = 3000;

fn main() -> Result<()> {
    let stock = std::env::var_os("STOCK_EPMD").map_or_else(|| PathBuf::from("epmd"), PathBuf::from);
    let ours = PathBuf::from(env!("CARGO_BIN_EXE_beamnode"));
    let many: usize = std::env::args()
        .skip(1)
        .find_map(|argument| argument.parse().ok())
        .unwrap_or(MANY);
    let descriptors = raise_descriptor_limit();
    speed([Daemon::start(&stock, &[])?, Daemon::start(&ours, &["epmd"])?])?;
    println!("\nwith {descriptors} descriptors at most for each process");
    let kinds = [("stock", &stock, &[][..]), ("ours", &ours, &["epmd"][..])];
    let mut held = Vec::new();
    for (title, program, arguments) in kinds {
        held.push(memory(title, &Daemon::start(program, arguments)?, many)?);
    }
    // Full, stock's refuses every connection, and ours a further name: some room is left.
    let most = [held[0].min(STOCK_ANSWERS), held[1].saturating_sub(32)];
    println!("\n{:<44}{:>12}{:>12}{:>8}", "", "one name", "the most", "ratio");
    for ((title, program, arguments), most) in kinds.into_iter().zip(most) {
        let start = || Daemon::start(program, arguments);
        first_and_last(title, [start()?, start()?], most)?;
    }
    Ok(())
}

/// Compares how fast the daemons are.
fn speed(daemons: [Daemon; 2]) -> Result<()> {
    println!("{:<44}{:>12}{:>12}{:>8}", "", "stock", "ours", "ratio");
    for names in NAMES {
        let _held = daemons
            .iter()
            .map(|daemon| hold(daemon, 0, names))
            .collect::<Result<Vec<_>>>()?;
        for at_a_time in [1, 8, 64, 200] {
            compare(
                &format!("look-ups/s, {names} names, {at_a_time} at a time"),
                &daemons,
                Case::LookUp { names },
                at_a_time,
            )?;
        }
    }
    for at_a_time in [1, 200] {
        compare(
            &format!("registrations/s, {at_a_time} at a time"),
            &daemons,
            Case::Register,
            at_a_time,
        )?;
    }
    Ok(())
}

/// Lets both daemons take turns at a case, and prints the medians.
fn compare(title: &str, daemons: &[Daemon; 2], case: Case, at_a_time: usize) -> Result<()> {
    let mut rates = [Vec::new(), Vec::new()];
    let mut costs = [Vec::new(), Vec::new()];
    let mut shares = [Vec::new(), Vec::new()];
    for round in 0..ROUNDS {
        for turn in 0..2 {
            let which = (round + turn) % 2;
            let daemon = &daemons[which];
            let (before, start) = (daemon.cpu()?, Instant::now());
            let done = daemon.work(case, at_a_time)? as f64;
            let (elapsed, spent) = (
                start.elapsed().as_secs_f64(),
                (daemon.cpu()? - before).as_secs_f64(),
            );
            rates[which].push(done / elapsed);
            costs[which].push(spent * 1e6 / done);
            shares[which].push(spent * 100.0 / elapsed);
        }
    }
    let [stock, ours] = rates.map(median);
    println!("{title:<44}{stock:>12.0}{ours:>12.0}{:>8.2}", ours / stock);
    let [stock, ours] = costs.map(median);
    println!(
        "{:<44}{stock:>12.1}{ours:>12.1}{:>8.2}",
        "    CPU time of the daemon for each, us",
        ours / stock
    );
    println!(
        "{:<44}{:>12.0}{:>12.0}{:>8.2}",
        "    a second of the daemon's CPU answers",
        1e6 / stock,
        1e6 / ours,
        stock / ours
    );
    // Where that is far from a whole processor, the clients are what takes the time.
    let [stock, ours] = shares.map(median);
    println!(
        "{:<44}{stock:>11.0}%{ours:>11.0}%",
        "    of a processor, the daemon is busy"
    );
    Ok(())
}

/// Sees how many names a daemon holds, and what they cost.
fn memory(title: &str, daemon: &Daemon, many: usize) -> Result<usize> {
    let empty = daemon.memory()?;
    let _some = hold(daemon, 0, SOME)?;
    let at_some = daemon.memory()?;
    let held = hold(daemon, SOME, many)?;
    let most = SOME + held.len();
    let at_most = daemon.memory()?;
    let a_name = |memory: u64, names: usize| (memory - empty) as f64 / names as f64;
    println!("{title}: {most} names held");
    println!(
        "{title}: {empty} KiB resident when empty, {:.2} KiB a name at {SOME}, {:.2} KiB a name at {most}",
        a_name(at_some, SOME),
        a_name(at_most, most),
    );
    if daemon.look_up(0).is_err() {
        println!("{title}: with {most} names it answers no more");
    }
    Ok(most)
}

/// Compares what a request takes of a daemon with one name and of one with the most: both take turns at each request.
fn first_and_last(title: &str, daemons: [Daemon; 2], most: usize) -> Result<()> {
    let _first = hold(&daemons[0], 0, 1)?;
    let _most = hold(&daemons[1], 0, most)?;
    let mut times = [[Vec::new(), Vec::new()], [Vec::new(), Vec::new()]];
    for turn in 0..REQUESTS {
        for which in [turn % 2, (turn + 1) % 2] {
            times[0][which].push(daemons[which].look_up(0)?.as_secs_f64() * 1e6);
            times[1][which].push(daemons[which].register(turn)?.as_secs_f64() * 1e6);
        }
    }
    for (what, times) in ["a look-up", "a registration"].into_iter().zip(times) {
        let [one, most_time] = times.map(median);
        println!(
            "{:<44}{one:>12.1}{most_time:>12.1}{:>8.2}",
            format!("{title}: {what}, us; the most: {most}"),
            most_time / one
        );
    }
    Ok(())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// What clients do, each on a connection of its own.
#[derive(Clone, Copy)]
enum Case {
    /// Look up one of so many names that are there.
    LookUp { names: usize },
    /// Register a name, and give it up at once.
    Register,
}

impl Case {
    fn ask(self, address: SocketAddr, turn: usize) -> io::Result<TcpStream> {
        let request = match self {
            Self::LookUp { names } => Request::Lookup(name(&format!("node{}", turn % names))),
            Self::Register => {
                static NEXT: AtomicUsize = AtomicUsize::new(0);
                let name = name(&format!("client{}", NEXT.fetch_add(1, Ordering::Relaxed)));
                Request::Register(Registrant::new(name, 4711))
            }
        };
        let mut stream = TcpStream::connect(address)?;
        stream.write_all(&request.encode())?;
        Ok(stream)
    }

    fn finish(self, mut stream: TcpStream) -> io::Result<()> {
        let mut answer = [0; 64];
        match self {
            Self::LookUp { .. } => {
                // To the end: that is when Erlang's client takes it for an answer.
                let mut got = 0;
                loop {
                    match stream.read(&mut answer[got..])? {
                        0 => break,
                        more => got += more,
                    }
                }
                if answer[..2] != [119, 0] {
                    Err(io::ErrorKind::InvalidData.into())
                } else {
                    Ok(())
                }
            }
            Self::Register => {
                stream.read_exact(&mut answer[..6])?;
                if answer[..2] != [118, 0] {
                    Err(io::ErrorKind::AlreadyExists.into())
                } else {
                    Ok(())
                }
            }
        }
    }
}

fn name(text: &str) -> Name {
    text.parse().expect("short names are names")
}

/// A daemon in a process of its own.
struct Daemon {
    child: Child,
    address: SocketAddr,
}

impl Daemon {
    fn start(program: &Path, arguments: &[&str]) -> Result<Self> {
        // Not one of those that the kernel gives to whoever asks for any: who looks for a daemon before it listens could be
        // given its port, and find itself there.
        let port = (10_000..30_000)
            .find(|&port| std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok())
            .ok_or("no free port")?;
        let child = Command::new(program)
            .args(arguments)
            .args(["-port", &port.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("cannot start {}: {error}", program.display()))?;
        let daemon = Self {
            child,
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        };
        let deadline = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(daemon.address).is_err() {
            if Instant::now() > deadline {
                return Err(format!("{} does not listen", program.display()).into());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(daemon)
    }

    /// Keeps so many connections going for one turn, and says how many got their answer.
    ///
    /// The client must cost less than the daemon, or it is the client that is measured: so no event loop, but two threads
    /// that each have half of the connections open and wait for the one that has been so longest.
    fn work(&self, case: Case, at_a_time: usize) -> Result<usize> {
        let threads = at_a_time.min(2);
        let start = Instant::now();
        let work = || {
            let mut open = VecDeque::new();
            let (mut started, mut done) = (0, 0);
            while start.elapsed() < TURN {
                open.push_back(case.ask(self.address, started)?);
                started += 1;
                if open.len() == at_a_time / threads
                    && let Some(longest) = open.pop_front()
                {
                    case.finish(longest)?;
                    done += 1;
                }
            }
            Ok::<usize, io::Error>(done)
        };
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            let mut done = 0;
            for thread in threads {
                done += thread.join().map_err(|_| "a client panicked")??;
            }
            Ok(done)
        })
    }

    /// How long it takes to look up a name, from before the connection is made to its end.
    fn look_up(&self, number: usize) -> Result<Duration> {
        let request = Request::Lookup(name(&format!("node{number}"))).encode();
        let start = Instant::now();
        let mut stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(&request)?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        if answer.get(..2) != Some(&[119, 0]) {
            return Err("no answer".into());
        }
        Ok(start.elapsed())
    }

    /// How long it takes to register one more name, which is given up again.
    fn register(&self, number: usize) -> Result<Duration> {
        let start = Instant::now();
        drop(register(self, &format!("more{number}"), Ipv4Addr::LOCALHOST)?);
        Ok(start.elapsed())
    }

    /// Resident memory in KiB.
    fn memory(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .ok_or("no VmRSS")?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    }

    /// CPU time spent so far by all threads, in user and kernel mode.
    fn cpu(&self) -> Result<Duration> {
        let mut spent = Duration::ZERO;
        for thread in std::fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let text = std::fs::read_to_string(thread?.path().join("schedstat"))?;
            spent += Duration::from_nanos(text.split(' ').next().ok_or("no schedstat")?.parse()?);
        }
        Ok(spent)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Registers the names numbered from `first` up to `end`, or as many as the daemon takes, and keeps their connections.
fn hold(daemon: &Daemon, first: usize, end: usize) -> Result<Vec<TcpStream>> {
    let mut held = Vec::new();
    for index in first..end {
        // One address does not have ports enough.
        let from = Ipv4Addr::new(127, 0, u8::try_from(index / 10_000)? + 1, 1);
        match register(daemon, &format!("node{index}"), from) {
            Ok(stream) => held.push(stream),
            Err(_) => break,
        }
    }
    Ok(held)
}

fn register(daemon: &Daemon, text: &str, from: Ipv4Addr) -> Result<TcpStream> {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((from, 0)).into())?;
    socket.connect(&daemon.address.into())?;
    let mut stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(&Request::Register(Registrant::new(name(text), 4711)).encode())?;
    let mut answer = [0; 6];
    stream.read_exact(&mut answer)?;
    match RegisterAnswer::decode(&answer)? {
        Some(RegisterAnswer::Registered { .. }) => Ok(stream),
        _ => Err("refused".into()),
    }
}

/// Each client of so many needs a descriptor. Says how many there may be.
fn raise_descriptor_limit() -> u64 {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else {
        return 0;
    };
    for wanted in [hard.max(1 << 17), hard] {
        if setrlimit(Resource::RLIMIT_NOFILE, wanted, wanted).is_ok() {
            return wanted;
        }
    }
    soft
}
