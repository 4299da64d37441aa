//! The signals that ask the process to end, SIGTERM and SIGINT, heard on a thread of their own: a main thread that hangs,
//! on a disk that does not answer or on a reload, must not keep anybody from ending the process.

use std::{future::pending, io, thread, time::Duration};

use tokio::{
    runtime::Builder,
    signal::unix::{Signal, SignalKind, signal},
    sync::{oneshot, watch},
    time::{Instant, sleep_until},
};

use crate::process;

/// Time that the process gets after the second signal to end by itself. Requests under way take 5 seconds at most.
const EXIT_TIMEOUT: Duration = Duration::from_secs(10);

/// How often the process has been asked to end. Dropped, it stops listening.
pub struct Signals {
    asked: watch::Receiver<u32>,
    hangup: Signal,
    _listening: oneshot::Sender<()>,
}

impl Signals {
    /// Starts to listen, in a runtime. To be called before anybody is told that the server is there: until then a signal ends
    /// the process at once.
    ///
    /// # Errors
    /// If the system gives no thread or no signal handler.
    pub fn listen() -> io::Result<Signals> {
        let (count, asked) = watch::channel(0);
        let (listening, gone) = oneshot::channel();
        let hangup = signal(SignalKind::hangup())?;
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let guard = runtime.enter();
        let (terminate, interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        drop(guard);
        let hear = move || runtime.block_on(hear(terminate, interrupt, count, gone));
        thread::Builder::new().name("signals".to_owned()).spawn(hear)?;
        Ok(Signals { asked, hangup, _listening: listening })
    }

    /// Waits for a hangup, which asks for the configuration to be read again.
    pub(super) async fn hung_up(&mut self) {
        if self.hangup.recv().await.is_none() {
            pending::<()>().await;
        }
    }

    /// Waits until the process has been asked to end so many times. A thread that is gone counts as asked: a server that
    /// hears no signal must not go on.
    pub(super) fn asked(&self, times: u32) -> impl Future<Output = ()> + use<> {
        let mut asked = self.asked.clone();
        async move { _ = asked.wait_for(|asked| *asked >= times).await }
    }
}

/// Counts signals. After the second the process ends within [`EXIT_TIMEOUT`], after the third at once.
async fn hear(mut terminate: Signal, mut interrupt: Signal, count: watch::Sender<u32>, mut gone: oneshot::Receiver<()>) {
    let mut last = None;
    loop {
        let over = async {
            match last {
                Some(at) => sleep_until(at).await,
                None => pending().await,
            }
        };
        tokio::select! {
            Some(()) = terminate.recv() => {}
            Some(()) = interrupt.recv() => {}
            () = over => process::exit_now("asked twice, and the end took too long: ending at once"),
            _ = &mut gone => return,
        }
        count.send_modify(|asked| *asked += 1);
        match *count.borrow() {
            1 => {}
            2 => {
                last = Some(Instant::now() + EXIT_TIMEOUT);
                // This thread never waits for the log: it is what ends a process whose stderr is blocked.
                drop(process::log_detached(log::Level::Warn, "asked twice: not waiting any longer".to_owned()));
            }
            _ => process::exit_now("asked again: ending at once"),
        }
    }
}
