//! Chance with a seed: the same seed draws the same numbers, today and with the next version of any library.

/// A stream of random numbers (SplitMix64).
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Dice {
        Dice(seed)
    }

    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below this one.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    /// Whether something happens that does so many times in a hundred.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// Other dice, thrown by these.
    pub fn fork(&mut self) -> Dice {
        Dice(self.next())
    }
}

/// The seed of this run: `DELIVERY_SEED`, or one that nobody chose. A failure prints it.
pub fn seed() -> u64 {
    match std::env::var("DELIVERY_SEED") {
        Ok(text) => text.parse().expect("DELIVERY_SEED is a whole number"),
        Err(_) => u64::from(uuid::Uuid::new_v4().as_fields().0),
    }
}

/// Whether the whole campaigns run, not the small ones: `DELIVERY_LONG=1`, as `tests/run --long` says it.
pub fn long() -> bool {
    std::env::var_os("DELIVERY_LONG").is_some()
}
