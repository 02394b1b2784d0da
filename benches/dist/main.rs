//! The distribution of this crate against BEAM's own, and against plain TCP, in one run.
//!
//! `cargo bench --features cli --bench dist` prints medians, and ratios to BEAM to BEAM, of every case with ours in both places
//! of a pair, in either, and in none; `-- quick` does so in a fifth of the time, `-- CASE…` for some cases only. `BENCH_OTP` is the release of
//! the BEAM nodes: 29 if not set.
//!
//! Everything runs in a network namespace of its own with `reno` for congestion control, since others pace even on the
//! loopback: in a container of the test bed's image, or where there is no Docker, by `unshare` with the `erl` of the PATH. All players
//! of a phase are up all the time and take turns, in another order each round, so that whatever else the machine does falls on all.
//! *Pinned*: both ends on one core, a scheduler each. *Two cores*: a core for each end.

mod player;
mod tcp;

use std::collections::BTreeMap;
use std::error::Error;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio};

pub(crate) type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

pub(crate) const COOKIE: &str = "bench";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["--node", name] => play(player::run((*name).to_owned())),
        ["--tcp"] => play(tcp::run()),
        ["--inside", erl, rest @ ..] => inside(Path::new(erl), rest),
        rest => outside(rest),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs a player in a task, as processes run: to wake what the runtime itself waits for takes one more system call.
fn play(player: impl Future<Output = Result<()>> + Send + 'static) -> Result<()> {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build()?;
    runtime.block_on(async { tokio::spawn(player).await? })
}

/// Starts this program again where the network is its own.
fn outside(arguments: &[&str]) -> Result<()> {
    let program = std::env::current_exe()?;
    let program = program.to_str().ok_or("a path that is no text")?;
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/dist");
    let release = std::env::var("BENCH_OTP").unwrap_or_else(|_| "29".to_owned());
    let image = format!("beamnode-otp:{release}");
    let has_image = Command::new("docker")
        .args(["image", "inspect", &image])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    let mut command;
    if has_image {
        command = Command::new("docker");
        command.args(["run", "--rm", "--init", "--network", "none", "--sysctl"]);
        command.args(["net.ipv4.tcp_congestion_control=reno", "--ulimit", "nofile=20000"]);
        command.args([
            "--volume",
            &format!("{program}:/dist:ro"),
            "--volume",
            &format!("{folder}:/bench:ro"),
        ]);
        command.args([&image, "/dist", "--inside", "/bench/bench.erl"]);
        println!("OTP {release}, in a container");
    } else {
        let script = "ip link set lo up && sysctl -qw net.ipv4.tcp_congestion_control=reno && exec \"$@\"";
        command = Command::new("unshare");
        command.args([
            "--net",
            "sh",
            "-c",
            script,
            "sh",
            program,
            "--inside",
            &format!("{folder}/bench.erl"),
        ]);
        println!("the erl of the PATH, in a network namespace");
    }
    let status = command.args(arguments).status()?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{status}").into())
    }
}

/// What is measured: by which command, what one number of the answer means, and between whom.
struct Case {
    name: &'static str,
    unit: &'static str,
    command: String,
    value: fn(&[f64]) -> f64,
    /// Whether more is better.
    rate: bool,
    two_cores: bool,
    pinned: bool,
    tcp: bool,
    only_ours_asks: bool,
    rounds: usize,
}

fn cases(quick: bool) -> Vec<Case> {
    let n = |count: usize| if quick { count.div_ceil(4) } else { count };
    let case = |name, unit, command, value, rate| Case {
        name,
        unit,
        command,
        value,
        rate,
        two_cores: true,
        pinned: true,
        tcp: false,
        only_ours_asks: false,
        rounds: if quick { 3 } else { 7 },
    };
    vec![
        case(
            "64 bytes, one sender",
            "k/s",
            format!("send 1 {} 64", n(100_000)),
            |v| 1e8 / v[0],
            true,
        ),
        case(
            "64 bytes, eight senders",
            "k/s",
            format!("send 8 {} 64", n(100_000)),
            |v| 1e8 / v[0],
            true,
        ),
        Case {
            two_cores: false,
            tcp: true,
            ..case(
                "ping-pong, p50",
                "µs",
                format!("ping {}", n(4_000)),
                |v| v[0] / 1e3,
                false,
            )
        },
        Case {
            tcp: true,
            ..case(
                "1 MB binaries",
                "GB/s",
                format!("send 1 {} 1000000", n(400)),
                |v| 400e3 / v[0],
                true,
            )
        },
        Case {
            tcp: true,
            ..case(
                "64 MB binaries",
                "GB/s",
                // Enough of them that it is not the first pages of memory that are measured.
                format!("send 1 {} 64000000", n(16)),
                |v| 1024e3 / v[0],
                true,
            )
        },
        case(
            "ping-pong while 16 MB stream, p50",
            "ms",
            format!("stream {} 16000000", n(60)),
            |v| v[0] / 1e6,
            false,
        ),
        case(
            "ping-pong while 16 MB stream, p99",
            "ms",
            format!("stream {} 16000000", n(60)),
            |v| v[1] / 1e6,
            false,
        ),
        Case {
            two_cores: false,
            ..case(
                "connect, with look-up",
                "ms",
                format!("connect {}", n(40)),
                |v| v[0] / 1e6,
                false,
            )
        },
        Case {
            only_ours_asks: true,
            ..case(
                "handshakes accepted, 8 at a time",
                "k/s",
                format!("accept {} 8", n(2_000)),
                |v| 2e6 / v[0],
                true,
            )
        },
        Case {
            only_ours_asks: true,
            ..case(
                "handshakes accepted, 64 at a time",
                "k/s",
                format!("accept {} 64", n(2_000)),
                |v| 2e6 / v[0],
                true,
            )
        },
    ]
}

fn inside(erl: &Path, words: &[&str]) -> Result<()> {
    let quick = words.contains(&"quick");
    let wanted: Vec<&&str> = words
        .iter()
        .filter(|word| **word != "quick" && **word != "pinned" && **word != "cores")
        .collect();
    let ebin = std::env::temp_dir();
    let compiled = Command::new("erlc").arg("-o").arg(&ebin).arg(erl).status()?;
    if !compiled.success() {
        return Err("bench.erl does not compile".into());
    }
    let all = cases(quick);
    let of = |pinned: bool| {
        let chosen = |case: &&Case| {
            (if pinned { case.pinned } else { case.two_cores })
                && (wanted.is_empty() || wanted.iter().any(|word| case.name.contains(**word)))
        };
        all.iter().filter(chosen).collect::<Vec<_>>()
    };
    if !words.contains(&"cores") {
        phase(
            "pinned to one core",
            &Phase::start(&ebin, "0", "0")?,
            &of(true),
            quick,
        )?;
    }
    if !words.contains(&"pinned") {
        phase("two cores", &Phase::start(&ebin, "0", "1")?, &of(false), quick)?;
    }
    if wanted.is_empty() {
        memory(&ebin, quick)?;
    }
    Ok(())
}

/// The players of a phase: of each kind one that asks and one that is asked.
struct Phase {
    ours: [Player; 2],
    beam: [Player; 2],
    tcp: [Player; 2],
}

impl Phase {
    fn start(ebin: &Path, asking: &str, asked: &str) -> Result<Self> {
        let both = |start: &dyn Fn(&str, &str) -> Result<Player>| {
            Result::Ok([start("a", asking)?, start("b", asked)?])
        };
        Ok(Self {
            // First, as they bring their EPMD with them.
            beam: both(&|letter, core| Player::beam(ebin, &format!("beam_{letter}@127.0.0.1"), core))?,
            ours: both(&|letter, core| Player::ours(&["--node", &format!("ours_{letter}@127.0.0.1")], core))?,
            tcp: both(&|_, core| Player::ours(&["--tcp"], core))?,
        })
    }
}

/// Who asks whom.
const PAIRS: [&str; 5] = [
    "beam > beam",
    "ours > ours",
    "ours > beam",
    "beam > ours",
    "plain TCP",
];

fn phase(title: &str, players: &Phase, cases: &[&Case], quick: bool) -> Result<()> {
    println!(
        "\n{title}; medians, and ratios to {}: above 1 is better",
        PAIRS[0]
    );
    print!("{:<40}", "");
    for pair in PAIRS {
        print!("{pair:>18}");
    }
    println!();
    let mut order = 1;
    for case in cases {
        let mut values: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        for round in 0..=case.rounds {
            // Another order each round.
            let mut pairs = PAIRS;
            order = order * 7 % 11;
            pairs.rotate_left(order % PAIRS.len());
            if round % 2 == 0 {
                pairs.reverse();
            }
            for pair in pairs {
                let [ours, beam, tcp] = [&players.ours, &players.beam, &players.tcp];
                let (asking, asked) = match pair {
                    "beam > beam" if !case.only_ours_asks => (&beam[0], &beam[1]),
                    "beam > ours" if !case.only_ours_asks => (&beam[0], &ours[1]),
                    "ours > ours" => (&ours[0], &ours[1]),
                    "ours > beam" => (&ours[0], &beam[1]),
                    "plain TCP" if case.tcp => (&tcp[0], &tcp[1]),
                    _ => continue,
                };
                let command = case.command.replacen(' ', &format!(" {} ", asked.name), 1);
                let value = (case.value)(&asking.ask(&command)?) / if quick && case.rate { 4.0 } else { 1.0 };
                // The first is for warming up.
                if round > 0 {
                    values.entry(pair).or_default().push(value);
                }
            }
        }
        let median = |pair: &str| values.get(pair).map(|values| median(values.clone()));
        let base = median(if case.only_ours_asks {
            "ours > beam"
        } else {
            PAIRS[0]
        })
        .unwrap_or(f64::NAN);
        print!("{:<40}", format!("{}, {}", case.name, case.unit));
        for pair in PAIRS {
            match median(pair) {
                Some(value) => {
                    let ratio = if case.rate { value / base } else { base / value };
                    let decimals = if value < 10.0 {
                        2
                    } else if value < 100.0 {
                        1
                    } else {
                        0
                    };
                    print!("{:>18}", format!("{value:.decimals$} ({ratio:.2})"));
                }
                None => print!("{:>18}", "-"),
            }
        }
        println!();
    }
    Ok(())
}

/// What an idle connection costs the node that was connected to.
fn memory(ebin: &Path, quick: bool) -> Result<()> {
    let count = if quick { 500 } else { 2_000 };
    let players = Phase::start(ebin, "0", "1")?;
    println!("\nmemory of an idle connection, KB, over {count}");
    for (name, asked) in [("ours", &players.ours[1]), ("beam", &players.beam[1])] {
        // What the first of them make a node keep is not theirs.
        players.ours[0].ask(&format!("hold {} 100", asked.name))?;
        players.ours[0].ask(&format!("drop {}", asked.name))?;
        let before = asked.resident()?;
        players.ours[0].ask(&format!("hold {} {count}", asked.name))?;
        let after = asked.resident()?;
        players.ours[0].ask(&format!("drop {}", asked.name))?;
        println!("{name:<12}{:>8.1}", (after - before) / count as f64);
    }
    Ok(())
}

/// A process that plays one end.
struct Player {
    name: String,
    child: Child,
    input: std::cell::RefCell<ChildStdin>,
    output: std::cell::RefCell<BufReader<ChildStdout>>,
}

impl Player {
    fn ours(arguments: &[&str], core: &str) -> Result<Self> {
        let mut command = Command::new("taskset");
        command
            .args(["-c", core])
            .arg(std::env::current_exe()?)
            .args(arguments);
        Self::start(command)
    }

    fn beam(ebin: &Path, name: &str, core: &str) -> Result<Self> {
        let mut command = Command::new("taskset");
        command.args([
            "-c", core, "erl", "+S", "1:1", "-noshell", "-hidden", "-name", name,
        ]);
        command
            .args(["-setcookie", COOKIE, "-pa"])
            .arg(ebin)
            .args(["-s", "bench"]);
        Self::start(command)
    }

    fn start(mut command: Command) -> Result<Self> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("no streams".into());
        };
        let mut player = Self {
            name: String::new(),
            child,
            input: input.into(),
            output: BufReader::new(output).into(),
        };
        player.name = player.line("ready ")?;
        Ok(player)
    }

    fn line(&self, start: &str) -> Result<String> {
        let mut line = String::new();
        loop {
            line.clear();
            if self.output.borrow_mut().read_line(&mut line)? == 0 {
                return Err(format!("{} has ended", self.name).into());
            }
            if let Some(rest) = line.strip_prefix(start) {
                return Ok(rest.trim().to_owned());
            }
        }
    }

    fn ask(&self, command: &str) -> Result<Vec<f64>> {
        writeln!(self.input.borrow_mut(), "{command}")?;
        self.input.borrow_mut().flush()?;
        let answer = self.line("=")?;
        Ok(answer
            .split_whitespace()
            .map(str::parse)
            .collect::<std::result::Result<_, _>>()?)
    }

    /// Kilobytes.
    fn resident(&self) -> Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .ok_or("no VmRSS")?;
        Ok(line.trim_end_matches("kB").trim().parse()?)
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn percentile(mut times: Vec<u64>, percent: usize) -> u64 {
    times.sort_unstable();
    let place = (times.len() * percent / 100).max(1) - 1;
    times.get(place).copied().unwrap_or_default()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
