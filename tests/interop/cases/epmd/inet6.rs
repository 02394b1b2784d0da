//! EPMD by IPv6 and IPv4 together.

use std::net::Ipv6Addr;

use beamnode::epmd::{Client, Name, Registrant};

use super::{Daemon, our_program, place_ours, stock_program};
use crate::inside::{Bed, Output};

/// Nodes whose distribution goes by IPv6 register at `::1`, those of IPv4 at `127.0.0.1`: with our daemon as with theirs both are found,
/// and one name is one name.
pub(crate) async fn inet6(bed: Bed) {
    let ours = place_ours(&bed, "a").await;
    for program in ["epmd", &*ours] {
        let run = async |command: &[&str]| -> Output { bed.run("a", command).await };
        let started = run(&[program, "-daemon"]).await;
        assert_eq!(started.code, Some(0), "{started:?}");
        let four = bed.erl("four", "a").start().await;
        // The host's name has no address of that family in the bed: the loopback's is brought in by an option.
        let six = run(&[
            "sh",
            "-c",
            "echo '{host, {0,0,0,0,0,0,0,1}, [\"a\"]}. {lookup, [file]}.' >/tmp/inet6.inetrc
             ERL_INETRC=/tmp/inet6.inetrc erl -noinput -sname six -proto_dist inet6_tcp -eval '
                 {ok, Names} = erl_epmd:names({0,0,0,0,0,0,0,1}),
                 io:format(\"~p~n\", [lists:sort([Name || {Name, _} <- Names])]),
                 halt().'",
        ])
        .await;
        assert_eq!(six.stdout, "[\"four\",\"six\"]\n", "{program}: {six:?}");
        let taken = run(&[
            "sh",
            "-c",
            "ERL_INETRC=/tmp/inet6.inetrc erl -noinput -sname four -proto_dist inet6_tcp -s init stop",
        ])
        .await;
        assert_ne!(taken.code, Some(0), "{program}: {taken:?}");
        let said = taken.stdout + &taken.stderr;
        assert!(
            said.contains("seems to be in use by another Erlang node"),
            "{program}: {said}"
        );
        four.kill().await;
        let killed = run(&[
            "sh",
            "-c",
            &format!("until [ \"$({program} -kill)\" = Killed ]; do sleep 0.02; done; while {program} -started; do sleep 0.02; done"),
        ])
        .await;
        assert_eq!(killed.code, Some(0), "{killed:?}");
    }

    // Our client by IPv6, with either daemon.
    for program in [stock_program(&bed).await, our_program()] {
        let daemon = Daemon::start(&program, &[]);
        let by_six = Client::at((Ipv6Addr::LOCALHOST, daemon.address().port()).into());
        let by_four = Client::at(daemon.address());
        let name = Name::new("alice").expect("a name");
        let registrant = Registrant::new(name.clone(), 4711);
        let held = by_six.register(&registrant).await.expect("registered");
        assert_eq!(
            by_four.lookup(&name).await.expect("an answer"),
            Some(registrant.clone())
        );
        assert!(by_four.register(&registrant).await.is_err());
        let (_, dump) = by_six.dump().await.expect("one who is local may");
        assert!(dump.starts_with(b"active name     <alice>"));
        drop(held);
    }
}
