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
//! ```

use std::collections::HashMap;
use std::error::Error;

use beamnode::dist::Cookie;
use beamnode::node::{ExitReason, Node};
use beamnode::otp::{Caller, Context, GenServer};
use beamnode::term;
use beamnode::term::Term;

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

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(name), Some(cookie)) = (arguments.next(), arguments.next()) else {
        return Err("usage: dist_kv NAME COOKIE".into());
    };
    let node = Node::builder(name).cookie(Cookie::new(&cookie)?).start().await?;
    node.start_server("dist_kv", Store::default())?;
    println!("{} serves dist_kv", node.name());
    tokio::signal::ctrl_c().await?;
    node.shutdown().await;
    Ok(())
}
