//! What there is to know of the node as a program: memory, counts, clocks.
//!
//! What a virtual machine has and a program in Rust has not (atom tables, garbage collections, reductions) is none, and counted as 0.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::node::{Node, NodeType};
use crate::term::{Atom, List, Term};

/// The kinds of memory, in Erlang's order.
const MEMORY: [&str; 9] = [
    "total",
    "processes",
    "processes_used",
    "system",
    "atom",
    "atom_used",
    "binary",
    "code",
    "ets",
];

/// `memory/0`.
pub(super) fn memory(node: &Node) -> Option<Term> {
    let bytes = Bytes::now(node);
    let pairs = MEMORY.map(|kind| Term::from((Term::atom(kind), bytes.of(kind).unwrap_or(0))));
    Some(Term::from(pairs))
}

/// `memory/1`.
pub(super) fn memory_of(node: &Node, wanted: &Term) -> Option<Term> {
    let bytes = Bytes::now(node);
    match wanted {
        Term::Atom(kind) => bytes.of(kind).map(Term::from),
        Term::List(kinds) if kinds.is_proper() => {
            let pairs = kinds.iter().map(|kind| {
                let size = bytes.of(kind.as_atom()?)?;
                Some(Term::from((kind, size)))
            });
            Some(Term::from(pairs.collect::<Option<Vec<_>>>()?))
        }
        _ => None,
    }
}

/// What memory there is at one time, in bytes: the program's is the total, what waits in mailboxes is that of the processes, and the rest is
/// the system's.
struct Bytes {
    total: u64,
    processes: u64,
}

impl Bytes {
    fn now(node: &Node) -> Self {
        let infos = node.processes();
        let bytes = infos
            .iter()
            .filter_map(|pid| Some(node.process_info(pid)?.mailbox_bytes));
        let processes = u64::try_from(bytes.sum::<usize>()).unwrap_or(u64::MAX);
        let total = resident().max(processes);
        Self { total, processes }
    }

    fn of(&self, kind: &str) -> Option<u64> {
        Some(match kind {
            "total" => self.total,
            "system" => self.total - self.processes,
            "processes" | "processes_used" => self.processes,
            "atom" | "atom_used" | "binary" | "code" | "ets" => 0,
            _ => return None,
        })
    }
}

/// The memory of this program that is in use, in bytes; 0 where the system does not say.
fn resident() -> u64 {
    let read = || {
        let status = std::fs::read_to_string("/proc/self/status").ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kilobytes * 1024)
    };
    read().unwrap_or(0)
}

/// `statistics/1`.
pub(super) fn statistics(node: &Node, item: &Term) -> Option<Term> {
    let zeros = |count: usize| Term::from(vec![0; count]);
    Some(match item.as_atom()?.as_str() {
        "wall_clock" => {
            let (all, since) = node.wall_clock();
            Term::from((i128_of(all) / 1_000_000, i128_of(since) / 1_000_000))
        }
        "runtime" => Term::from((runtime(), 0)),
        "reductions" | "exact_reductions" | "context_switches" => Term::from((0, 0)),
        "garbage_collection" => Term::from((0, 0, 0)),
        "io" => Term::from((
            Term::from((Term::atom("input"), 0)),
            Term::from((Term::atom("output"), 0)),
        )),
        "run_queue"
        | "total_run_queue_lengths"
        | "total_run_queue_lengths_all"
        | "total_active_tasks"
        | "total_active_tasks_all" => Term::from(0),
        "run_queue_lengths" | "run_queue_lengths_all" | "active_tasks" | "active_tasks_all" => zeros(cores()),
        "scheduler_wall_time" | "scheduler_wall_time_all" => Term::atom("undefined"),
        _ => return None,
    })
}

/// The processor time of this program in milliseconds; 0 where the system does not say.
fn runtime() -> u64 {
    let read = || {
        let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
        // After the program's name, which may hold anything: the eleventh field on are user and system time, in hundredths of a second.
        let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
        let user: u64 = fields.next()?.parse().ok()?;
        let system: u64 = fields.next()?.parse().ok()?;
        Some((user + system) * 10)
    };
    read().unwrap_or(0)
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// `system_info/1`.
pub(super) fn system_info(node: &Node, item: &Term) -> Option<Term> {
    let text = |text: &str| Term::List(List::from_chars(text));
    let name = match item {
        Term::Atom(name) => name.as_str(),
        Term::Tuple(pair) => match pair.array::<2>()? {
            [Term::Atom(word), Term::Atom(which)] if word == *"wordsize" => match which.as_str() {
                "internal" | "external" => "wordsize",
                _ => return None,
            },
            _ => return None,
        },
        _ => return None,
    };
    Some(match name {
        "process_count" => Term::from(node.processes().len()),
        "process_limit" => Term::from(1_u64 << 28),
        "port_count" | "atom_count" | "ets_count" => Term::from(0),
        "port_limit" | "atom_limit" | "ets_limit" => Term::from(0),
        "system_version" => text(concat!("beamnode ", env!("CARGO_PKG_VERSION"), "\n")),
        "version" => text(env!("CARGO_PKG_VERSION")),
        "otp_release" => text("29"),
        "machine" => text("beamnode"),
        "system_architecture" => text(std::env::consts::ARCH),
        "creation" => Term::from(node.creation()),
        "schedulers"
        | "schedulers_online"
        | "dirty_cpu_schedulers"
        | "dirty_cpu_schedulers_online"
        | "dirty_io_schedulers"
        | "logical_processors"
        | "logical_processors_online"
        | "logical_processors_available" => Term::from(cores()),
        "thread_pool_size" => Term::from(1),
        "wordsize" => Term::from(size_of::<usize>()),
        "start_time" => Term::from(0),
        "end_time" => Term::from(i64::MAX),
        "dist_buf_busy_limit" => Term::from(node.busy_limit()),
        "dist_ctrl" | "os_system_time_source" | "os_monotonic_time_source" => Term::NIL,
        "multi_scheduling_blockers" => Term::NIL,
        "smp_support" | "threads" | "kernel_poll" | "time_correction" => Term::from(true),
        "debug_compiled" | "lock_checking" | "dynamic_trace_probes" | "port_parallelism" => Term::from(false),
        "multi_scheduling" => Term::atom("enabled"),
        "build_type" | "emu_type" => Term::atom("opt"),
        "dynamic_trace" => Term::atom("none"),
        "endian" => Term::atom(if cfg!(target_endian = "big") {
            "big"
        } else {
            "little"
        }),
        "tolerant_timeofday" => Term::atom("enabled"),
        "time_warp_mode" => Term::atom("no_time_warp"),
        "async_dist" => Term::from(false),
        _ => return None,
    })
}

/// `nodes/1`.
pub(super) fn nodes(node: &Node, kind: &Term) -> Option<Term> {
    Some(Term::from(selected(node, kind)?))
}

/// `nodes/2` of OTP 25.
pub(super) fn nodes_with_info(node: &Node, kind: &Term, options: &Term) -> Option<Term> {
    let Term::Map(options) = options else { return None };
    let mut wanted = Vec::new();
    for (key, value) in options.iter() {
        let key = key
            .as_atom()
            .filter(|key| matches!(key.as_str(), "connection_id" | "node_type"))?
            .clone();
        if value.as_bool()? {
            wanted.push(key);
        }
    }
    let hidden = node.nodes(NodeType::Hidden);
    let nodes = selected(node, kind)?.into_iter().map(|name| {
        let info = wanted.iter().map(|key| {
            let value = match key.as_str() {
                "node_type" if name == *node.name() => Term::atom("this"),
                "node_type" if hidden.contains(&name) => Term::atom("hidden"),
                "node_type" => Term::atom("visible"),
                _ => node
                    .connection_id(&name)
                    .map_or_else(|| Term::atom("undefined"), Term::from),
            };
            (Term::from(key), value)
        });
        let info = Term::Map(info.collect());
        Term::from((name, info))
    });
    Some(Term::from(nodes.collect::<Vec<_>>()))
}

fn selected(node: &Node, kind: &Term) -> Option<Vec<Atom>> {
    if let Term::List(list) = kind {
        if !list.is_proper() {
            return None;
        }
        let mut all = Vec::new();
        for kind in list.iter() {
            kind.as_atom()?;
            all.extend(selected(node, &kind)?);
        }
        all.sort();
        all.dedup();
        return Some(all);
    }
    let this = || vec![node.name().clone()];
    Some(match kind.as_atom()?.as_str() {
        "visible" => node.nodes(NodeType::Visible),
        "hidden" => node.nodes(NodeType::Hidden),
        "connected" => node.nodes(NodeType::All),
        "this" => this(),
        "known" => [this(), node.nodes(NodeType::All)].concat(),
        _ => return None,
    })
}

// Clocks

pub(super) fn monotonic_time(node: &Node, unit: Option<&Term>) -> Option<Term> {
    in_unit(i128_of(node.uptime()), unit)
}

pub(super) fn system_time(unit: Option<&Term>) -> Option<Term> {
    in_unit(since_epoch(), unit)
}

pub(super) fn time_offset(node: &Node, unit: Option<&Term>) -> Option<Term> {
    in_unit(since_epoch() - i128_of(node.uptime()), unit)
}

pub(super) fn timestamp() -> Term {
    let micros = since_epoch() / 1000;
    let seconds = micros / 1_000_000;
    Term::from((seconds / 1_000_000, seconds % 1_000_000, micros % 1_000_000))
}

/// `{{Year, Month, Day}, {Hour, Minute, Second}}`, of UTC, which is the time zone of this node.
pub(super) fn universal_time() -> (Term, Term) {
    let seconds = since_epoch() / 1_000_000_000;
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Days from 1 March of year 0, in eras of 400 years: leap days then come last in each year.
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i128::from(month <= 2);
    (
        Term::from((year, month, day)),
        Term::from((second / 3_600, second / 60 % 60, second % 60)),
    )
}

/// How many parts of a second a time unit is.
fn parts(unit: &Term) -> Option<i128> {
    Some(match unit {
        Term::Integer(parts) if *parts > 0 => (*parts).into(),
        Term::Atom(unit) => match unit.as_str() {
            "second" | "seconds" => 1,
            "millisecond" | "milli_seconds" => 1_000,
            "microsecond" | "micro_seconds" => 1_000_000,
            "nanosecond" | "nano_seconds" | "native" | "perf_counter" => 1_000_000_000,
            _ => return None,
        },
        _ => return None,
    })
}

fn in_unit(nanoseconds: i128, unit: Option<&Term>) -> Option<Term> {
    let parts = unit.map_or(Some(1_000_000_000), parts)?;
    Some(Term::from(
        nanoseconds.checked_mul(parts)?.div_euclid(1_000_000_000),
    ))
}

fn i128_of(time: Duration) -> i128 {
    i128::try_from(time.as_nanos()).unwrap_or(i128::MAX)
}

fn since_epoch() -> i128 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, i128_of)
}
