//! The campaigns: a network that breaks everywhere, a server that is killed again and again, and the same with a fault
//! that the checker must see.

use crate::{
    campaign::{self, Outcome},
    checker::{self, Breach},
    dice::{long, seed},
    plan::{Plan, Planted},
};

fn small() -> Plan {
    Plan {
        seed: seed(),
        users: 20,
        threads: 5,
        threads_each: 2,
        messages: 1_500,
        changes: 60,
        resume_events: None,
        storm: true,
        kills: 0,
        planted: None,
    }
}

/// Runs a campaign in which nothing may go wrong.
async fn holds(plan: Plan) -> Outcome {
    println!("campaign with DELIVERY_SEED={}", plan.seed);
    let outcome = campaign::run(&plan).await;
    println!("{outcome}");
    assert!(outcome.verdict.is_clean(), "run again with DELIVERY_SEED={}\n{outcome}", plan.seed);
    assert_eq!(outcome.verdict.acknowledged, plan.messages as u64, "{outcome}");
    assert_eq!(outcome.verdict.rows, plan.messages as u64, "{outcome}");
    outcome
}

#[tokio::test]
async fn behind_a_network_that_breaks_nothing_is_lost_doubled_out_of_order_or_foreign() {
    let whole = Plan { users: 200, threads: 50, threads_each: 4, messages: 100_000, changes: 1_000, ..small() };
    let outcome = holds(if long() { whole } else { small() }).await;
    assert!(outcome.verdict.repeated > 0, "nothing came twice: the network did not break\n{outcome}");
}

#[tokio::test]
async fn a_server_that_is_killed_again_and_again_loses_nothing_it_acknowledged_and_doubles_no_retry() {
    let kills = if long() { 100 } else { 8 };
    let messages = usize::try_from(kills).expect("small") * if long() { 500 } else { 150 };
    let plan = Plan { users: 10, threads: 4, messages, changes: 40, storm: false, kills, ..small() };
    holds(plan).await;
}

#[tokio::test]
async fn devices_that_missed_too_much_for_a_replay_and_load_what_there_is_miss_nothing_either() {
    let outcome = holds(Plan { messages: 600, changes: 0, resume_events: Some(25), ..small() }).await;
    assert!(outcome.verdict.resets > 0, "nobody missed so much\n{outcome}");
}

/// A campaign small enough to be run for each planted fault.
fn planted(fault: Planted) -> Plan {
    Plan { users: 6, threads: 2, messages: 300, changes: 0, planted: Some(fault), ..small() }
}

#[tokio::test]
async fn an_event_that_a_device_did_not_hear_is_reported_as_lost() {
    let outcome = campaign::run(&planted(Planted::Deaf)).await;
    let (thread, sequence) = outcome.unheard.clone().expect("the device was deaf to something");
    let named = |breach| {
        let mut faults = outcome.verdict.faults.iter().filter(move |fault| fault.breach == breach);
        (faults.next().map(|fault| (fault.user.clone(), fault.thread.clone(), fault.sequence)), faults.count())
    };
    assert_eq!(named(Breach::Lost), (Some(("user-0".into(), thread.clone(), sequence)), 0), "{outcome}");
    assert_eq!(named(Breach::Hole), (Some(("user-0".into(), thread, sequence + 1)), 0), "{outcome}");
    assert_eq!(outcome.verdict.faults.len(), 2, "{outcome}");
    // The same run, with one acknowledged message gone from the history.
    let mut record = outcome.record;
    let gone = record.histories[1].rows.remove(7);
    let verdict = checker::judge(&record);
    let lost = verdict.faults.iter().find(|fault| fault.breach == Breach::Lost).expect("a loss");
    assert_eq!((&lost.user, lost.sequence), (&gone.author, gone.sequence), "{verdict}");
}

#[tokio::test]
async fn an_event_that_a_device_hands_on_twice_is_reported_as_doubled() {
    let outcome = campaign::run(&planted(Planted::Echo)).await;
    assert_eq!((outcome.verdict.count(Breach::Doubled), outcome.verdict.faults.len()), (1, 1), "{outcome}");
    assert_eq!(&*outcome.verdict.faults[0].user, "user-0", "{outcome}");
}
