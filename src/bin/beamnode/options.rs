//! The options that every command takes which needs a node of its own, with `erl`'s meanings.

use std::net::IpAddr;
use std::num::NonZeroU16;
use std::ops::RangeInclusive;
use std::time::Duration;

use beamnode::dist::Cookie;
use beamnode::epmd::resolver::FixedPort;
use beamnode::node::{Builder, Node};

/// `--sname`/`--name`, `--cookie` and `--hidden`, and where nodes listen.
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
    /// Do without EPMD: every node listens on this port, as `erl -start_epmd false -erl_epmd_port`
    #[arg(long, value_name = "PORT")]
    pub(crate) erl_epmd_port: Option<NonZeroU16>,
    /// The ports to listen on, PORT or FIRST-LAST, as inet_dist_listen_min and inet_dist_listen_max
    #[arg(long, value_name = "PORTS", value_parser = ports, conflicts_with = "erl_epmd_port")]
    pub(crate) listen_ports: Option<RangeInclusive<u16>>,
    /// The address of this host to listen at, as inet_dist_use_interface; all of them if not said
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen_interface: Option<IpAddr>,
    /// Seconds that each step of setting up a connection may take, as the kernel parameter net_setuptime
    #[arg(long, value_name = "SECONDS", default_value_t = 7, value_parser = clap::value_parser!(u16).range(1..=120))]
    pub(crate) net_setuptime: u16,
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
        if let Some(port) = self.erl_epmd_port {
            builder = builder.resolver(FixedPort::new(port.get()));
        }
        if let Some(ports) = &self.listen_ports {
            builder = builder.listen_ports(ports.clone());
        }
        if let Some(address) = self.listen_interface {
            builder = builder.listen_interface(address);
        }
        let setup_time = Duration::from_secs(self.net_setuptime.into());
        Ok(builder.hidden(self.hidden).net_setuptime(setup_time))
    }
}

/// `PORT` or `FIRST-LAST`.
fn ports(text: &str) -> Result<RangeInclusive<u16>, String> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let port = |text: &str| text.parse::<NonZeroU16>().map_err(|error| error.to_string());
    let (first, last) = (port(first)?, port(last)?);
    if first > last {
        return Err("the first is greater than the last".to_owned());
    }
    Ok(first.get()..=last.get())
}

/// Whether `node`, `NAME@HOST`, is a long name.
fn is_long(node: &str) -> bool {
    node.split_once('@')
        .is_some_and(|(_, host)| host.contains(['.', ':']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_one_or_a_range() {
        assert_eq!(ports("9100"), Ok(9100..=9100));
        assert_eq!(ports("9100-9105"), Ok(9100..=9105));
        for wrong in ["", "0", "9105-9100", "9100-", "-9100", "9100-99999", "x"] {
            assert!(ports(wrong).is_err(), "{wrong}");
        }
    }
}
