//! The network cut and healed, and everybody asked what he sees: once with a BEAM node as the subject, and once with the one that is
//! judged. Both plays must leave the same views (whom each node is connected to, which names `global` has, who is a member of a
//! `pg` group) and the same node events on every node; where they do not, the differences are printed.
//!
//! A hidden node asks, whom no cut concerns. Where all nodes prevent overlapping partitions, who leaves whom is for the order of
//! messages to say, with BEAM nodes too, and what is compared is that nothing overlaps. Where some do not, so that it is the subject
//! that says who is lost, or that leaves, or is left, what comes of it is certain.

use std::cmp::Reverse;

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
    /// Where nodes prevent overlapping partitions.
    prevents: Option<Prevention>,
    /// Two that register the same name while neither sees the other's.
    rivals: Option<(usize, usize)>,
    /// Whether the others are of several releases.
    mixed: bool,
}

impl Plan {
    /// Why it is not played with a subject of that release, if it is not.
    fn untried(&self, release: u32) -> Option<&'static str> {
        (self.prevents.is_some() && release < 25)
            .then_some("nodes do not prevent overlapping partitions: not tried")
    }
}

struct Prevention {
    /// Those who let partitions overlap all the same.
    lenient: &'static [usize],
    /// What the nodes fall into, if that is certain.
    sides: &'static [&'static [usize]],
}

/// The subject and alice do not reach each other, and zoe reaches both.
const BETWEEN_TWO: Plan = Plan {
    others: 2,
    cuts: &[(0, 1)],
    one_way: false,
    prevents: None,
    rivals: None,
    mixed: false,
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
const HALVES_PREVENTED: Prevention = Prevention {
    lenient: &[2, 3],
    sides: &[&[0, 1], &[2, 3]],
};
/// The subject loses the other half. Nobody but it tells alice, who leaves that half at its word.
const TOLD_BY_SUBJECT: Plan = Plan {
    cuts: &[(0, 2), (0, 3)],
    prevents: Some(HALVES_PREVENTED),
    ..HALVES
};
/// Alice loses the other half. Nobody but her tells the subject.
const TOLD_TO_SUBJECT: Plan = Plan {
    cuts: &[(1, 2), (1, 3)],
    prevents: Some(HALVES_PREVENTED),
    ..HALVES
};
/// Alice loses the subject and tells zoe, who asks it to go.
const LEFT_ALONE: Plan = Plan {
    cuts: &[(0, 1)],
    prevents: Some(Prevention {
        lenient: &[0],
        sides: &[&[0], &[1, 2]],
    }),
    ..ALONE
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
    let prevents = Some(Prevention {
        lenient: &[],
        ..HALVES_PREVENTED
    });
    compare(&bed, &Plan { prevents, ..HALVES }).await;
    compare(&bed, &TOLD_BY_SUBJECT).await;
    compare(&bed, &TOLD_TO_SUBJECT).await;
}

pub(crate) async fn prevented_alone(bed: Bed) {
    compare(&bed, &LEFT_ALONE).await;
}

/// Nobody is left who sees both, neither a BEAM node nor the subject.
pub(crate) async fn prevented_between_two(bed: Bed) {
    for plan in [BETWEEN_TWO, BETWEEN_OTHERS] {
        let prevents = Some(Prevention {
            lenient: &[],
            sides: &[],
        });
        compare(&bed, &Plan { prevents, ..plan }).await;
    }
}

pub(crate) async fn mixed_between_two(bed: Bed) {
    for cuts in [&[(0, 1)][..], &[(0, 2)]] {
        let plan = Plan {
            others: 3,
            cuts,
            mixed: true,
            ..BETWEEN_TWO
        };
        compare(&bed, &plan).await;
    }
}

pub(crate) async fn mixed_halves(bed: Bed) {
    let plan = Plan {
        mixed: true,
        ..HALVES
    };
    compare(&bed, &plan).await;
}

pub(crate) async fn mixed_one_way(bed: Bed) {
    for cuts in [&[(0, 1)][..], &[(2, 0)]] {
        let plan = Plan {
            others: 3,
            cuts,
            one_way: true,
            mixed: true,
            ..BETWEEN_TWO
        };
        compare(&bed, &plan).await;
    }
}

pub(crate) async fn mixed_prevented(bed: Bed) {
    for plan in [TOLD_BY_SUBJECT, TOLD_TO_SUBJECT] {
        compare(&bed, &Plan { mixed: true, ..plan }).await;
    }
}

/// The releases of the others, of those that speak with a subject of that release and with each other.
fn mix(release: u32) -> [u32; 3] {
    match release {
        ..27 => [25, 23, 25],
        27 => [25, 29, 27],
        _ => [25, 27, 29],
    }
}

/// OTP 25 and before, and OTP 29, end each other's scopes: each scope has the one or the other.
fn scopes(nodes: &[&str], releases: &[u32]) -> String {
    let of = |has: fn(u32) -> bool| {
        let members = nodes.iter().zip(releases).filter(|&(_, &release)| has(release));
        list(&members.map(|(&node, _)| node).collect::<Vec<_>>())
    };
    let (old, new) = (of(|release| release < 29), of(|release| release > 25));
    format!("[{{old, {old}}}, {{new, {new}}}]")
}

/// Plays with both kinds of subject, and compares what each play has noted.
async fn compare(bed: &Bed, plan: &Plan) {
    if let Some(why) = plan.untried(bed.release()) {
        return bed.note(why).await;
    }
    let theirs = measure(bed, plan).await;
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

/// What a play with a BEAM node as the subject leaves. One that leaves BEAM nodes without names when all is whole again, which OTP 27 and
/// later do by themselves now and then (`docs/cluster.md`), measures nothing and is played once more.
async fn measure(bed: &Bed, plan: &Plan) -> Notes {
    let bed = bed.with_beam_subject();
    let notes = play(&bed, plan).await;
    let lost = |(what, seen): &(String, String)| what == "healed" && seen.starts_with("{otherwise");
    if !notes.iter().any(lost) {
        return notes;
    }
    bed.note("BEAM nodes alone have lost names after a cut: played once more")
        .await;
    play(&bed, plan).await
}

/// What was noted in a play, with what each note is.
type Notes = Vec<(String, String)>;

async fn play(bed: &Bed, plan: &Plan) -> Notes {
    let lenient = |node: usize| {
        let prevents = plan.prevents.as_ref();
        prevents.is_none_or(|prevention| prevention.lenient.contains(&node))
    };
    let mut subject = bed.subject().ticktime(TICKTIME);
    if lenient(0) {
        subject = subject.overlapping();
    }
    let subject = subject.start().await;
    let mut releases = vec![bed.release()];
    let mut beams = Vec::new();
    for (index, &(alive, host)) in OTHERS[..plan.others].iter().enumerate() {
        let mut beam = bed.erl(alive, host).ticktime(TICKTIME);
        if plan.mixed {
            releases.push(mix(bed.release())[index]);
            beam = beam.release(releases[index + 1]);
        } else {
            releases.push(bed.release());
        }
        if lenient(index + 1) {
            beam = beam.arguments(OVERLAPPING);
        }
        beams.push(beam.start().await);
    }
    let judge = bed.erl("judge", "j").hidden().ticktime(TICKTIME).start().await;
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
    let sides = plan.prevents.as_ref().map(|prevention| prevention.sides);
    // Where it is certain what sides there are, nobody is left who sees two of them.
    let apart = |one: usize, other: usize| match sides {
        Some(sides @ [_, ..]) => !sides
            .iter()
            .any(|side| side.contains(&one) && side.contains(&other)),
        _ => plan.cuts.contains(&(one, other)),
    };
    let mut cuts = Vec::new();
    for (one, other) in pairs(nodes.len()).filter(|&(one, other)| apart(one, other)) {
        cuts.push(format!("{{'{}','{}'}}", nodes[one], nodes[other]));
    }
    let cuts = format!("[{}]", cuts.join(","));
    let mut notes = Notes::new();
    let mut note = |what: &str, seen: &str| {
        notes.push((what.to_owned(), seen.replace(subject.node(), "SUBJECT")));
    };

    // The newest first.
    let mut joining: Vec<usize> = (0..nodes.len()).collect();
    joining.sort_by_key(|&node| Reverse(releases[node]));
    let joining: Vec<&str> = joining.into_iter().map(|node| nodes[node]).collect();
    let start = format!(
        "Scopes = {}, cuts:mesh({}, {}, Scopes), Before = cuts:members(before, {all}, Scopes), ok",
        scopes(&nodes, &releases),
        list(&joining),
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
    // Where nodes leave each other that could stay together, what they find together to is not for this play to say.
    let known = sides.is_none_or(|sides| !sides.is_empty());
    if !known {
        let cliques = format!("cuts:await_cliques({all}, {cuts}, {PATIENCE})");
        note("no overlap", judge.eval(cliques).await.text());
    }
    let side = |side: &&[usize]| list(&side.iter().map(|&node| nodes[node]).collect::<Vec<_>>());
    let join: Vec<String> = sides.unwrap_or_default().iter().map(side).collect();
    let join = join.join(",");
    let mut rivals = "[]".to_owned();
    if known {
        let seen = |members: &str, rivals: &str| {
            format!("cuts:settle({all}, [{join}], {cuts}, {members}, {rivals}, {PATIENCE})")
        };
        note("the cut", judge.eval(seen("Before", "[]")).await.text());
        let meanwhile = format!("Meanwhile = Before ++ cuts:members(meanwhile, {all}, Scopes), ok");
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
        for (one, other) in pairs(nodes.len()) {
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

/// Each with each other.
fn pairs(count: usize) -> impl Iterator<Item = (usize, usize)> {
    let all = (0..count).flat_map(move |one| (0..count).map(move |other| (one, other)));
    all.filter(|(one, other)| one != other)
}
