//! Two EPMD daemons, stock's and ours, that are told the same and must do the same: answer, hang up or stay silent.
//!
//! A script is a sequence of steps over a few connections: open one, send bytes in pieces, close one. After each step
//! the twins are compared on every connection: what they have answered so far, and whether they have hung up. What cannot be the same
//! is masked: ports that they listen on, descriptors in dumps, and creations.

use std::{
    collections::BTreeMap,
    io::{ErrorKind, Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use super::{alive_with, packet};

/// How long a twin may take to do what the other has done.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long to wait before looking again.
const GAP: Duration = Duration::from_millis(4);

/// One step of a script. Connections have names of one letter.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// Open the connection if it is not, and send these pieces.
    Send(char, Vec<Vec<u8>>),
    /// Say on the connection that nothing more will be sent.
    Finish(char),
    /// Close the connection.
    Close(char),
    /// Register so many names, one after the other, each gone before the next comes.
    Pass(usize),
}

/// A daemon: one that this process has started, or one of another host.
pub(crate) struct Daemon {
    child: Option<Child>,
    address: SocketAddr,
    connections: BTreeMap<char, Connection>,
}

struct Connection {
    stream: TcpStream,
    answer: Vec<u8>,
    closed: bool,
}

impl Daemon {
    /// Starts a daemon on a port that nobody has.
    pub(crate) fn start(program: &Path, arguments: &[&str]) -> Self {
        // Not one of those that the kernel gives to whoever asks for any: one that looks for a daemon that is gone could be
        // given its port, and find itself there.
        let free = |port: &u16| std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
        let start = 10_000 + std::process::id() as u16 % 100 * 100;
        let port = (start..start + 100).find(free).expect("a free port");
        Self::start_on(program, arguments, port)
    }

    /// Starts a daemon on this port.
    pub(crate) fn start_on(program: &Path, arguments: &[&str], port: u16) -> Self {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let child = Command::new(program)
            .args(arguments)
            .args(["-port", &address.port().to_string()])
            .env_remove("ERL_EPMD_RELAXED_COMMAND_CHECK")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        let daemon = Self {
            child: Some(child),
            address,
            connections: BTreeMap::new(),
        };
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(address).is_err() {
            assert!(Instant::now() < deadline, "{} does not listen", program.display());
            std::thread::sleep(GAP);
        }
        daemon
    }

    /// The daemon that listens there.
    pub(crate) fn elsewhere(address: SocketAddr) -> Self {
        Self {
            child: None,
            address,
            connections: BTreeMap::new(),
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends the daemon's process at once.
    pub(crate) fn kill(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Waits until the daemon has ended by itself, in good order.
    pub(crate) fn await_end(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.child.as_mut().map(Child::try_wait) {
                Some(Ok(Some(status))) => return assert!(status.success(), "{status}"),
                _ => assert!(Instant::now() < deadline, "the daemon does not end"),
            }
            std::thread::sleep(GAP);
        }
    }

    /// Whether the daemon's process lives.
    fn is_running(&mut self) -> bool {
        self.child
            .as_mut()
            .is_none_or(|child| matches!(child.try_wait(), Ok(None)))
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Send(name, pieces) => {
                for piece in pieces {
                    let address = self.address;
                    let connection = self
                        .connections
                        .entry(*name)
                        .or_insert_with(|| Connection::open(address));
                    // It may have hung up in the middle.
                    let _ = connection.stream.write_all(piece);
                    // So that the pieces are read apart.
                    self.settle();
                }
            }
            Step::Finish(name) => {
                if let Some(connection) = self.connections.get(name) {
                    let _ = connection.stream.shutdown(Shutdown::Write);
                }
            }
            Step::Close(name) => {
                self.connections.remove(name);
            }
            Step::Pass(count) => {
                for number in 0..*count {
                    self.pass(format!("passing{number}").as_bytes(), 6);
                }
            }
        }
        self.settle();
    }

    /// Registers a name, gives it up, waits until it is free again, and gives the answer to the registration.
    fn pass(&self, name: &[u8], version: u16) -> Vec<u8> {
        let mut answer = vec![0; if version < 6 { 4 } else { 6 }];
        let mut held = TcpStream::connect(self.address).expect("the daemon accepts");
        held.write_all(&alive_with(name, version, b"", b""))
            .expect("it reads");
        held.read_exact(&mut answer).expect("it answers");
        assert_eq!(answer[1], 0, "{}", name.escape_ascii());
        drop(held);
        let deadline = Instant::now() + PATIENCE;
        while self.ask(&[b"z", name].concat()) != b"w\x01" {
            assert!(Instant::now() < deadline, "{} is not free", name.escape_ascii());
        }
        answer
    }

    /// Asks something and gives the whole answer.
    pub(super) fn ask(&self, request: &[u8]) -> Vec<u8> {
        let mut answer = Vec::new();
        let mut stream = TcpStream::connect(self.address).expect("the daemon accepts");
        stream.write_all(&packet(request)).expect("it reads");
        stream.read_to_end(&mut answer).expect("it answers");
        answer
    }

    /// Waits until the daemon has dealt with what it was sent, as far as one can tell: it has answered questions that came later,
    /// with pauses between them, for one that is asked without end may answer before it looks at other connections.
    fn settle(&mut self) {
        if !self.is_running() {
            return;
        }
        for _ in 0..3 {
            std::thread::sleep(Duration::from_millis(1));
            let mut rest = Vec::new();
            if let Ok(mut stream) = TcpStream::connect(self.address) {
                let _ = stream.write_all(b"\0\x01n");
                let _ = stream.read_to_end(&mut rest);
            }
        }
    }

    /// What the daemon has done on each connection so far.
    fn state(&mut self) -> Vec<(char, bool, String)> {
        let mut state = Vec::new();
        for (name, connection) in &mut self.connections {
            connection.read();
            let answer = masked(&connection.answer);
            state.push((*name, connection.closed, answer));
        }
        state
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Connection {
    fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("the daemon accepts");
        stream.set_nodelay(true).expect("nodelay");
        Self {
            stream,
            answer: Vec::new(),
            closed: false,
        }
    }

    /// Reads what is there.
    fn read(&mut self) {
        if self.closed {
            return;
        }
        self.stream.set_nonblocking(true).expect("nonblocking");
        let mut buffer = [0; 4096];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => self.closed = true,
                Ok(length) => {
                    self.answer.extend_from_slice(&buffer[..length]);
                    continue;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => self.closed = true,
            }
            break;
        }
        self.stream.set_nonblocking(false).expect("blocking");
    }
}

/// The answer with that masked which may differ.
fn masked(answer: &[u8]) -> String {
    match *answer {
        // ALIVE2_X_RESP: creations begin with the time.
        [118, 0, a, b, c, d] if u32::from_be_bytes([a, b, c, d]) >= 4 => "registered".to_owned(),
        // ALIVE2_RESP.
        [121, 0, 0, 1..=3] => "registered, small creation".to_owned(),
        // NAMES_RESP and DUMP_RESP begin with the port.
        [0, 0, _, _, ref text @ ..] => {
            let mut masked = String::from("port, ");
            for line in text.escape_ascii().to_string().split_inclusive("\\n") {
                match line.split_once(", fd = ") {
                    Some((front, back)) => {
                        let back = back.trim_start_matches(|digit: char| digit.is_ascii_digit());
                        masked.extend([front, ", fd = N", back]);
                    }
                    None => masked.push_str(line),
                }
            }
            masked
        }
        _ => answer.escape_ascii().to_string(),
    }
}

/// Takes both daemons through a script, one step after the other, and compares them after each.
pub(crate) fn compare(title: &str, stock: &mut Daemon, ours: &mut Daemon, script: &[Step]) {
    for (number, step) in script.iter().enumerate() {
        stock.take(step);
        ours.take(step);
        let deadline = Instant::now() + PATIENCE;
        loop {
            let (theirs, ours) = (stock.state(), ours.state());
            if theirs == ours {
                break;
            }
            assert!(
                Instant::now() < deadline,
                "{title}: after step {number}, {step:?}\nstock {theirs:#?}\nours {ours:#?}"
            );
            std::thread::sleep(GAP);
        }
    }
    for daemon in [stock, ours] {
        // One after the other: which of two that end together is taken off first is nobody's business.
        while daemon.connections.pop_first().is_some() {
            daemon.settle();
        }
    }
}

/// The creations that a name gets which comes and goes while others do, each less the first one.
pub(super) fn creations(daemon: &Daemon) -> Vec<i64> {
    let creations = [1, 2, 3, 4].map(|_| {
        let answer = daemon.pass(b"eve", 6);
        daemon.pass(b"mallory", 6);
        i64::from(u32::from_be_bytes([answer[2], answer[3], answer[4], answer[5]]))
    });
    creations.map(|creation| creation - creations[0]).into()
}

/// The creations that a node of the old protocol gets, which has only three of them.
pub(super) fn small_creations(daemon: &Daemon) -> Vec<u8> {
    (0..7).map(|_| daemon.pass(b"old", 5)[3]).collect()
}

/// Makes up scripts from a seed: requests of every kind, most of them sound or nearly so, in random pieces on a handful of
/// connections.
pub(crate) struct Inventor {
    state: u64,
}

impl Inventor {
    pub(crate) fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    pub(crate) fn script(&mut self, steps: usize) -> Vec<Step> {
        (0..steps).map(|_| self.step()).collect()
    }

    /// SplitMix64.
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn one_of<T: Clone>(&mut self, choice: &[T]) -> T {
        choice[self.below(choice.len())].clone()
    }

    fn step(&mut self) -> Step {
        let connection = self.one_of(&['a', 'b', 'c', 'd', 'e', 'f']);
        match self.below(8) {
            0 | 1 => Step::Close(connection),
            2 if self.below(3) == 0 => Step::Finish(connection),
            _ => {
                let bytes = self.request();
                Step::Send(connection, self.pieces(bytes))
            }
        }
    }

    /// Cuts bytes at random places; mostly not at all.
    fn pieces(&mut self, bytes: Vec<u8>) -> Vec<Vec<u8>> {
        let mut pieces = vec![bytes];
        for _ in 0..self.one_of(&[0, 0, 1, 2]) {
            let last = pieces.last_mut().expect("one at least");
            if last.len() > 1 {
                let at = 1 + self.below(last.len() - 1);
                let rest = last.split_off(at);
                pieces.push(rest);
            }
        }
        pieces
    }

    fn request(&mut self) -> Vec<u8> {
        let body = match self.below(12) {
            0..=4 => self.alive(),
            5 | 6 => {
                let mut body = vec![b'z'];
                body.extend(self.name());
                body.extend(self.one_of(&[&b""[..], b"", b"\0", b"\0\0", b"\0x"]));
                body
            }
            7 => self.one_of(&[&b"n"[..], b"n", b"nothing"]).to_vec(),
            8 => self.one_of(&[&b"d"[..], b"d\0"]).to_vec(),
            // With nodes registered or not: the script goes on only if it was refused, so it is asked rarely by others.
            9 => {
                let mut body = vec![b's'];
                body.extend(self.name());
                body
            }
            10 => {
                let op = self.below(256) as u8;
                // The one that ends the daemon.
                let op = if op == b'k' { b'a' } else { op };
                let mut body = vec![op];
                body.extend(self.name());
                body
            }
            _ => Vec::new(),
        };
        let length = match self.below(12) {
            0 => self.one_of(&[0, 1, 3057, 3058, 65535]),
            1 => body.len().saturating_sub(1),
            2 => body.len() + 1,
            _ => body.len(),
        };
        let mut packet = (length as u16).to_be_bytes().to_vec();
        packet.extend(body);
        if self.below(12) == 0 {
            packet.extend(b"\0\x01n");
        }
        packet
    }

    fn name(&mut self) -> Vec<u8> {
        match self.below(16) {
            0 => Vec::new(),
            1 => "é".repeat(self.one_of(&[1, 254, 255, 256, 510])).into_bytes(),
            2 => "x"
                .repeat(self.one_of(&[253, 254, 255, 256, 1020, 1021]))
                .into_bytes(),
            3 => self
                .one_of(&[
                    &b"\xff"[..],
                    b"a\xc3",
                    b"\xed\xa0\x80",
                    b"\xf4\x90\x80\x80",
                    b"\xc0\x80",
                ])
                .to_vec(),
            4 => self
                .one_of(&[&b"a b"[..], b"a@b", b"a\nb", b"nul\0", b" ", b"\xf0\x9f\x90\x9d"])
                .to_vec(),
            _ => self.one_of(&[&b"alice"[..], b"bob", b"carol"]).to_vec(),
        }
    }

    fn alive(&mut self) -> Vec<u8> {
        let name = self.name();
        let extra = match self.below(8) {
            0 => vec![b'e'; self.one_of(&[1, 1020, 1021, 2000])],
            _ => Vec::new(),
        };
        let wrong = self.one_of(&[0, 0, 0, 0, 0, 0, 0, 1, 2]);
        let mut body = vec![b'x'];
        body.extend(((self.next() & 0xffff) as u16).to_be_bytes());
        body.extend([self.one_of(&[77, 72, 0]), 0]);
        body.extend(self.one_of(&[0_u16, 5, 6, 6, 6, 7]).to_be_bytes());
        body.extend(5_u16.to_be_bytes());
        body.extend(((name.len() + usize::from(wrong == 1)) as u16).to_be_bytes());
        body.extend(&name);
        body.extend(((extra.len() + usize::from(wrong == 2)) as u16).to_be_bytes());
        body.extend(&extra);
        if self.below(10) == 0 {
            body.extend(b"tail");
        }
        body
    }
}
