//! The cases: what each asks of a bed, and the function that runs it on the host `rust`. One file a theme.

use std::{pin::Pin, time::Duration};

use crate::inside::Bed;

mod attacks;
mod bed;
mod calls;
mod cluster;
mod command;
mod connection;
mod cuts;
mod down;
mod echo;
mod epmd;
mod examples;
mod figures;
mod global;
mod killed;
mod pg;
mod ping;
mod processes;
mod servers;
mod services;
mod supervisors;
mod tools;

/// One thing that must hold, on every release.
pub(crate) struct Case {
    /// `theme::function`.
    pub(crate) name: &'static str,
    pub(crate) run: fn(Bed) -> Pin<Box<dyn Future<Output = ()>>>,
    /// The case is ended and has failed after this.
    limit: Duration,
    /// What that grows by with each round that `BED_ROUNDS` asks for.
    each_round: Duration,
    /// Several hosts of their own names, or cuts between them: not possible where every host is this machine.
    pub(crate) needs_hosts: bool,
    /// Runs while no other case does: it measures time.
    pub(crate) alone: bool,
    pub(crate) subjects: Subjects,
    /// The one release that it is run with, if it would be the same with all.
    pub(crate) only_with: Option<u32>,
}

/// Who can play the part that is judged. A BEAM node in it shows that the judge itself is right.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subjects {
    /// Rust in every run; a BEAM node with `BED_SUBJECT=beam`.
    Either,
    /// Cheap enough for both to play it in every run.
    Both,
    /// What is judged exists in ours alone, or the case has no subject.
    RustOnly,
}

impl Case {
    const fn new(name: &'static str, run: fn(Bed) -> Pin<Box<dyn Future<Output = ()>>>) -> Self {
        Self {
            name,
            run,
            limit: Duration::from_secs(240),
            each_round: Duration::ZERO,
            needs_hosts: false,
            alone: false,
            subjects: Subjects::Either,
            only_with: None,
        }
    }

    /// Each round of it may take this long.
    const fn each_round(mut self, seconds: u64) -> Self {
        self.each_round = Duration::from_secs(seconds);
        self
    }

    /// After how long the case is ended and has failed.
    pub(crate) fn limit(&self) -> Duration {
        let rounds = std::env::var("BED_ROUNDS")
            .ok()
            .and_then(|rounds| rounds.parse().ok());
        self.limit + self.each_round * rounds.unwrap_or(0)
    }

    const fn needs_hosts(mut self) -> Self {
        self.needs_hosts = true;
        self
    }

    const fn alone(mut self) -> Self {
        self.alone = true;
        self
    }

    const fn both(mut self) -> Self {
        self.subjects = Subjects::Both;
        self
    }

    const fn only_with(mut self, release: u32) -> Self {
        self.only_with = Some(release);
        self
    }

    const fn rust_only(mut self) -> Self {
        self.subjects = Subjects::RustOnly;
        self
    }
}

/// A case of the path to its function.
macro_rules! case {
    ($theme:ident::$function:ident) => {
        Case::new(concat!(stringify!($theme), "::", stringify!($function)), |bed| {
            Box::pin($theme::$function(bed))
        })
    };
}

/// All of them.
pub(crate) fn all() -> Vec<Case> {
    vec![
        case!(bed::values).rust_only(),
        case!(bed::freeze).rust_only().needs_hosts(),
        case!(bed::cut).rust_only().needs_hosts(),
        case!(bed::record).rust_only(),
        case!(ping::visible).both(),
        case!(ping::hidden).both(),
        case!(ping::from_hidden),
        case!(ping::long_names),
        case!(ping::long_to_short),
        case!(ping::elixir),
        case!(ping::by_subject).both(),
        case!(ping::by_hidden_subject),
        case!(ping::both_at_once),
        case!(ping::three_nodes),
        case!(echo::every_type).both(),
        case!(echo::every_type_by_subject),
        case!(echo::large),
        case!(echo::large_by_subject),
        case!(echo::in_order),
        case!(down::subject_killed).both(),
        case!(down::subject_killed_by_subject),
        case!(down::peer_killed).both(),
        case!(down::peer_killed_by_subject),
        case!(down::subject_paused),
        case!(down::subject_paused_by_subject),
        case!(down::peer_paused),
        case!(down::peer_paused_by_subject),
        case!(down::silence_is_no_end),
        case!(down::silence_is_no_end_for_hidden),
        case!(down::network_cut).needs_hosts(),
        case!(down::network_cut_one_way).needs_hosts(),
        case!(down::disconnect_by_peer),
        case!(down::disconnect_by_subject),
        case!(services::global_sync),
        case!(services::global_lock_and_names),
        case!(services::call_to_nobody),
        case!(services::monitor_of_nobody),
        case!(services::monitor_of_killed),
        case!(services::unasked_traffic),
        case!(processes::links_of_subject),
        case!(processes::exit_signals),
        case!(processes::monitors_of_subject),
        case!(processes::spawning_on_subject),
        case!(processes::links_by_us).rust_only(),
        case!(processes::monitors_by_us).rust_only(),
        case!(processes::aliases_by_us).rust_only(),
        case!(processes::at_random).rust_only(),
        case!(calls::table),
        case!(processes::priority).rust_only(),
        case!(processes::spawning_by_us).rust_only(),
        case!(processes::killed_at_random).rust_only(),
        case!(processes::in_elixir),
        case!(processes::output_of_theirs).rust_only(),
        case!(processes::input_of_ours).rust_only(),
        case!(processes::on_their_leader).rust_only(),
        case!(processes::asking_node_goes).rust_only(),
        case!(processes::watched).rust_only(),
        case!(calls::rpc_to_subject),
        case!(calls::subject_killed_in_call),
        case!(calls::rpc_by_us).rust_only(),
        case!(calls::server_of_ours).rust_only(),
        case!(calls::server_of_theirs).rust_only(),
        case!(killed::subject).each_round(2),
        case!(killed::peer).rust_only().each_round(8),
        case!(pg::at_random).both(),
        case!(pg::crashes),
        case!(pg::monitors_of_peer),
        case!(pg::functions).both(),
        case!(pg::netsplit).needs_hosts(),
        case!(pg::every_release_at_once)
            .needs_hosts()
            .rust_only()
            .only_with(29),
        case!(pg::by_us).rust_only(),
        case!(pg::pubsub).rust_only(),
        case!(examples::echo).rust_only(),
        case!(examples::dist_kv).rust_only(),
        case!(examples::pool).rust_only(),
        case!(examples::cluster_worker).rust_only().needs_hosts(),
        case!(servers::handlers).rust_only(),
        case!(servers::system_messages).rust_only(),
        case!(servers::typed).rust_only(),
        case!(servers::their_kinds).rust_only(),
        case!(servers::policy).rust_only(),
        case!(servers::killed_at_random).rust_only(),
        case!(servers::killed_at_random_by_us).rust_only(),
        case!(servers::many).rust_only(),
        case!(supervisors::beside_otp).rust_only(),
        case!(processes::panics).rust_only(),
        case!(processes::reports),
        case!(processes::device),
        case!(servers::by_global_name).rust_only(),
        case!(tools::remote_shell),
        case!(tools::halts),
        case!(tools::erl_call).both(),
        case!(tools::observer_asks).both(),
        case!(connection::alive),
        case!(connection::restarted).needs_hosts(),
        case!(connection::statuses),
        case!(connection::allowed),
        case!(connection::cookies),
        case!(connection::long_by_subject),
        case!(connection::gives_names).needs_hosts(),
        case!(connection::is_given_a_name).rust_only().needs_hosts(),
        case!(connection::ticktime_changes),
        case!(connection::ticktime_answers),
        case!(connection::ipv6).rust_only().needs_hosts(),
        case!(connection::broken_peers),
        case!(connection::no_term).rust_only(),
        case!(connection::atoms),
        case!(connection::fragments),
        case!(connection::large_beside_small),
        case!(connection::trace_tokens),
        case!(connection::busy).rust_only(),
        case!(connection::busy_for_signals),
        case!(global::mesh).both(),
        case!(global::mesh_of_five),
        case!(global::apart),
        case!(global::slow_to_acknowledge).both(),
        case!(global::told_before_asked),
        case!(global::names).both(),
        case!(global::conflicts),
        case!(global::locks),
        case!(global::no_overlapping_partitions),
        case!(global::overlapping_partitions),
        case!(global::at_random),
        case!(global::cut_in_halves).needs_hosts(),
        case!(global::cut_one_way).needs_hosts(),
        case!(cluster::global_by_us).rust_only(),
        case!(cluster::functions).both(),
        case!(cluster::asked_for_names).both(),
        case!(cluster::node_events).rust_only(),
        case!(cluster::world).needs_hosts(),
        case!(cluster::groups_of_theirs).needs_hosts(),
        case!(cluster::kept).rust_only(),
        case!(cluster::fifty).needs_hosts().alone(),
        case!(cluster::cut_between_two).needs_hosts(),
        case!(cluster::releases_23_25).needs_hosts().only_with(25),
        case!(cluster::releases_25_27_29).needs_hosts().only_with(29),
        case!(attacks::wrong_cookie),
        case!(attacks::wrong_cookie_by_subject),
        case!(attacks::missing_flags),
        case!(attacks::wrong_name).needs_hosts(),
        case!(attacks::random_bytes),
        case!(attacks::half_handshakes),
        case!(attacks::silent_connections),
        case!(attacks::killed_in_mid_message),
        case!(command::ping_pong).rust_only(),
        case!(command::ping_long_name).rust_only(),
        case!(command::ping_pang).rust_only().needs_hosts(),
        case!(command::cookie_file).rust_only().needs_hosts(),
        case!(command::names).rust_only().needs_hosts(),
        case!(cuts::between_two).needs_hosts(),
        case!(cuts::between_others).needs_hosts(),
        case!(cuts::halves).needs_hosts(),
        case!(cuts::alone).needs_hosts(),
        case!(cuts::one_way).needs_hosts(),
        case!(cuts::prevented_halves).needs_hosts(),
        case!(cuts::prevented_alone).needs_hosts(),
        case!(cuts::prevented_between_two).needs_hosts(),
        case!(cuts::mixed_between_two).needs_hosts(),
        case!(cuts::mixed_halves).needs_hosts(),
        case!(cuts::mixed_one_way).needs_hosts(),
        case!(cuts::mixed_prevented).needs_hosts(),
        case!(command::no_epmd).rust_only().needs_hosts(),
        case!(command::own_name).rust_only().needs_hosts(),
        case!(command::name_taken).rust_only().needs_hosts(),
        case!(command::shutdown).rust_only(),
        case!(epmd::twins).needs_hosts().rust_only(),
        case!(epmd::remote_peers).needs_hosts().rust_only(),
        case!(epmd::commands).needs_hosts().rust_only(),
        case!(epmd::pace).needs_hosts().rust_only(),
        case!(epmd::installed).needs_hosts().rust_only(),
        case!(epmd::inet6).needs_hosts().rust_only(),
        case!(epmd::in_place).needs_hosts().rust_only(),
        case!(epmd::client_of_stock).needs_hosts().rust_only(),
        case!(epmd::beam_outlives).needs_hosts().rust_only(),
        case!(epmd::rust_outlives).needs_hosts().rust_only(),
        case!(epmd::without_any).needs_hosts().rust_only(),
        case!(epmd::table_and_ports).needs_hosts().rust_only(),
        case!(figures::round_trips).alone(),
    ]
}
