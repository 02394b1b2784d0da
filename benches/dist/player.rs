//! Our half of the bench: a node that does what its standard input says, a line each, and answers with a line of numbers. What
//! the verbs mean, `bench.erl` says too.

use std::time::{Duration, Instant};

use beamnode::dist::handshake::{Dialed, LocalName, SETUP_TIME};
use beamnode::dist::{Cookie, Flags};
use beamnode::epmd;
use beamnode::etf::RawTerm;
use beamnode::net::{self, Link};
use beamnode::node::{Node, NodeEvent, NodeType, Process};
use beamnode::term;
use beamnode::term::{Pid, Term};
use bytes::Bytes;
use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::{COOKIE, Result, percentile};

pub(crate) async fn run(name: String) -> Result<()> {
    let node = Node::builder(name.clone())
        .cookie(COOKIE)
        .hidden(true)
        .start()
        .await?;
    serve(&node)?;
    println!("ready {name}");
    let mut held = Vec::new();
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        let mut words = line.split(' ');
        let (verb, peer) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let numbers = words
            .map(str::parse)
            .collect::<std::result::Result<Vec<usize>, _>>()?;
        let result = match (verb, numbers.as_slice()) {
            ("send", [senders, count, size]) => send(&node, peer, *senders, *count, *size).await?,
            ("ping", [count]) => {
                let mut me = node.process();
                let echo = pid(&mut me, "echo", peer).await?;
                vec![percentile(pings(&mut me, &echo, *count).await?, 50)]
            }
            ("stream", [count, size]) => stream(&node, peer, *count, *size).await?,
            ("connect", [count]) => connect(&node, peer, *count).await?,
            ("accept", [count, at_a_time]) => accept(peer, *count, *at_a_time).await?,
            ("hold", [count]) => {
                for number in 0..*count {
                    held.push(stranger(peer, number).await?);
                }
                vec![*count as u64]
            }
            ("drop", []) => {
                held = Vec::new();
                vec![0]
            }
            _ => return Err(format!("{line} is no command").into()),
        };
        let result: String = result.iter().map(|number| format!(" {number}")).collect();
        println!("={result}");
    }
    Ok(())
}

/// The processes `sink` and `echo`.
fn serve(node: &Node) -> Result<()> {
    let sink = node.spawn(async |mut me| {
        while let Some(message) = me.recv().await {
            let term = message.term()?;
            match term.as_tuple().and_then(|tuple| tuple.array()) {
                Some([Term::Pid(from), Term::Atom(word)]) if word == *"pid" => {
                    me.send(from, term!({pid, (me.pid().clone())})).await.ok();
                }
                Some([Term::Pid(from), word]) => {
                    me.send(from, word).await.ok();
                }
                _ => {}
            }
        }
        Ok(())
    });
    node.register("sink", &sink)?;
    let echo = node.spawn(async |mut me| {
        while let Some(message) = me.recv().await {
            let term = message.term()?;
            match term.as_tuple().and_then(|tuple| tuple.array()) {
                Some([Term::Pid(from), Term::Atom(word)]) if word == *"pid" => {
                    me.send(from, term!({pid, (me.pid().clone())})).await.ok();
                }
                Some([Term::Pid(from), message]) => {
                    me.send(from, message).await.ok();
                }
                _ => {}
            }
        }
        Ok(())
    });
    node.register("echo", &echo)?;
    Ok(())
}

async fn pid(me: &mut Process, name: &str, peer: &str) -> Result<Pid> {
    me.send((name, peer), term!({(me.pid().clone()), pid})).await?;
    let answer = me.recv().await.ok_or("ended")?.term()?;
    match answer.as_tuple().and_then(|tuple| tuple.array()) {
        Some([_, Term::Pid(pid)]) => Ok(pid),
        _ => Err(format!("{answer} in place of a pid").into()),
    }
}

fn message(size: usize) -> RawTerm {
    RawTerm::new(&Term::from(Bytes::from(vec![7; size])))
}

async fn send(node: &Node, peer: &str, senders: usize, count: usize, size: usize) -> Result<Vec<u64>> {
    let mut me = node.process();
    let sink = pid(&mut me, "sink", peer).await?;
    // As a BEAM node does, a large binary is sent from where it is; a small one is encoded each time.
    let (raw, small) = (message(size), Term::from(Bytes::from(vec![7; size.min(64)])));
    let start = Instant::now();
    let all: Vec<_> = (0..senders)
        .map(|_| {
            let (mut me, sink, raw, small) = (node.process(), sink.clone(), raw.clone(), small.clone());
            tokio::spawn(async move {
                for _ in 0..count / senders {
                    if size > 64 {
                        me.send(&sink, &raw).await?;
                    } else {
                        me.send(&sink, &small).await?;
                    }
                }
                done(&mut me, &sink).await
            })
        })
        .collect();
    for one in all {
        one.await??;
    }
    Ok(vec![micros(start)])
}

/// Waits until all that was sent before is there.
async fn done(me: &mut Process, sink: &Pid) -> Result<()> {
    me.send(sink, term!({(me.pid().clone()), done})).await?;
    me.recv().await.ok_or("ended")?;
    Ok(())
}

async fn pings(me: &mut Process, echo: &Pid, count: usize) -> Result<Vec<u64>> {
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let start = Instant::now();
        me.send(echo, term!({(me.pid().clone()), ping})).await?;
        me.recv().await.ok_or("ended")?;
        times.push(nanos(start));
    }
    Ok(times)
}

async fn stream(node: &Node, peer: &str, count: usize, size: usize) -> Result<Vec<u64>> {
    let mut me = node.process();
    let (sink, echo) = (
        pid(&mut me, "sink", peer).await?,
        pid(&mut me, "echo", peer).await?,
    );
    let (stop, mut stopped) = tokio::sync::oneshot::channel::<()>();
    let mut streamer = node.process();
    let streaming = tokio::spawn(async move {
        let raw = message(size);
        while stopped.try_recv().is_err() {
            streamer.send(&sink, &raw).await?;
        }
        done(&mut streamer, &sink).await
    });
    let times = pings(&mut me, &echo, count).await?;
    stop.send(()).ok();
    streaming.await??;
    Ok(vec![percentile(times.clone(), 50), percentile(times, 99)])
}

async fn connect(node: &Node, peer: &str, count: usize) -> Result<Vec<u64>> {
    let mut events = node.monitor_nodes(NodeType::All);
    let mut times = Vec::new();
    for round in 0..=count {
        if node.disconnect(peer) {
            while !matches!(events.next().await, Some(NodeEvent::NodeDown { .. })) {}
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        if round < count {
            let start = Instant::now();
            node.connect(peer).await?;
            times.push(nanos(start));
        }
    }
    Ok(vec![percentile(times, 50)])
}

/// Connects as somebody else.
async fn stranger(peer: &str, number: usize) -> Result<Link> {
    let (alive, host) = peer.split_once('@').ok_or("no name")?;
    let port = port(alive, host).await?;
    let dialed = Dialed {
        name: LocalName::Named(format!("stranger{number}@127.0.0.1").parse()?),
        flags: Flags::OFFERED_HIDDEN,
        creation: 4,
        peer: peer.parse()?,
        cookie: Cookie::new(COOKIE)?,
    };
    let address = format!("{host}:{port}").parse()?;
    Ok(net::connect(&[address], dialed, SETUP_TIME, &()).await?)
}

async fn port(alive: &str, host: &str) -> Result<u16> {
    static KNOWN: std::sync::Mutex<Vec<(String, u16)>> = std::sync::Mutex::new(Vec::new());
    if let Ok(known) = KNOWN.lock()
        && let Some((_, port)) = known.iter().find(|(name, _)| name == alive)
    {
        return Ok(*port);
    }
    let names = epmd::Client::new(host).names().await?.names;
    let found = names.iter().find(|entry| entry.name.as_str() == alive);
    let port = found.ok_or("not registered")?.port;
    if let Ok(mut known) = KNOWN.lock() {
        known.push((alive.to_owned(), port));
    }
    Ok(port)
}

async fn accept(peer: &str, count: usize, at_a_time: usize) -> Result<Vec<u64>> {
    drop(stranger(peer, 0).await?);
    let start = Instant::now();
    let all: Vec<_> = (0..at_a_time)
        .map(|lane| {
            let peer = peer.to_owned();
            tokio::spawn(async move {
                for number in 0..count / at_a_time {
                    drop(stranger(&peer, 1 + lane * count + number).await?);
                }
                Result::Ok(())
            })
        })
        .collect();
    for one in all {
        one.await??;
    }
    Ok(vec![micros(start)])
}

fn micros(start: Instant) -> u64 {
    u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX)
}

fn nanos(start: Instant) -> u64 {
    u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX)
}
