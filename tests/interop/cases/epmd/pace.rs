//! What the options that have to do with time are seen to do, of stock's daemon and of ours.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    path::Path,
    time::{Duration, Instant},
};

use super::{Daemon, alive, our_program, stock_program};
use crate::inside::{Bed, LIMIT};

const SECOND: Duration = Duration::from_secs(1);

/// See the module.
pub(crate) async fn pace(bed: Bed) {
    let stock = stock_program(&bed).await;
    let played = tokio::task::spawn_blocking(move || {
        for program in [&stock, &our_program()] {
            play(program);
        }
    });
    played.await.expect("both keep time");
}

fn play(program: &Path) {
    let name = program.display();
    let open = |daemon: &Daemon, bytes: &[u8]| {
        let mut stream = TcpStream::connect(daemon.address()).expect("it accepts");
        stream.set_read_timeout(Some(LIMIT)).expect("a timeout");
        stream.write_all(bytes).expect("it reads");
        stream
    };

    // One that asks slowly is hung up on; one that holds a name may be silent.
    let daemon = Daemon::start(program, &["-packet_timeout", "1"]);
    let mut held = open(&daemon, &alive(b"alice"));
    let mut answer = [0; 6];
    held.read_exact(&mut answer).expect("an answer");
    for bytes in [&b""[..], b"\0\x06zal"] {
        let mut slow = open(&daemon, bytes);
        let end = slow.read(&mut answer);
        assert!(
            matches!(end, Ok(0)),
            "{name}: {} gives {end:?}",
            bytes.escape_ascii()
        );
    }
    assert_eq!(daemon.ask(b"zalice")[..2], [119, 0], "{name} holds its name");
    drop(daemon);

    // By default it waits longer than that.
    let daemon = Daemon::start(program, &[]);
    let mut slow = open(&daemon, b"");
    slow.set_read_timeout(Some(2 * SECOND)).expect("a timeout");
    assert!(slow.read(&mut answer).is_err(), "{name} waits for a request");
    drop(daemon);

    for option in ["-delay_accept", "-delay_write"] {
        let daemon = Daemon::start(program, &[option, "1"]);
        let start = Instant::now();
        assert_eq!(daemon.ask(b"zalice"), b"w\x01", "{name} {option}");
        assert!(
            start.elapsed() >= SECOND,
            "{name} {option} took {:?}",
            start.elapsed()
        );
    }
}
