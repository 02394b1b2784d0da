//! The options that every command takes which needs a node of its own, with `erl`'s meanings.

use beamnode::dist::Cookie;
use beamnode::node::{Builder, Node};

/// `--sname`/`--name`, `--cookie` and `--hidden`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct NodeOptions {
    /// Short name, NAME or NAME@HOST, as `erl -sname`; the host is this one's name up to its first dot
    #[arg(long, value_name = "NAME", conflicts_with = "name")]
    pub(crate) sname: Option<String>,
    /// Long name, NAME or NAME@HOST, as `erl -name`; the host is this one's full name
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// The cookie, instead of that in ~/.erlang.cookie
    #[arg(long, value_name = "COOKIE")]
    pub(crate) cookie: Option<String>,
    /// Keep to ourselves: not in anybody's nodes(), as `erl -hidden`
    #[arg(long)]
    pub(crate) hidden: bool,
}

impl NodeOptions {
    /// The node that the options describe; called `fallback`, under a short name, when they give none.
    ///
    /// `peer` is the node that the command is about: without `--sname` and `--name`, its kind of name is ours.
    pub(crate) fn builder(
        &self,
        fallback: &str,
        peer: Option<&str>,
    ) -> Result<Builder, Box<dyn std::error::Error>> {
        let mut builder = match (&self.sname, &self.name) {
            (Some(name), _) => Node::short(name),
            (None, Some(name)) => Node::long(name),
            // A long name needs a domain, which not every host has; nobody is to connect back to this one.
            (None, None) if peer.is_some_and(is_long) => Node::long(format!("{fallback}@127.0.0.1")),
            (None, None) => Node::short(fallback),
        };
        if let Some(cookie) = &self.cookie {
            builder = builder.cookie(Cookie::new(cookie)?);
        }
        Ok(builder.hidden(self.hidden))
    }
}

/// Whether `node`, `NAME@HOST`, is a long name.
fn is_long(node: &str) -> bool {
    node.split_once('@')
        .is_some_and(|(_, host)| host.contains(['.', ':']))
}
