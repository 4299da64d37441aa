//! What a worker of the generator counts, handed over a second's worth at a time.

use std::{collections::BTreeMap, time::Duration};

use super::{latency::Times, results::Counts};

/// Most codes that are told apart; the rest counts as `other`.
const CODES_MAX: usize = 64;

/// Counts and times.
#[derive(Debug, Default)]
pub struct Meter {
    /// From the intended moment of a send to the arrival at each member.
    pub delivery: Times,
    /// From the intended moment of a send to its acknowledgement.
    pub ack: Times,
    /// From the start of a TCP connection to the first frame on it.
    pub connect: Times,
    /// From the intended moment of a send to the moment at which it was taken up.
    pub lateness: Times,
    /// Totals.
    pub counts: Counts,
    /// Errors by code.
    pub errors: BTreeMap<String, u64>,
}

impl Meter {
    /// An error that was answered, or that the network made.
    pub fn error(&mut self, code: &str) {
        let known = self.errors.contains_key(code) || self.errors.len() < CODES_MAX;
        *self.errors.entry(if known { code } else { "other" }.to_owned()).or_default() += 1;
    }

    /// A send was taken up so long after its moment.
    pub fn late(&mut self, by: Duration) {
        self.lateness.record(by);
    }

    /// All of another.
    pub fn add(&mut self, other: &Meter) {
        self.delivery.add(&other.delivery);
        self.ack.add(&other.ack);
        self.connect.add(&other.connect);
        self.lateness.add(&other.lateness);
        let (own, more) = (&mut self.counts, &other.counts);
        own.sent += more.sent;
        own.sent_by_rest += more.sent_by_rest;
        own.acknowledged += more.acknowledged;
        own.retried += more.retried;
        own.delivered += more.delivered;
        own.reconnects += more.reconnects;
        own.unsent += more.unsent;
        for (code, count) in &other.errors {
            *self.errors.entry(code.clone()).or_default() += count;
        }
    }

    /// Errors of every code.
    pub fn errors(&self) -> u64 {
        self.errors.values().sum()
    }
}
