//! A server with much in it, fast: many requests at once.

use std::sync::Arc;

use tokio::{sync::Semaphore, task::JoinSet};

use crate::server::Program;

/// Requests under way. One more program would only wait: the store writes what has come in together.
const AT_ONCE: usize = 32;

/// Runs these, at most `AT_ONCE` at the same time.
async fn together<F: Future<Output = ()> + Send + 'static>(all: impl Iterator<Item = F>) {
    let (places, mut running) = (Arc::new(Semaphore::new(AT_ONCE)), JoinSet::new());
    for one in all {
        let place = Arc::clone(&places).acquire_owned().await.expect("nobody closes it");
        running.spawn(async move {
            one.await;
            drop(place);
        });
    }
    running.join_all().await;
}

impl Program {
    /// Makes this many threads with these people, a message in each.
    pub async fn makes_threads(&self, count: usize, members: &'static [&'static str]) {
        together((1..=count).map(|number| {
            let program = self.clone();
            async move {
                let thread = program.thread(&title(number), members).await;
                program.post(&thread, &words(number)).await;
            }
        }))
        .await;
    }

    /// Posts this many messages into a thread, in no certain order.
    pub async fn fills(&self, thread: &str, count: usize) {
        together((1..=count).map(|number| {
            let (program, thread) = (self.clone(), thread.to_owned());
            async move { program.post(&thread, &words(number)).await }
        }))
        .await;
    }
}

const SUBJECTS: &[&str] =
    &["Release", "Lunch", "Invoices", "Support", "Hiring", "Incident in the north region", "Translation", "Roadmap"];
const SENTENCES: &[&str] = &[
    "Done.",
    "I will look at it after lunch and tell you what I find.",
    "The second build is green, the first one had stopped because the disk was full. I have made room and started it again.",
    "Can somebody read the draft? https://example.org/drafts/42",
    "Use `retry = 3` until the new version is out.",
];

/// The title of a thread: no two are the same.
fn title(number: usize) -> String {
    format!("{} {number}", SUBJECTS[number % SUBJECTS.len()])
}

/// The words of a message, short and long by turns.
fn words(number: usize) -> String {
    format!("{number}. {}", SENTENCES[number % SENTENCES.len()])
}
