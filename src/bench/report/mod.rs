//! What people read after a run: a table on the terminal, and a page with plots. Both say the verdict first.

mod axis;
mod figures;
mod page;
mod plots;
mod table;
mod units;
mod words;

pub use page::page;
pub use table::table;
pub use units::Unit;
pub(super) use {units::seconds, words::plain};
