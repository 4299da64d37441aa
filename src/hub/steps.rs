//! Steps of the clock. What is deleted for its age cannot be brought back, so the time of day alone does not decide it: a clock that
//! is set forward by mistake would delete the history and end every login.

use std::time::Duration;

use crate::domain::{Reading, Time, Uptime};

/// How much further the time of day may have gone than the uptime, in all. NTP corrects a clock by slewing; a larger difference
/// is a step.
const STEP_MAX: Duration = Duration::from_secs(60 * 60);
/// How long a server may have been down for its clock to be believed at once at the start.
const GAP_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// How long it is not believed after a longer gap: time enough to set a clock right that was wrong when the machine started.
const WAIT: Duration = Duration::from_secs(60 * 60);

/// By which time a process deletes what is too old.
#[derive(Debug)]
pub(super) struct Steps {
    /// Both readings belong together: from here on the uptime alone counts.
    from: Reading,
    /// Until when the start is not believed, if it came after a long gap.
    wait: Option<Uptime>,
    /// Whether nothing is deleted by the time of day now.
    paused: bool,
}

impl Steps {
    /// At a start. `swept_at` is the time by which a server last deleted something here.
    pub fn new(start: Reading, swept_at: Option<Time>) -> Steps {
        match swept_at {
            Some(before) if start.wall.since(before) > GAP_MAX => {
                log::warn!(
                    "the clock shows {} h more than when a server last ran on this database; nothing is deleted for its age within \
                     the next {} min. If the clock is wrong, set it right before then",
                    start.wall.since(before).as_secs() / 3_600,
                    WAIT.as_secs() / 60
                );
                let from = Reading { wall: before, ..start };
                Steps { from, wait: Some(start.uptime.plus(WAIT)), paused: true }
            }
            _ => Steps { from: start, wait: None, paused: false },
        }
    }

    /// The time by which things are old enough to be deleted: that of day, unless it is too far ahead of what the uptime says.
    pub fn judge(&mut self, now: Reading) -> Time {
        if self.wait.is_some_and(|until| now.uptime >= until) {
            log::info!("what is too old is deleted by the time of day again");
            *self = Steps { from: now, wait: None, paused: false };
        }
        let steady = self.from.wall.plus(now.uptime.since(self.from.uptime));
        let ahead = now.wall.since(steady);
        let paused = ahead > STEP_MAX;
        match (self.paused, paused) {
            (false, true) => log::warn!(
                "the clock was set forward by {} min; nothing is deleted for its age that would have been kept before. If the clock is \
                 wrong, set it right; if it is right now, restart the server",
                ahead.as_secs() / 60
            ),
            (true, false) => log::info!("the clock was set right; what is too old is deleted by the time of day again"),
            _ => {}
        }
        self.paused = paused;
        if paused { steady } else { now.wall }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time(1_800_000_000_000);
    const HOUR: Duration = Duration::from_secs(60 * 60);
    const MONTH: Duration = Duration::from_secs(30 * 24 * 60 * 60);

    /// A reading after so long, when the clock has been set forward by `step`.
    fn after(time: Duration, step: Duration) -> Reading {
        Reading { wall: NOW.plus(time).plus(step), uptime: Uptime(77).plus(time) }
    }

    fn started(swept_at: Option<Time>) -> Steps {
        Steps::new(after(Duration::ZERO, Duration::ZERO), swept_at)
    }

    #[test]
    fn a_step_forward_deletes_nothing_that_would_have_been_kept_and_its_correction_ends_the_pause() {
        let mut steps = started(None);
        assert_eq!(steps.judge(after(HOUR, Duration::ZERO)), NOW.plus(HOUR));
        assert_eq!(steps.judge(after(2 * HOUR, STEP_MAX)), NOW.plus(2 * HOUR).plus(STEP_MAX), "slewed");
        for hours in 3..100 {
            let time = hours * HOUR;
            assert_eq!(steps.judge(after(time, MONTH)), NOW.plus(time));
        }
        assert_eq!(steps.judge(after(100 * HOUR, Duration::ZERO)), NOW.plus(100 * HOUR));
        assert_eq!(steps.judge(after(101 * HOUR, MONTH)), NOW.plus(101 * HOUR), "and again");
    }

    #[test]
    fn a_step_back_is_followed_and_its_correction_is_no_step_forward() {
        let mut steps = started(None);
        let back = Reading { wall: Time(0), ..after(HOUR, Duration::ZERO) };
        assert_eq!(steps.judge(back), Time(0));
        assert_eq!(steps.judge(after(2 * HOUR, Duration::ZERO)), NOW.plus(2 * HOUR));
    }

    #[test]
    fn after_a_long_gap_the_clock_is_believed_an_hour_later_unless_it_is_set_right() {
        let before = Time(NOW.0 - i64::try_from(MONTH.as_millis()).expect("small"));
        let mut steps = started(Some(before));
        let half = HOUR / 2;
        assert_eq!(steps.judge(after(half, Duration::ZERO)), before.plus(half));
        assert_eq!(steps.judge(after(HOUR, Duration::ZERO)), NOW.plus(HOUR));
        assert_eq!(steps.judge(after(2 * HOUR, Duration::ZERO)), NOW.plus(2 * HOUR));
        let mut steps = started(Some(before));
        let right = Reading { wall: before.plus(half), ..after(half, Duration::ZERO) };
        assert_eq!(steps.judge(right), right.wall);
    }

    #[test]
    fn a_night_without_a_server_is_no_gap() {
        let mut steps = started(Some(Time(NOW.0 - 12 * 3_600_000)));
        assert_eq!(steps.judge(after(Duration::ZERO, Duration::ZERO)), NOW);
    }
}
