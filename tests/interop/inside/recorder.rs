//! A proxy that keeps every byte of the connections that go through it. A real node is sent to it by
//! `bed_epmd:route(Alive, Host, Port)`, when it was started with `-epmd_module bed_epmd`; nobody else notices.

use std::{
    fmt::Write as _,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    task::JoinSet,
};

/// Listens until it is dropped.
pub(crate) struct Recorder {
    port: u16,
    recordings: Arc<Mutex<Vec<Recording>>>,
    _serving: JoinSet<()>,
}

/// One connection: who sent what, in the order in which it came through.
#[derive(Debug, Clone, Default)]
pub(crate) struct Recording {
    chunks: Vec<(Side, Vec<u8>)>,
}

/// Who sent something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Initiator,
    Acceptor,
}

impl Recorder {
    /// Stands before what listens at `host` and `port`.
    pub(crate) async fn before(host: &str, port: u16) -> Self {
        let listener = TcpListener::bind(("0.0.0.0", 0)).await.expect("a port");
        let own_port = listener.local_addr().expect("an address").port();
        let recordings = Arc::new(Mutex::new(Vec::new()));
        let mut serving = JoinSet::new();
        serving.spawn(serve(listener, host.to_owned(), port, Arc::clone(&recordings)));
        Self {
            port: own_port,
            recordings,
            _serving: serving,
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// What has come through so far, a recording a connection.
    pub(crate) fn recordings(&self) -> Vec<Recording> {
        self.recordings
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Recording {
    /// All bytes that one side has sent.
    pub(crate) fn sent_by(&self, side: Side) -> Vec<u8> {
        let chunks = self.chunks.iter().filter(|(sender, _)| *sender == side);
        chunks.flat_map(|(_, bytes)| bytes.iter().copied()).collect()
    }

    /// As a fixture: a line for at most 48 bytes in hexadecimal, after `>` what the initiator sent, after `<` what the
    /// acceptor did. What was sent at once and what in pieces is not told.
    pub(crate) fn to_fixture(&self, about: &str) -> String {
        let mut text = String::new();
        for line in about.lines() {
            writeln!(text, "# {line}").ok();
        }
        let runs = self.chunks.chunk_by(|(one, _), (other, _)| one == other);
        for run in runs {
            let arrow = if run[0].0 == Side::Initiator { '>' } else { '<' };
            let bytes: Vec<u8> = run.iter().flat_map(|(_, bytes)| bytes.iter().copied()).collect();
            for line in bytes.chunks(48) {
                write!(text, "{arrow} ").ok();
                for byte in line {
                    write!(text, "{byte:02x}").ok();
                }
                text.push('\n');
            }
        }
        text
    }
}

async fn serve(listener: TcpListener, host: String, port: u16, recordings: Arc<Mutex<Vec<Recording>>>) {
    let mut connections = JoinSet::new();
    while let Ok((initiator, _)) = listener.accept().await {
        let Ok(acceptor) = TcpStream::connect((host.as_str(), port)).await else {
            continue;
        };
        for stream in [&initiator, &acceptor] {
            stream.set_nodelay(true).ok();
        }
        let number = {
            let mut recordings = recordings.lock().unwrap_or_else(PoisonError::into_inner);
            recordings.push(Recording::default());
            recordings.len() - 1
        };
        let (from_initiator, to_initiator) = initiator.into_split();
        let (from_acceptor, to_acceptor) = acceptor.into_split();
        for (side, from, to) in [
            (Side::Initiator, from_initiator, to_acceptor),
            (Side::Acceptor, from_acceptor, to_initiator),
        ] {
            connections.spawn(pass(side, from, to, Arc::clone(&recordings), number));
        }
    }
}

async fn pass(
    side: Side,
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    recordings: Arc<Mutex<Vec<Recording>>>,
    number: usize,
) {
    let mut buffer = vec![0; 65536];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        let bytes = &buffer[..length];
        // Kept before it is passed on: an answer to it stands after it.
        recordings.lock().unwrap_or_else(PoisonError::into_inner)[number]
            .chunks
            .push((side, bytes.to_vec()));
        if to.write_all(bytes).await.is_err() {
            break;
        }
    }
    to.shutdown().await.ok();
}
