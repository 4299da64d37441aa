//! The connection: one actor a socket. It turns frames into posts, answers them, and alone ends its socket.

use std::{rc::Rc, sync::Arc, time::Instant};

use actix::{fut::wrap_future, prelude::*};
use governor::{
    RateLimiter,
    clock::{Clock as _, MonotonicClock},
    state::{InMemoryState, NotKeyed},
};

use super::{admission::Admitted, strikes::Strikes, typing::Typing};
use crate::{
    auth::{AuthContext, Judge},
    domain::{LEEWAY, logins::SESSION_TOUCH},
    error::{Code, Error},
    feed::{self, Opening},
    hub::{
        Closing, Inbound, LAST_WORDS, Line, Node, Seat,
        messages::{Answer, Permit, Post},
        quota,
    },
    socket::Frames,
    store::Done,
    wire::frame::{self, Command, FrameId},
};

type Rate = RateLimiter<NotKeyed, InMemoryState, MonotonicClock>;

/// See the module. Open until somebody asks to close, then closing, then gone with its transport.
pub(super) struct Connection {
    permit: Permit,
    /// Who acts: as admitted, or by the token that has taken over since.
    who: AuthContext,
    judge: Arc<Judge>,
    /// When the use of its login was noted.
    noted: Instant,
    seat: Rc<Seat>,
    line: Rc<Line>,
    node: Arc<Node>,
    rate: Rate,
    typing: Typing,
    bad: Strikes,
    hasty: Strikes,
    unanswered: u64,
    /// Another token is being looked at.
    refreshing: bool,
}

impl Connection {
    /// Starts the actor of an admitted upgrade on this thread.
    pub fn open(admitted: Admitted, opening: Opening, line: Rc<Line>, node: Arc<Node>, judge: Arc<Judge>, frames: Frames) {
        let quota = quota(node.limits.frames_per_second, node.limits.frames_burst);
        Connection::create(|ctx| {
            line.send(opening.established(&node, admitted.guest()));
            line.set_reading(true);
            ctx.add_stream(frames);
            let asked = Rc::clone(&line);
            let asked = async move { asked.close_asked().await };
            ctx.spawn(wrap_future(asked).map(|closing, connection: &mut Connection, ctx| connection.close(closing, ctx)));
            let seat = Rc::clone(&opening.seat);
            ctx.spawn(wrap_future(feed::follow(Arc::clone(&node), opening, Rc::clone(&line))));
            let (who, permit) = admitted.into_parts();
            Connection {
                who,
                permit,
                judge,
                noted: Instant::now(),
                seat,
                line,
                typing: Typing::new(&node.limits),
                node,
                rate: RateLimiter::direct_with_clock(quota, MonotonicClock),
                bad: Strikes::default(),
                hasty: Strikes::default(),
                unanswered: 0,
                refreshing: false,
            }
        });
    }

    fn close(&mut self, closing: Closing, ctx: &mut Context<Self>) {
        self.line.set_reading(true);
        self.line.finish(closing);
        Self::end_soon(ctx);
    }

    /// The end, whatever the peer does.
    fn end_soon(ctx: &mut Context<Self>) {
        ctx.run_later(LAST_WORDS, |connection, ctx| {
            connection.line.cut();
            ctx.stop();
        });
    }

    fn refuse(&self, id: Option<&FrameId>, error: &Error) {
        self.line.send(frame::error(id, error));
    }

    /// Whether one more frame is within the rate; if not, the client is told, and after ten times sent away.
    fn within_rate(&mut self, inbound: &Inbound) -> bool {
        let Err(until) = self.rate.check() else { return true };
        let id = if let Inbound::Text(text) = inbound { frame::parse(text, &self.node.limits).0 } else { None };
        let wait = until.wait_time_from(MonotonicClock.now()).as_millis();
        let error = Error::new(Code::RateLimited, "You are sending frames too fast. Wait a moment.");
        self.refuse(id.as_ref(), &error.after_ms(u64::try_from(wait).unwrap_or(u64::MAX) + 1));
        if self.hasty.strike(Instant::now()) {
            self.line.close(Closing { code: Code::Flooding, retry_after_ms: Some(5_000) });
        }
        false
    }

    fn frame(&mut self, text: &str, ctx: &mut Context<Self>) {
        let (id, command) = frame::parse(text, &self.node.limits);
        match command {
            Ok(command) => self.obey(id, command, ctx),
            Err(error) => {
                self.refuse(id.as_ref(), &error);
                if self.bad.strike(Instant::now()) {
                    self.line.close(Code::ContractBroken);
                }
            }
        }
    }

    /// Reads on unless too many posts are unanswered; a connection that closes waits for the client's own close.
    fn read_or_not(&self) {
        let free = !self.refreshing && self.unanswered < self.node.limits.posts_waiting;
        self.line.set_reading(free || self.line.closing().is_some());
    }

    fn obey(&mut self, id: Option<FrameId>, command: Command, ctx: &mut Context<Self>) {
        let now = self.node.clock.now();
        if now >= self.who.expires_at().plus(LEEWAY) {
            return self.line.close(Code::CredentialsExpired);
        }
        self.note_use(ctx);
        let who = &self.who;
        match command {
            Command::Ping => self.line.send(frame::pong(id.as_ref(), now)),
            Command::Beat => {}
            Command::Send { thread, draft, key } => self.post(id, Post::by(who, now, thread, draft, key), ctx),
            Command::Edit { message, content } => self.post(id, Post::edit(who, now, message, content), ctx),
            Command::Delete { message } => self.post(id, Post::deletion(who, now, message), ctx),
            Command::Read { thread, sequence } => self.post(id, Post::read(who, now, thread, sequence), ctx),
            Command::Typing { thread, active } => {
                if self.typing.may_tell(thread, Instant::now()) {
                    self.node.types(who.user_id(), thread, active);
                }
            }
            Command::Refresh { token } => self.refresh(id, token, ctx),
        }
    }

    /// A command is a use of the login behind it, which ends when nobody uses it.
    fn note_use(&mut self, ctx: &mut Context<Self>) {
        if self.who.session_id().is_some() && self.noted.elapsed() >= SESSION_TOUCH {
            self.noted = Instant::now();
            let (judge, credential) = (Arc::clone(&self.judge), self.who.credential().clone());
            let used = async move { judge.used(&credential).await };
            ctx.spawn(used.into_actor(self));
        }
    }

    /// Another token takes over. The seat is renewed before the store is asked once more: an ending that comes between
    /// is seen by the one or the other. One at a time, and nothing else is obeyed meanwhile: of two tokens the later one
    /// must hold the seat.
    fn refresh(&mut self, id: Option<FrameId>, token: frame::Token, ctx: &mut Context<Self>) {
        self.refreshing = true;
        self.read_or_not();
        let (judge, seat, context) = (Arc::clone(&self.judge), Rc::clone(&self.seat), self.who.clone());
        let line = Rc::clone(&self.line);
        let checked = async move {
            let (renewed, endings) = judge.refresh(&context, &token.0).await?;
            let before = seat.renew(renewed.credential().clone(), renewed.expires_at(), endings);
            let Err(refused) = judge.still_holds(&renewed).await else { return Ok(renewed) };
            seat.renew(context.credential().clone(), context.expires_at(), before);
            // It may have ended while another credential held the seat, and that was told to nobody.
            if let Err(fallen) = judge.still_holds(&context).await {
                line.close(if fallen.code.close().is_some() { fallen.code } else { Code::CredentialsExpired });
            }
            Err(refused)
        };
        ctx.spawn(checked.into_actor(self).map(move |checked, connection, _| {
            match checked {
                Ok(renewed) => {
                    connection.line.send(frame::refreshed(id.as_ref(), renewed.expires_at()));
                    connection.who = renewed;
                }
                Err(error) => connection.refuse(id.as_ref(), &error),
            }
            connection.refreshing = false;
            connection.read_or_not();
        }));
    }

    /// Hands a post to the hub; the answer comes when it is stored or refused. Over so many unanswered posts the
    /// socket is not read, so that a user's messages keep their order and nobody queues without bound.
    fn post(&mut self, id: Option<FrameId>, post: (Post, Answer), ctx: &mut Context<Self>) {
        self.unanswered += 1;
        self.read_or_not();
        let done = self.node.post(post);
        ctx.spawn(done.into_actor(self).map(move |outcome, connection, _| {
            match outcome {
                Ok(Done::Message { message, duplicate }) => {
                    connection.line.send(frame::ack(id.as_ref(), &message, duplicate));
                }
                Ok(Done::Read(marker)) => connection.line.send(frame::read(id.as_ref(), &marker)),
                Ok(_) => connection.refuse(id.as_ref(), &Code::Internal.into()),
                Err(error) => connection.refuse(id.as_ref(), &error),
            }
            connection.unanswered -= 1;
            connection.read_or_not();
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
            // Once it closes, a connection accepts nothing more.
            Inbound::Fault(code) => self.line.close(code),
            Inbound::Closed => Self::end_soon(ctx),
            _ if self.line.closing().is_some() || !self.within_rate(&inbound) => {}
            Inbound::Text(text) => self.frame(&text, ctx),
            Inbound::Binary(_) => self.line.close(Code::BinaryFrame),
            Inbound::Control | Inbound::Fragment => {}
        }
    }

    fn finished(&mut self, ctx: &mut Self::Context) {
        ctx.stop();
    }
}
