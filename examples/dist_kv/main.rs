//! A key-value store that is the same on every node of the cluster, half of it in Rust and half in Erlang (`dist_kv.erl`).
//!
//! Every node runs a server `dist_kv`. A `{put, Key, Value}` is cast to all of them, a `{get, Key}` is called on whichever is
//! nearest. A node that joins asks one that is there for all it has.
//!
//! ```text
//! $ cargo run --example dist_kv -- rust secret
//! $ erl -sname alice -setcookie secret
//! 1> c(dist_kv), dist_kv:start('rust@build').
//! 2> dist_kv:put(color, blue).
//! 3> gen_server:call({dist_kv, 'rust@build'}, {get, color}).
//! {ok,blue}
//!
//! $ cargo run --example dist_kv -- second secret alice@build
//! get color
//! {ok,blue}
//! put size 7
//! ```

use std::collections::HashMap;
use std::error::Error;
use std::time::Duration;

use beamnode::node::{ExitReason, Node, NodeType};
use beamnode::otp::{Caller, Context, GenServer};
use beamnode::term;
use beamnode::term::{Atom, Term};
use tokio::io::{AsyncBufReadExt, BufReader};

const NAME: &str = "dist_kv";
const PATIENCE: Duration = Duration::from_secs(5);

/// What this node holds.
#[derive(Default)]
struct Store(HashMap<Term, Term>);

impl GenServer for Store {
    async fn call(&mut self, _: &mut Context, request: Term, _: &Caller) -> Result<Option<Term>, ExitReason> {
        let tuple = request.as_tuple();
        if let Some([tag, key]) = tuple.and_then(|tuple| tuple.array())
            && tag == Term::atom("get")
        {
            return Ok(Some(match self.0.get(&key) {
                Some(value) => term!({ok, (value.clone())}),
                None => Term::atom("error"),
            }));
        }
        if request == Term::atom("all") {
            return Ok(Some(self.state()));
        }
        Ok(Some(term!({error, {unknown_request, (request)}})))
    }

    async fn cast(&mut self, _: &mut Context, request: Term) -> Result<(), ExitReason> {
        if let Some([tag, key, value]) = request.as_tuple().and_then(|tuple| tuple.array())
            && tag == Term::atom("put")
        {
            self.0.insert(key, value);
        }
        Ok(())
    }

    fn state(&self) -> Term {
        let pairs = self.0.iter().map(|(key, value)| (key.clone(), value.clone()));
        Term::Map(pairs.collect())
    }
}

/// A store with all that the one on `seed` has.
async fn joined(node: &Node, seed: &str) -> Result<Store, Box<dyn Error>> {
    let mut me = node.process();
    let all = me
        .call(
            (Atom::from_static(NAME), Atom::new(seed)?),
            Term::atom("all"),
            PATIENCE,
        )
        .await?;
    match all {
        Term::Map(pairs) => Ok(Store(pairs.iter().collect())),
        other => Err(format!("{seed} has no store: {other}").into()),
    }
}

/// `put KEY VALUE` and `get KEY`, in Erlang's words; anything else ends the program.
async fn command(node: &Node, line: &str) -> Result<Option<Term>, Box<dyn Error>> {
    let mut words = line.split_whitespace();
    match (words.next(), words.next(), words.next()) {
        (Some("put"), Some(key), Some(value)) => {
            let (key, value): (Term, Term) = (key.parse()?, value.parse()?);
            let mut nodes = node.nodes(NodeType::Visible);
            nodes.push(node.name().clone());
            node.abcast(nodes, NAME, term!({put, (key), (value)})).await;
            Ok(Some(Term::atom("ok")))
        }
        (Some("get"), Some(key), None) => {
            let key: Term = key.parse()?;
            let here = (Atom::from_static(NAME), node.name().clone());
            Ok(Some(node.call(here, term!({get, (key)}), PATIENCE).await?))
        }
        _ => Ok(None),
    }
}

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (name, cookie, seed) = match arguments
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .as_slice()
    {
        [name, cookie] => (*name, *cookie, None),
        [name, cookie, seed] => (*name, *cookie, Some(*seed)),
        _ => return Err("usage: dist_kv NAME COOKIE [NODE]".into()),
    };
    let node = Node::builder(name).cookie(cookie).start().await?;
    let store = match seed {
        Some(seed) => joined(&node, seed).await?,
        None => Store::default(),
    };
    node.start_server(NAME, store)?;
    println!("{} serves {NAME}", node.name());
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        match command(&node, &line).await? {
            Some(answer) => println!("{answer}"),
            None => break,
        }
    }
    node.shutdown().await;
    Ok(())
}
