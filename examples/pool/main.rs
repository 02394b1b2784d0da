//! A pool of workers in Rust, called from Elixir (`pool.exs`) as any `GenServer`.
//!
//! The server `pool` hands each job to the next of its workers, which are processes of their own, and takes the next call at once: the worker
//! answers who called. A worker that fails fails its caller's call, and the pool goes on.
//!
//! ```text
//! $ cargo run --example pool -- rust secret 4
//! $ elixir --sname eve --cookie secret pool.exs rust@build
//! ```

use std::error::Error;

use beamnode::node::{ExitReason, Node};
use beamnode::otp::{Answer, Context, Typed, TypedServer};
use beamnode::term;
use beamnode::term::Term;
use serde::Deserialize;
use tokio::sync::mpsc;

/// `{:primes, 1000}`, `{:sort, [3, 1, 2]}`, `{:fail, "why"}`, `:size`
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Job {
    Primes(u64),
    Sort(Vec<i64>),
    Fail(String),
    Size,
}

/// The pool's own state: where each worker takes its jobs from, and whose turn it is.
struct Pool {
    workers: Vec<mpsc::UnboundedSender<(Job, Answer<Term>)>>,
    next: usize,
}

impl Pool {
    /// Starts the workers, each a process of the node.
    fn start(node: &Node, size: usize) -> Self {
        let workers = (0..size).map(|_| {
            let (jobs, mut queue) = mpsc::unbounded_channel::<(Job, Answer<Term>)>();
            node.spawn(async move |me| {
                while let Some((job, answer)) = queue.recv().await {
                    // Work that takes a while belongs where it keeps nobody from running.
                    let result = tokio::task::spawn_blocking(|| work(job)).await?;
                    answer.give(&me, &result)?;
                }
                Ok(())
            });
            jobs
        });
        Self {
            workers: workers.collect(),
            next: 0,
        }
    }
}

impl TypedServer for Pool {
    type Call = Job;
    type Reply = Term;
    type Cast = Term;

    async fn call(
        &mut self,
        _: &mut Context,
        job: Job,
        answer: Answer<Term>,
    ) -> Result<Option<Term>, ExitReason> {
        if matches!(job, Job::Size) {
            return Ok(Some(Term::from(self.workers.len())));
        }
        self.next = (self.next + 1) % self.workers.len();
        if let Some(worker) = self.workers.get(self.next) {
            worker.send((job, answer))?;
        }
        Ok(None)
    }

    fn state(&self) -> Term {
        term!(#{workers => (self.workers.len()), next => (self.next)})
    }
}

/// `{:ok, result}` or `{:error, why}`.
fn work(job: Job) -> Term {
    match job {
        Job::Primes(below) => term!({ok, (primes(below))}),
        Job::Sort(mut numbers) => {
            numbers.sort_unstable();
            term!({ok, (numbers)})
        }
        Job::Fail(why) => term!({error, (why)}),
        Job::Size => term!({error, no_job}),
    }
}

/// How many primes there are below a number.
fn primes(below: u64) -> usize {
    let is_prime = |number: &u64| {
        (2..)
            .take_while(|divisor| divisor * divisor <= *number)
            .all(|divisor| !number.is_multiple_of(divisor))
    };
    (2..below).filter(is_prime).count()
}

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [name, cookie, size] = arguments.as_slice() else {
        return Err("usage: pool NAME COOKIE WORKERS".into());
    };
    let node = Node::builder(name).cookie(cookie.as_str()).start().await?;
    let pool = Pool::start(&node, size.parse::<usize>()?.max(1));
    node.start_server("pool", Typed(pool))?;
    println!("{} serves pool", node.name());
    tokio::signal::ctrl_c().await?;
    node.shutdown().await;
    Ok(())
}
