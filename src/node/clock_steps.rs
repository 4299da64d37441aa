//! Detection of clock steps, for deletion by age.
//!
//! Deleted data cannot be restored, so the wall clock alone does not decide about it: a clock set forward by mistake would delete the
//! history and end every login. A step forward is accepted after a delay, so that data does not grow without limit.
//!
//! Decisions: `src/docs/decisions/retention.md`.

use std::time::Duration;

use crate::domain::{Reading, Time, Uptime};

const HOUR: Duration = Duration::from_secs(60 * 60);
/// How much further the time of day may have gone than the uptime, in all. NTP corrects a clock by slewing; a larger difference
/// is a step.
const STEP_MAX: Duration = HOUR;
/// How long a server may have been down for its clock to be believed at once at the start.
const GAP_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// How long the clock is not believed after a longer gap: time enough to correct a clock that was wrong when the machine started.
const WAIT_AT_START: Duration = HOUR;
/// How long a step is not believed while the server runs: an operator who is away for a weekend can still correct the clock.
const WAIT_RUNNING: Duration = Duration::from_secs(3 * 24 * 60 * 60);
/// Interval between two warnings while a step is not believed.
const WARN_EVERY: Duration = Duration::from_secs(24 * 60 * 60);

/// The time by which a sweep deletes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct DeletionTime {
    /// The time by which things are old enough to be deleted.
    pub at: Time,
    /// The latest time that is believed to have been reached; the next start compares its clock with it.
    pub known: Time,
}

/// Decides by which time a process deletes what is too old.
#[derive(Debug)]
pub(super) struct ClockSteps {
    /// The time of day that was believed last, with its uptime: from here on the uptime counts.
    from: Reading,
    /// Whether the clock was behind the last sweep at the start, as on a machine without a battery for its clock. It is judged as at
    /// a start once it has caught up.
    unset: bool,
    /// The step forward that is not believed yet.
    held: Option<Held>,
    /// Since when the clock has been behind by more than [`STEP_MAX`].
    behind: Option<Uptime>,
}

/// A step forward that is not believed yet.
#[derive(Debug)]
struct Held {
    since: Uptime,
    /// For how long it is not believed.
    wait: Duration,
    /// The least by which the clock has been ahead since then. A clock that steps again does not begin the wait anew: a virtual
    /// machine that is paused every night would never be believed.
    least: Duration,
    /// When the log warned last.
    warned: Uptime,
}

impl ClockSteps {
    /// At a start. `swept_at` is the latest time that a server on this database believed.
    pub fn new(start: Reading, swept_at: Option<Time>) -> ClockSteps {
        let from = Reading { wall: swept_at.unwrap_or(start.wall), ..start };
        let late = from.wall.since(start.wall);
        let mut clock_steps = ClockSteps { from, unset: late > STEP_MAX, held: None, behind: None };
        if clock_steps.unset {
            log::warn!(
                "the clock shows {} h less than when a server last ran on this database. If the clock is wrong, set it right",
                late.as_secs() / 3_600
            );
        } else {
            clock_steps.start(start);
        }
        clock_steps
    }

    /// Judges a clock that may have gone on while no server ran.
    fn start(&mut self, now: Reading) {
        let known = self.known(now.uptime);
        let ahead = now.wall.since(known);
        if ahead > GAP_MAX {
            log::warn!(
                "the clock shows {} h more than when a server last ran on this database; nothing is deleted for its age within \
                 the next {} min. If the clock is wrong, set it right before then",
                ahead.as_secs() / 3_600,
                WAIT_AT_START.as_secs() / 60
            );
            self.held = Some(Held { since: now.uptime, wait: WAIT_AT_START, least: ahead, warned: now.uptime });
        } else {
            self.from = Reading { wall: now.wall.max(known), ..now };
        }
    }

    /// The time of day that was believed last plus the time since.
    fn known(&self, now: Uptime) -> Time {
        self.from.wall.plus(now.since(self.from.uptime))
    }

    /// By which time a sweep deletes: that of day, unless it is too far ahead of what the uptime says.
    pub fn judge(&mut self, now: Reading) -> DeletionTime {
        if self.unset && now.wall >= self.known(now.uptime) {
            self.unset = false;
            self.start(now);
        }
        self.believe_what_stood(now);
        let known = self.known(now.uptime);
        let ahead = now.wall.since(known);
        if ahead > STEP_MAX {
            self.hold(now, ahead);
            return DeletionTime { at: known, known };
        }
        if self.held.take().is_some() {
            log::info!("the clock was set right; what is too old is deleted by the time of day again");
        }
        DeletionTime { at: now.wall, known: now.wall.max(known) }
    }

    /// Ends the wait for a clock that has been ahead, or behind, for long enough.
    fn believe_what_stood(&mut self, now: Reading) {
        let known = self.known(now.uptime);
        let ahead = now.wall.since(known);
        if let Some(held) = &mut self.held
            && ahead > STEP_MAX
        {
            held.least = held.least.min(ahead);
            if now.uptime.since(held.since) >= held.wait {
                log::warn!(
                    "the clock was ahead by {} min or more for {} h and is believed; what is too old is deleted by it",
                    held.least.as_secs() / 60,
                    held.wait.as_secs() / 3_600
                );
                self.from = Reading { wall: known.plus(held.least), ..now };
                self.held = None;
            }
        }
        let late = known.since(now.wall) > STEP_MAX;
        self.behind = late.then(|| self.behind.unwrap_or(now.uptime));
        if self.behind.is_some_and(|since| now.uptime.since(since) >= WAIT_RUNNING) {
            // A clock that was believed while it was years ahead must not leave later steps unnoticed for years.
            log::warn!("the clock was behind for {} h and is believed", WAIT_RUNNING.as_secs() / 3_600);
            *self = ClockSteps { from: now, unset: false, held: None, behind: None };
        }
    }

    /// Keeps what only the step makes too old, and warns at first and then daily.
    fn hold(&mut self, now: Reading, ahead: Duration) {
        let first = self.held.is_none();
        let new = || Held { since: now.uptime, wait: WAIT_RUNNING, least: ahead, warned: now.uptime };
        let held = self.held.get_or_insert_with(new);
        if !first && now.uptime.since(held.warned) < WARN_EVERY {
            return;
        }
        held.warned = now.uptime;
        let left = held.wait.saturating_sub(now.uptime.since(held.since));
        log::warn!(
            "the clock was set forward by {} min; nothing is deleted for its age that would have been kept before. If it is still ahead \
             in {} h, it is believed. If the clock is wrong, set it right before then, or set retention_ms to 0 and restart the server to \
             keep the history; if the clock is right, restart the server to have it believed within {} min",
            ahead.as_secs() / 60,
            left.as_secs().div_ceil(3_600),
            WAIT_AT_START.as_secs() / 60
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time(1_800_000_000_000);
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    const MONTH: Duration = Duration::from_secs(30 * 24 * 60 * 60);

    /// A reading after so long, when the clock has been set forward by `step`.
    fn after(time: Duration, step: Duration) -> Reading {
        Reading { wall: NOW.plus(time).plus(step), uptime: Uptime(77).plus(time) }
    }

    fn started(swept_at: Option<Time>) -> ClockSteps {
        ClockSteps::new(after(Duration::ZERO, Duration::ZERO), swept_at)
    }

    #[test]
    fn a_step_forward_deletes_nothing_that_would_have_been_kept_and_its_correction_ends_the_pause() {
        let mut clock_steps = started(None);
        assert_eq!(clock_steps.judge(after(HOUR, Duration::ZERO)).at, NOW.plus(HOUR));
        assert_eq!(clock_steps.judge(after(2 * HOUR, STEP_MAX)).at, NOW.plus(2 * HOUR).plus(STEP_MAX), "slewed");
        for hours in 3..75 {
            let time = hours * HOUR;
            assert_eq!(clock_steps.judge(after(time, MONTH)).at, NOW.plus(time));
        }
        assert_eq!(clock_steps.judge(after(100 * HOUR, Duration::ZERO)).at, NOW.plus(100 * HOUR));
        assert_eq!(clock_steps.judge(after(101 * HOUR, MONTH)).at, NOW.plus(101 * HOUR), "and again");
    }

    #[test]
    fn a_step_back_is_followed_and_its_correction_is_no_step_forward() {
        let mut clock_steps = started(None);
        let back = Reading { wall: Time(0), ..after(HOUR, Duration::ZERO) };
        assert_eq!(clock_steps.judge(back).at, Time(0));
        assert_eq!(clock_steps.judge(after(2 * HOUR, Duration::ZERO)).at, NOW.plus(2 * HOUR));
    }

    #[test]
    fn after_a_long_gap_the_clock_is_believed_an_hour_later_unless_it_is_set_right() {
        let before = Time(NOW.0 - i64::try_from(MONTH.as_millis()).expect("small"));
        let mut clock_steps = started(Some(before));
        let half = HOUR / 2;
        assert_eq!(clock_steps.judge(after(half, Duration::ZERO)).at, before.plus(half));
        assert_eq!(clock_steps.judge(after(HOUR, Duration::ZERO)).at, NOW.plus(HOUR));
        assert_eq!(clock_steps.judge(after(2 * HOUR, Duration::ZERO)).at, NOW.plus(2 * HOUR));
        let mut clock_steps = started(Some(before));
        let right = Reading { wall: before.plus(half), ..after(half, Duration::ZERO) };
        assert_eq!(clock_steps.judge(right).at, right.wall);
    }

    #[test]
    fn a_night_without_a_server_is_no_gap() {
        let mut clock_steps = started(Some(Time(NOW.0 - 12 * 3_600_000)));
        assert_eq!(clock_steps.judge(after(Duration::ZERO, Duration::ZERO)).at, NOW);
    }

    /// Reads the clock every hour from `hours.start` on; at which hour it is believed.
    fn believed(clock_steps: &mut ClockSteps, hours: std::ops::Range<u32>, step: Duration) -> Option<u32> {
        let mut hours = hours;
        hours.find(|hours| clock_steps.judge(after(*hours * HOUR, step)).at == NOW.plus(*hours * HOUR).plus(step))
    }

    #[test]
    fn a_clock_that_is_set_only_after_the_start_is_believed_if_the_last_sweep_makes_it_plausible() {
        // The machine starts a year back, and its clock is set right a minute later.
        let back =
            |time: Duration| Reading { wall: Time(NOW.0 - 365 * 86_400_000).plus(time), ..after(time, Duration::ZERO) };
        let minute = Duration::from_secs(60);
        for (gap, hours) in [(DAY, 0), (MONTH, 1)] {
            let before = Time(NOW.0 - i64::try_from(gap.as_millis()).expect("small"));
            let mut clock_steps = ClockSteps::new(back(Duration::ZERO), Some(before));
            let first = clock_steps.judge(back(minute));
            assert_eq!(
                first,
                DeletionTime { at: back(minute).wall, known: before.plus(minute) },
                "what is known does not go back"
            );
            let set = 2 * minute;
            let wait = hours * HOUR;
            if hours > 0 {
                assert_eq!(clock_steps.judge(after(set, Duration::ZERO)).at, before.plus(set), "a long gap is waited out");
            }
            assert_eq!(clock_steps.judge(after(set + wait, Duration::ZERO)).at, NOW.plus(set + wait));
            assert_eq!(clock_steps.judge(after(10 * HOUR, MONTH)).at, NOW.plus(10 * HOUR), "and a later step is noticed");
        }
    }

    #[test]
    fn a_step_while_running_is_believed_after_three_days_and_warned_of_daily_until_then() {
        let mut clock_steps = started(None);
        let mut warned = Vec::new();
        for hours in 1..73 {
            let _ = clock_steps.judge(after(hours * HOUR, MONTH));
            warned.push(clock_steps.held.as_ref().expect("held").warned);
        }
        warned.dedup();
        assert_eq!(warned, [1, 25, 49].map(|hours| Uptime(77).plus(hours * HOUR)));
        assert_eq!(believed(&mut clock_steps, 73..200, MONTH), Some(73));
        assert!(clock_steps.held.is_none());
    }

    #[test]
    fn a_clock_that_steps_again_and_again_is_believed_as_far_as_it_stood_for_three_days() {
        let mut clock_steps = started(None);
        // Two hours further every day, as a virtual machine that is paused at night.
        for days in 1..60 {
            let DeletionTime { at, .. } = clock_steps.judge(after(days * DAY, days * 2 * HOUR));
            let late = NOW.plus(days * DAY).plus(days * 2 * HOUR).since(at);
            assert!(late <= 12 * HOUR, "at most the steps of six days; day {days}: {late:?}");
        }
    }

    #[test]
    fn a_clock_that_was_believed_while_it_was_far_ahead_is_noticed_again_three_days_after_it_was_set_right() {
        let mut clock_steps = started(Some(NOW.plus(12 * MONTH)));
        for hours in 1..73 {
            let judged = clock_steps.judge(after(hours * HOUR, Duration::ZERO));
            assert_eq!(judged, DeletionTime { at: NOW.plus(hours * HOUR), known: NOW.plus(12 * MONTH).plus(hours * HOUR) });
        }
        let judged = clock_steps.judge(after(73 * HOUR, Duration::ZERO));
        assert_eq!(judged.known, NOW.plus(73 * HOUR));
        assert_eq!(clock_steps.judge(after(74 * HOUR, MONTH)).at, NOW.plus(74 * HOUR));
    }
}
