//! The network cut and healed, and everybody asked what he sees: once with a BEAM node as the subject, and once with the one that is
//! judged. Both plays must leave the same views (whom each node is connected to, which names `global` has, who is a member of a
//! `pg` group) and the same node events on every node; where they do not, the differences are printed.
//!
//! A hidden node asks, whom no cut concerns. Where nodes prevent overlapping partitions, who leaves whom is for the order of
//! messages to say, with BEAM nodes too; what is compared there is that nothing overlaps, and what the sides see once each
//! has found together.

use super::global::list;
use crate::inside::{Beam, Bed, LIMIT, OVERLAPPING};

/// Seconds of silence after which a node is down.
const TICKTIME: u32 = 4;
/// Milliseconds in which what must come has come, on a slow machine too.
const PATIENCE: u32 = 40_000;

/// The subject is number 0 of the nodes, and these are the others, each on a host of its own.
const OTHERS: [(&str, &str); 3] = [("alice", "a"), ("zoe", "z"), ("bob", "b")];

struct Plan {
    /// How many of the others take part.
    others: usize,
    /// Between whom packets are lost; if `one_way`, those of the first to the second.
    cuts: &'static [(usize, usize)],
    one_way: bool,
    /// Whether nodes prevent overlapping partitions; then, those that find together while the network is cut.
    prevents: Option<&'static [&'static [usize]]>,
    /// Two that register the same name while neither sees the other's.
    rivals: Option<(usize, usize)>,
}

/// The subject and alice do not reach each other, and zoe reaches both.
const BETWEEN_TWO: Plan = Plan {
    others: 2,
    cuts: &[(0, 1)],
    one_way: false,
    prevents: None,
    rivals: None,
};
/// Alice and zoe do not reach each other, and the subject reaches both.
const BETWEEN_OTHERS: Plan = Plan {
    cuts: &[(1, 2)],
    ..BETWEEN_TWO
};
/// The subject and alice on one side, zoe and bob on the other.
const HALVES: Plan = Plan {
    others: 3,
    cuts: &[(0, 2), (0, 3), (1, 2), (1, 3)],
    rivals: Some((0, 2)),
    ..BETWEEN_TWO
};
/// The subject on one side.
const ALONE: Plan = Plan {
    cuts: &[(0, 1), (0, 2)],
    rivals: Some((0, 1)),
    ..BETWEEN_TWO
};

pub(crate) async fn between_two(bed: Bed) {
    compare(&bed, &BETWEEN_TWO).await;
}

pub(crate) async fn between_others(bed: Bed) {
    compare(&bed, &BETWEEN_OTHERS).await;
}

pub(crate) async fn halves(bed: Bed) {
    compare(&bed, &HALVES).await;
}

pub(crate) async fn alone(bed: Bed) {
    compare(&bed, &ALONE).await;
}

/// What one sends to the other is lost, and what the other sends is not: the subject hears nothing, or is not heard.
pub(crate) async fn one_way(bed: Bed) {
    for cuts in [&[(0, 1)][..], &[(1, 0)]] {
        let plan = Plan {
            cuts,
            one_way: true,
            ..BETWEEN_TWO
        };
        compare(&bed, &plan).await;
    }
}

pub(crate) async fn prevented_halves(bed: Bed) {
    prevented(bed, HALVES, &[&[0, 1], &[2, 3]]).await;
}

pub(crate) async fn prevented_alone(bed: Bed) {
    prevented(bed, ALONE, &[&[0], &[1, 2]]).await;
}

/// Nobody is left who sees both, neither a BEAM node nor the subject.
pub(crate) async fn prevented_between_two(bed: Bed) {
    prevented(bed.clone(), BETWEEN_TWO, &[]).await;
    prevented(bed, BETWEEN_OTHERS, &[]).await;
}

async fn prevented(bed: Bed, plan: Plan, sides: &'static [&'static [usize]]) {
    if bed.release() < 25 {
        return bed
            .note("nodes do not prevent overlapping partitions: not tried")
            .await;
    }
    let prevents = Some(sides);
    compare(&bed, &Plan { prevents, ..plan }).await;
}

/// Plays with both kinds of subject, and compares what each play has noted.
async fn compare(bed: &Bed, plan: &Plan) {
    let theirs = play(&bed.with_beam_subject(), plan).await;
    let ours = play(bed, plan).await;
    let differences: Vec<String> = theirs
        .iter()
        .zip(&ours)
        .filter(|(theirs, ours)| theirs != ours)
        .map(|((what, theirs), (_, ours))| {
            format!("{what}:\nwith a BEAM node {theirs}\nwith the subject {ours}\n")
        })
        .collect();
    assert!(differences.is_empty(), "\n{}", differences.join("\n"));
    assert_eq!(theirs.len(), ours.len());
    // Alike, but is it right?
    for (what, seen) in &ours {
        assert!(!seen.starts_with("{otherwise"), "{what}: {seen}");
    }
}

/// What was noted in a play, with what each note is.
type Notes = Vec<(String, String)>;

async fn play(bed: &Bed, plan: &Plan) -> Notes {
    let mut subject = bed.subject().ticktime(TICKTIME);
    if plan.prevents.is_none() {
        subject = subject.overlapping();
    }
    let subject = subject.start().await;
    let mut beams = Vec::new();
    for &(alive, host) in &OTHERS[..plan.others] {
        let mut beam = bed.erl(alive, host).ticktime(TICKTIME);
        if plan.prevents.is_none() {
            beam = beam.arguments(OVERLAPPING);
        }
        beams.push(beam.start().await);
    }
    let judge = bed.erl("judge", "j").hidden().start().await;
    let others: Vec<&str> = beams.iter().map(Beam::node).collect();
    let nodes: Vec<&str> = [subject.node()]
        .into_iter()
        .chain(others.iter().copied())
        .collect();
    let hosts: Vec<&str> = [bed.subject_host()]
        .into_iter()
        .chain(beams.iter().map(Beam::host))
        .collect();
    let all = list(&nodes);
    let cuts: Vec<String> = plan
        .cuts
        .iter()
        .map(|&(one, other)| format!("{{'{}','{}'}}", nodes[one], nodes[other]))
        .collect();
    let cuts = format!("[{}]", cuts.join(","));
    let mut notes = Notes::new();
    let mut note = |what: &str, seen: &str| {
        notes.push((what.to_owned(), seen.replace(subject.node(), "SUBJECT")));
    };

    let start = format!(
        "cuts:mesh({all}, {}), Before = cuts:members(before, {all}), ok",
        list(&others)
    );
    assert_eq!(judge.eval(start).await, "ok");
    let whole = format!("cuts:await({all}, [], Before, [], {PATIENCE})");
    note("before the cut", judge.eval(whole).await.text());

    for &(one, other) in plan.cuts {
        if plan.one_way {
            bed.cut_one_way(hosts[one], hosts[other]).await;
        } else {
            bed.cut(hosts[one], hosts[other]).await;
        }
    }
    let sides = plan.prevents.map(|sides| -> Vec<String> {
        let side = |side: &&[usize]| list(&side.iter().map(|&node| nodes[node]).collect::<Vec<_>>());
        sides.iter().map(side).collect()
    });
    if sides.is_some() {
        let cliques = format!("cuts:await_cliques({all}, {cuts}, {PATIENCE})");
        note("no overlap", judge.eval(cliques).await.text());
    }
    // Where nodes leave each other that could stay together, what they find together to is not for this play to say.
    let known = sides.as_ref().is_none_or(|sides| !sides.is_empty());
    let join = sides.unwrap_or_default().join(",");
    let mut rivals = "[]".to_owned();
    if known {
        let seen = |members: &str, rivals: &str| {
            format!("cuts:settle({all}, [{join}], {cuts}, {members}, {rivals}, {PATIENCE})")
        };
        note("the cut", judge.eval(seen("Before", "[]")).await.text());
        let meanwhile = format!("Meanwhile = Before ++ cuts:members(meanwhile, {all}), ok");
        assert_eq!(judge.eval(meanwhile).await, "ok");
        if let Some((one, other)) = plan.rivals {
            let rival = |node: usize| format!("cuts:rival(rival, meanwhile, '{}')", nodes[node]);
            let both = format!("Rivals = [{}, {}], ok", rival(one), rival(other));
            assert_eq!(judge.eval(both).await, "ok");
            rivals = "Rivals".to_owned();
        }
        note("meanwhile", judge.eval(seen("Meanwhile", &rivals)).await.text());
    } else {
        assert_eq!(judge.eval("Meanwhile = Before, ok").await, "ok");
    }

    bed.heal().await;
    let healed = if plan.prevents.is_some() {
        format!("cuts:settle({all}, [{all}], [], Meanwhile, [], {PATIENCE})")
    } else {
        format!("cuts:join({all}), cuts:await({all}, [], Meanwhile, [], {PATIENCE})")
    };
    note("healed", judge.eval(healed).await.text());

    if plan.prevents.is_none() {
        for (one, other) in (0..nodes.len()).flat_map(|one| (0..nodes.len()).map(move |other| (one, other))) {
            if one == other {
                continue;
            }
            let what =
                format!("events of {} on {}", nodes[other], nodes[one]).replace(subject.node(), "SUBJECT");
            let cut = plan
                .cuts
                .iter()
                .any(|&pair| pair == (one, other) || pair == (other, one));
            let events = if one == 0 {
                let ups = if cut { 2 } else { 1 };
                subject
                    .await_event(&format!("nodeup {} ", nodes[other]), ups, LIMIT)
                    .await;
                subject.events_about(nodes[other]).await.join(", ")
            } else {
                let count = if cut { 3 } else { 1 };
                let events = format!(
                    "cuts:events('{}', '{}', {count}, {PATIENCE})",
                    nodes[one], nodes[other]
                );
                judge.eval(events).await.text().to_owned()
            };
            note(&what, &events);
        }
    }
    judge.kill().await;
    for beam in &beams {
        beam.kill().await;
    }
    subject.kill().await;
    notes
}
