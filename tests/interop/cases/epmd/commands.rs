//! The program `epmd` on the command line: every combination of stock's and ours, as the one that asks and as the daemon that is
//! asked, leaves the same transcript.

use super::place_ours;
use crate::inside::Bed;

/// What a person or a script does with `epmd`, each time with what it has printed and its exit code. `$ASK` asks, `$SERVE`
/// serves.
const SESSION: &str = r#"
say() { echo "\$ epmd $*"; $ASK "$@" 2>&1; echo "exit code $?"; }
up() { i=0; until $ASK "$@" -started; do i=$((i + 1)); [ $i -lt 600 ] || { echo "no daemon"; exit 1; }; sleep 0.1; done; }
gone() { i=0; while $ASK "$@" -started; do i=$((i + 1)); [ $i -lt 600 ] || { echo "does not end"; exit 1; }; sleep 0.1; done; }
unset ERL_EPMD_PORT ERL_EPMD_ADDRESS ERL_EPMD_RELAXED_COMMAND_CHECK

echo "== no daemon"
for question in -names -dump -kill "-stop x" -started; do say -port 4400 $question; done
say -port 4400 -daemon -names

echo "== a daemon and no node"
$SERVE -port 4400 -daemon; echo "exit code $?"
up -port 4400
for question in -names -dump "-stop x" -started; do say -port 4400 $question; done
say -port 4400 -kill; gone -port 4400
say -port 4400 -names

echo "== by the environment"
export ERL_EPMD_PORT=4401
ERL_EPMD_ADDRESS=$ADDRESS $SERVE -daemon
up
say -names
# The command line goes before it.
say -port 4402 -names
say -kill; gone
unset ERL_EPMD_PORT

echo "== with a node"
$SERVE -port 4403 -daemon; up -port 4403
ERL_EPMD_PORT=4403 erl -noinput -sname x -kernel inet_dist_listen_min 9100 inet_dist_listen_max 9100 & node=$!
i=0; until $ASK -port 4403 -names | grep -q x; do i=$((i + 1)); [ $i -lt 600 ] || { echo "no node"; exit 1; }; sleep 0.1; done
for question in -names "-stop x" -kill -names; do say -port 4403 $question; done
say -port 4403 -dump | sed 's/fd = [0-9]*/fd = N/'
kill -KILL $node; wait $node 2>/dev/null
i=0; while $ASK -port 4403 -names | grep -q x; do i=$((i + 1)); [ $i -lt 600 ] || { echo "a node"; exit 1; }; sleep 0.1; done
say -port 4403 -kill; gone -port 4403

echo "== relaxed"
ERL_EPMD_RELAXED_COMMAND_CHECK=1 $SERVE -port 4404 -daemon; up -port 4404
say -port 4404 -stop nobody
say -port 4404 -kill; gone -port 4404
$SERVE -port 4405 -relaxed_command_check -packet_timeout 5 -daemon; up -port 4405
say -port 4405 -stop nobody
say -port 4405 -kill; gone -port 4405

echo "== what is no command line"
for line in "-nosuch" "-port" "-port 0 -names" "-names x" "names"; do $ASK $line >/dev/null 2>&1; echo "$line: exit code $?"; done
"#;

/// See the module.
pub(crate) async fn commands(bed: Bed) {
    let ours = place_ours(&bed, "a").await;
    // Told of addresses, stock's of OTP 23 does not come up where there is no IPv6, as in a container.
    let address = if bed.release() < 25 { "" } else { "127.0.0.2" };
    let mut transcripts = Vec::new();
    for (ask, serve) in [("epmd", "epmd"), (&ours, &ours), ("epmd", &ours), (&ours, "epmd")] {
        let script = format!("ASK={ask} SERVE={serve} ADDRESS={address}\n{SESSION}");
        let session = bed.run("a", &["sh", "-c", &script]).await;
        assert_eq!(session.code, Some(0), "{ask} asks {serve}: {session:?}");
        transcripts.push((format!("{ask} asks {serve}"), session.stdout));
    }
    let (_, stock) = &transcripts[0];
    for (who, transcript) in &transcripts[1..] {
        assert_eq!(transcript, stock, "{who}");
    }
}
