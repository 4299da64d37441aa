//! Connection: the actor of one WebSocket. It turns frames into posts, sends their outcomes, and closes the socket.
//!
//! Invariants:
//! - Only this actor closes its socket; other parts request a close through [`ConnectionIo::request_close`].
//! - Posts of one connection reach the hub in the order in which their frames arrived.
//! - A connection with too many unanswered posts is not read, so nothing is queued without limit.

use std::{num::NonZeroU32, rc::Rc, sync::Arc, time::Instant};

use actix::{fut::wrap_future, prelude::*};
use governor::{
    Quota, RateLimiter,
    clock::{Clock as _, MonotonicClock},
    state::{InMemoryState, NotKeyed},
};

use super::{admission::Admitted, strikes::Strikes, typing::Typing};
use crate::{
    auth::{AuthContext, Judge},
    connection_io::{CLOSE_TIMEOUT, Closing, ConnectionIo, Inbound},
    domain::{LEEWAY, Limits, logins::SESSION_TOUCH},
    error::{Code, Error},
    feed::{self, Opening},
    hub::{
        Permit,
        messages::{Post, PostReply},
    },
    node::Node,
    outlet::Subscription,
    socket::Frames,
    store::Done,
    wire::command::{self, Command, FrameId},
};

type FrameLimiter = RateLimiter<NotKeyed, InMemoryState, MonotonicClock>;

/// Rate limiter of the frames of one connection.
fn frame_limiter(limits: &Limits) -> FrameLimiter {
    let number = |number: u64| NonZeroU32::new(u32::try_from(number).unwrap_or(u32::MAX)).unwrap_or(NonZeroU32::MIN);
    let quota = Quota::per_second(number(limits.frames_per_second)).allow_burst(number(limits.frames_burst));
    RateLimiter::direct_with_clock(quota, MonotonicClock)
}

/// Actor of one WebSocket: open until a close is requested, then closing until its transport has ended.
pub(super) struct Connection {
    permit: Permit,
    /// The auth context: of the upgrade, or of the last `refresh`.
    auth: AuthContext,
    judge: Arc<Judge>,
    /// When the last use of the session was recorded.
    use_recorded_at: Instant,
    subscription: Rc<Subscription>,
    io: Rc<ConnectionIo>,
    node: Arc<Node>,
    frame_limiter: FrameLimiter,
    typing: Typing,
    protocol_strikes: Strikes,
    rate_strikes: Strikes,
    /// Posts without an outcome.
    unanswered: u64,
    /// Whether a `refresh` is in progress.
    refreshing: bool,
}

impl Connection {
    /// Starts the actor of an admitted upgrade on this worker.
    pub fn open(
        admitted: Admitted,
        opening: Opening,
        io: Rc<ConnectionIo>,
        node: Arc<Node>,
        judge: Arc<Judge>,
        frames: Frames,
    ) {
        Connection::create(|ctx| {
            io.send(opening.established(&node, admitted.identity()));
            io.set_reading(true);
            ctx.add_stream(frames);
            let asked = Rc::clone(&io);
            let asked = async move { asked.close_requested().await };
            ctx.spawn(wrap_future(asked).map(|closing, connection: &mut Connection, ctx| connection.close(closing, ctx)));
            let subscription = Rc::clone(&opening.subscription);
            ctx.spawn(wrap_future(feed::follow(Arc::clone(&node), opening, Rc::clone(&io))));
            let (auth, permit) = admitted.into_parts();
            Connection {
                auth,
                permit,
                judge,
                use_recorded_at: Instant::now(),
                subscription,
                io,
                typing: Typing::new(&node.limits),
                frame_limiter: frame_limiter(&node.limits),
                node,
                protocol_strikes: Strikes::default(),
                rate_strikes: Strikes::default(),
                unanswered: 0,
                refreshing: false,
            }
        });
    }

    fn close(&mut self, closing: Closing, ctx: &mut Context<Self>) {
        self.io.set_reading(true);
        self.io.send_bye(closing);
        Self::abort_after_timeout(ctx);
    }

    /// Aborts the TCP connection if the peer does not close it in time.
    fn abort_after_timeout(ctx: &mut Context<Self>) {
        ctx.run_later(CLOSE_TIMEOUT, |connection, ctx| {
            connection.io.abort();
            ctx.stop();
        });
    }

    fn refuse(&self, id: Option<&FrameId>, error: &Error) {
        self.io.send(command::error(id, error));
    }

    /// Whether one more frame is within the rate limit. If not, the frame is refused; after ten refusals in a minute the connection is
    /// closed.
    fn check_rate(&mut self, inbound: &Inbound) -> bool {
        let Err(until) = self.frame_limiter.check() else { return true };
        let id = if let Inbound::Text(text) = inbound { command::parse(text, &self.node.limits).0 } else { None };
        let wait = until.wait_time_from(MonotonicClock.now()).as_millis();
        let error = Error::new(Code::RateLimited, "You are sending frames too fast. Wait a moment.");
        self.refuse(id.as_ref(), &error.after_ms(u64::try_from(wait).unwrap_or(u64::MAX) + 1));
        if self.rate_strikes.strike(Instant::now()) {
            self.io.request_close(Closing { code: Code::Flooding, retry_after_ms: Some(5_000) });
        }
        false
    }

    fn frame(&mut self, text: &str, ctx: &mut Context<Self>) {
        let (id, command) = command::parse(text, &self.node.limits);
        match command {
            Ok(command) => self.handle_command(id, command, ctx),
            Err(error) => {
                self.refuse(id.as_ref(), &error);
                if self.protocol_strikes.strike(Instant::now()) {
                    self.io.request_close(Code::ContractBroken);
                }
            }
        }
    }

    /// Stops or resumes reading, by the number of unanswered posts. A closing connection reads, because it waits for the peer's close
    /// frame.
    fn update_reading(&self) {
        let free = !self.refreshing && self.unanswered < self.node.limits.posts_waiting;
        self.io.set_reading(free || self.io.close_request().is_some());
    }

    fn handle_command(&mut self, id: Option<FrameId>, command: Command, ctx: &mut Context<Self>) {
        let now = self.node.clock.now();
        if now >= self.auth.expires_at().plus(LEEWAY) {
            return self.io.request_close(Code::CredentialsExpired);
        }
        self.record_use(ctx);
        let auth = &self.auth;
        match command {
            Command::Ping => self.io.send(command::pong(id.as_ref(), now)),
            Command::Beat => {}
            Command::Send { thread, draft, key } => self.post(id, Post::send(auth, now, thread, draft, key), ctx),
            Command::Edit { message, content } => self.post(id, Post::edit(auth, now, message, content), ctx),
            Command::Delete { message } => self.post(id, Post::delete(auth, now, message), ctx),
            Command::Read { thread, sequence } => self.post(id, Post::read(auth, now, thread, sequence), ctx),
            Command::Typing { thread, active } => {
                if self.typing.may_send(thread, Instant::now()) {
                    self.node.notify_typing(auth.user_id(), thread, active);
                }
            }
            Command::Refresh { token } => self.refresh(id, token, ctx),
        }
    }

    /// Records the use of the session, which expires when it is not used.
    fn record_use(&mut self, ctx: &mut Context<Self>) {
        if self.auth.session_id().is_some() && self.use_recorded_at.elapsed() >= SESSION_TOUCH {
            self.use_recorded_at = Instant::now();
            let (judge, credential) = (Arc::clone(&self.judge), self.auth.credential().clone());
            let used = async move { judge.used(&credential).await };
            ctx.spawn(used.into_actor(self));
        }
    }

    /// Replaces the credential of the connection by that of another token of the same user.
    ///
    /// The subscription is renewed before the store is read again, so that a revocation in between is noticed by one or the other.
    /// While a refresh is in progress no other command is handled: of two refreshes, the later one must win.
    fn refresh(&mut self, id: Option<FrameId>, token: command::Token, ctx: &mut Context<Self>) {
        self.refreshing = true;
        self.update_reading();
        let (judge, subscription, context) = (Arc::clone(&self.judge), Rc::clone(&self.subscription), self.auth.clone());
        let io = Rc::clone(&self.io);
        let checked = async move {
            let (renewed, revocations) = judge.refresh(&context, &token.0).await?;
            let before = subscription.renew(renewed.credential().clone(), renewed.expires_at(), revocations);
            let Err(refused) = judge.still_holds(&renewed).await else { return Ok(renewed) };
            subscription.renew(context.credential().clone(), context.expires_at(), before);
            // The old credential may have been revoked while the new one held the subscription; then no close was requested.
            if let Err(revoked) = judge.still_holds(&context).await {
                io.request_close(if revoked.code.close().is_some() { revoked.code } else { Code::CredentialsExpired });
            }
            Err(refused)
        };
        ctx.spawn(checked.into_actor(self).map(move |checked, connection, _| {
            match checked {
                Ok(renewed) => {
                    connection.io.send(command::refreshed(id.as_ref(), renewed.expires_at()));
                    connection.auth = renewed;
                }
                Err(error) => connection.refuse(id.as_ref(), &error),
            }
            connection.refreshing = false;
            connection.update_reading();
        }));
    }

    /// Passes a post to the hub, and sends its outcome when it is stored or refused.
    fn post(&mut self, id: Option<FrameId>, post: (Post, PostReply), ctx: &mut Context<Self>) {
        self.unanswered += 1;
        self.update_reading();
        let done = self.node.post(post);
        ctx.spawn(done.into_actor(self).map(move |outcome, connection, _| {
            match outcome {
                Ok(Done::Message { message, duplicate }) => {
                    connection.io.send(command::ack(id.as_ref(), &message, duplicate));
                }
                Ok(Done::Read(marker)) => connection.io.send(command::read(id.as_ref(), &marker)),
                Ok(_) => connection.refuse(id.as_ref(), &Code::Internal.into()),
                Err(error) => connection.refuse(id.as_ref(), &error),
            }
            connection.unanswered -= 1;
            connection.update_reading();
        }));
    }
}

impl Actor for Connection {
    type Context = Context<Self>;
}

impl StreamHandler<Inbound> for Connection {
    fn handle(&mut self, inbound: Inbound, ctx: &mut Self::Context) {
        if !matches!(inbound, Inbound::Fault(_) | Inbound::Closed) {
            self.permit.proven();
        }
        match inbound {
            // A closing connection ignores further frames.
            Inbound::Fault(code) => self.io.request_close(code),
            Inbound::Closed => Self::abort_after_timeout(ctx),
            _ if self.io.close_request().is_some() || !self.check_rate(&inbound) => {}
            Inbound::Text(text) => self.frame(&text, ctx),
            Inbound::Binary(_) => self.io.request_close(Code::BinaryFrame),
            Inbound::Control | Inbound::Fragment => {}
        }
    }

    fn finished(&mut self, ctx: &mut Self::Context) {
        ctx.stop();
    }
}
