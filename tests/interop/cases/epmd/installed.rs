//! Our program installed where a release of Erlang keeps its own: whoever starts `epmd`, by whatever path, starts ours, and is told
//! nothing of it.

use super::{PID_OF_EPMD, place_ours};
use crate::inside::{Bed, Output};

/// Puts a link to ours in the place of the emulator's `epmd`.
const INSTALL: &str = r#"
for stock in /usr/lib/erlang/erts-*/bin/epmd /usr/local/lib/erlang/erts-*/bin/epmd; do
    [ ! -e "$stock" ] || { mv "$stock" "$stock.stock"; ln -s "$OURS" "$stock"; }
done
"#;
const UNINSTALL: &str = r#"
for stock in /usr/lib/erlang/erts-*/bin/epmd.stock /usr/local/lib/erlang/erts-*/bin/epmd.stock; do
    [ ! -e "$stock" ] || mv "$stock" "${stock%.stock}"
done
"#;

/// `erl`, a node that starts `epmd` by the PATH, as `rebar3` and `mix` have it, and a release with its scripts.
pub(crate) async fn installed(bed: Bed) {
    bed.require_elixir("a").await;
    let ours = place_ours(&bed, "a").await;
    let script = async |script: &str| -> Output {
        let script = format!("OURS={ours}\n{script}");
        let output = bed.run("a", &["sh", "-c", &script]).await;
        assert_eq!(output.code, Some(0), "{script}: {output:?}");
        output
    };
    // Ends the daemon that runs, which must be ours, and waits until it has.
    let end = format!(
        "pid=$({PID_OF_EPMD}); tr '\\0' ' ' < /proc/$pid/cmdline; \
         kill $pid; while kill -0 $pid 2>/dev/null; do sleep 0.02; done"
    );
    let end = async || {
        let running = script(&end).await.stdout;
        assert!(running.contains("-detached"), "it is ours that runs: {running}");
    };
    script(INSTALL).await;

    let alice = bed.erl("alice", "a").start().await;
    let names = alice
        .eval("[Name || {Name, _} <- element(2, erl_epmd:names())]")
        .await;
    assert_eq!(names, "[\"alice\"]");
    alice.kill().await;
    end().await;

    // A program that becomes a node when it has started, and waits for what `epmd -daemon` prints.
    let later = script(
        "erl -noinput -eval '
            os:cmd(\"epmd -daemon\"),
            {ok, _} = net_kernel:start([bob, shortnames]),
            {ok, Names} = erl_epmd:names(),
            io:format(\"~p~n\", [[Name || {Name, _} <- Names]]),
            halt().'",
    )
    .await;
    assert_eq!(later.stdout, "[\"bob\"]\n");
    end().await;

    // A release brings a copy of what is installed, and its scripts ask and end its node by name.
    script("rm -rf /tmp/pond && cd /tmp && mix new pond && cd pond && MIX_ENV=prod mix release").await;
    let release = script(
        "cd /tmp/pond/_build/prod/rel/pond
         export RELEASE_NODE=pond RELEASE_COOKIE=pond
         bin/pond start </dev/null >/tmp/pond/log 2>&1 & started=$!
         i=0; until bin/pond rpc 'IO.puts(node())' 2>/dev/null; do i=$((i + 1)); [ $i -lt 100 ] || exit 1; sleep 0.1; done
         bin/pond rpc '{:ok, names} = :erl_epmd.names(); IO.puts(List.keymember?(names, ~c(pond), 0))'
         bin/pond stop
         wait $started
         erts-*/bin/epmd -names",
    )
    .await;
    let lines: Vec<&str> = release.stdout.lines().collect();
    assert_eq!(
        lines,
        ["pond@a", "true", "epmd: up and running on port 4369 with data:"],
        "{release:?}"
    );
    end().await;
    script(UNINSTALL).await;
    script("rm -rf /tmp/pond").await;
}
