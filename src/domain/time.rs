//! Time as a value: whole milliseconds since 1970-01-01T00:00:00Z, told by a clock that is passed in.

use std::time::Duration;

/// Difference between the clocks of two machines that is tolerated: a token may be dated so far in the future, and counts
/// for so long after its end. A revocation reaches as far ahead, see [`CredentialStatus::judge`](super::logins::CredentialStatus::judge).
pub const LEEWAY: Duration = Duration::from_secs(5);

/// A point in time, in milliseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time(pub i64);

impl Time {
    /// This time plus a duration, saturating.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Time {
        Time(self.0.saturating_add(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }

    /// How long ago `earlier` was; zero if it is in the future.
    pub fn since(self, earlier: Time) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Whole seconds since the Unix epoch, as tokens count.
    pub fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// From whole seconds since the Unix epoch.
    pub fn from_seconds(seconds: i64) -> Time {
        Time(seconds.saturating_mul(1000))
    }
}

/// Milliseconds since the system started, time asleep included. Unlike the time of day it is never set, so it measures how long
/// ago something was in this process. It means nothing in another process or after a restart of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Uptime(pub u64);

impl Uptime {
    /// How long ago `earlier` was.
    pub fn since(self, earlier: Uptime) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// This plus a duration, saturating.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Uptime {
        Uptime(self.0.saturating_add(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)))
    }
}

/// What a clock shows: the time of day, which may be set, and the uptime, which may not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// The time of day: for what is stored, told, or dated by somebody else.
    pub wall: Time,
    /// For durations within this process.
    pub uptime: Uptime,
}

/// Tells the time. Injected, so that tests and the probe can choose it.
pub trait Clock: Send + Sync {
    /// The time of day.
    fn now(&self) -> Time;
    /// The time since the system started.
    fn uptime(&self) -> Uptime;

    /// Both.
    fn read(&self) -> Reading {
        Reading { wall: self.now(), uptime: self.uptime() }
    }
}

#[cfg(test)]
impl From<Time> for Reading {
    /// Of a clock that was never set.
    fn from(wall: Time) -> Reading {
        Reading { wall, uptime: Uptime(u64::try_from(wall.0).unwrap_or(0)) }
    }
}
