//! A TCP proxy on loopback that breaks connections: cuts them at a byte, delays, splits and withholds what they carry.
//!
//! It runs on a thread of its own. Where it leads to can change, also to nowhere: connections then wait, as in front
//! of a server that is being started again.

use std::{
    collections::HashMap,
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use socket2::SockRef;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    sync::watch,
};

use crate::dice::Dice;

/// How a connection that is cut ends, for both of its sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// By a reset: what the other side has not read yet may be gone.
    Reset,
    /// By an orderly end: what was passed on before is read.
    Finish,
}

/// What happens to the bytes of one direction.
#[derive(Debug, Clone, Default)]
pub struct Leg {
    /// After so many bytes the connection ends, in both directions.
    pub cut: Option<(u64, End)>,
    /// So many bytes at the beginning go one by one, each in a segment of its own.
    pub single: u64,
    /// Each piece waits for so long.
    pub delay: Option<Duration>,
    /// After so many bytes nothing passes, and nobody is told, until so many more connections have come or all is healed.
    pub hole: Option<(u64, u64)>,
}

/// What happens to a connection.
#[derive(Debug, Clone, Default)]
pub struct Course {
    /// From the client to the server.
    pub up: Leg,
    /// From the server to the client.
    pub down: Leg,
}

type Plan = Box<dyn FnMut() -> Course + Send>;

struct Shared {
    server: watch::Sender<Option<u16>>,
    accepted: watch::Sender<u64>,
    healed: watch::Sender<bool>,
    plan: Mutex<Plan>,
    agreed: Mutex<HashMap<u16, Course>>,
}

/// A running proxy; it and all its connections end with this value.
pub struct Proxy {
    pub port: u16,
    shared: Arc<Shared>,
    _alive: watch::Sender<()>,
}

impl Proxy {
    /// Leads to a port of loopback; `plan` is asked once a connection.
    pub fn start(server: u16, plan: impl FnMut() -> Course + Send + 'static) -> Proxy {
        let shared = Arc::new(Shared {
            server: watch::Sender::new(Some(server)),
            accepted: watch::Sender::new(0),
            healed: watch::Sender::new(false),
            plan: Mutex::new(Box::new(plan)),
            agreed: Mutex::default(),
        });
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        listener.set_nonblocking(true).expect("a socket");
        let port = listener.local_addr().expect("an address").port();
        let (alive, mut ended) = watch::channel(());
        let serving = Arc::clone(&shared);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).expect("a listener");
                tokio::select! {
                    () = serving.accept(&listener) => {}
                    _ = ended.changed() => {}
                }
            });
            runtime.shutdown_background();
        });
        Proxy { port, shared, _alive: alive }
    }

    /// A proxy that only passes on.
    pub fn calm(server: u16) -> Proxy {
        Proxy::start(server, Course::default)
    }

    /// Leads new connections elsewhere, or lets them wait.
    pub fn lead_to(&self, server: Option<u16>) {
        self.shared.server.send_replace(server);
    }

    /// Ends every hole, and makes no more of them.
    pub fn heal(&self) {
        self.shared.healed.send_replace(true);
    }

    /// Connections so far.
    pub fn accepted(&self) -> u64 {
        *self.shared.accepted.borrow()
    }

    /// Opens a connection that takes this course. One that is cut at once may be gone before it is there.
    pub async fn connect(&self, course: Course) -> io::Result<TcpStream> {
        let socket = tokio::net::TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        let from = socket.local_addr()?.port();
        self.shared.agreed.lock().expect("no panic").insert(from, course);
        let stream = socket.connect(SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

impl Shared {
    async fn accept(self: &Arc<Self>, listener: &TcpListener) {
        loop {
            // A connection that ends before it is accepted is no concern of ours.
            let Ok((client, from)) = listener.accept().await else { continue };
            self.accepted.send_modify(|accepted| *accepted += 1);
            let agreed = self.agreed.lock().expect("no panic").remove(&from.port());
            let course = agreed.unwrap_or_else(|| (self.plan.lock().expect("no panic"))());
            let shared = Arc::clone(self);
            // An error of either side is how a broken connection ends: there is nobody to tell.
            tokio::spawn(async move { shared.carry(client, course).await.ok() });
        }
    }

    async fn carry(&self, mut client: TcpStream, course: Course) -> io::Result<()> {
        let port = self.server.subscribe().wait_for(Option::is_some).await.ok().and_then(|port| *port);
        let Some(port) = port else { return Ok(()) };
        let mut server = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let end = {
            let (client_reads, client_writes) = client.split();
            let (server_reads, server_writes) = server.split();
            let mut up = std::pin::pin!(self.pump(&course.up, client_reads, server_writes));
            let mut down = std::pin::pin!(self.pump(&course.down, server_reads, client_writes));
            // A direction that has ended by itself leaves the other open.
            let (mut up_open, mut down_open) = (true, true);
            loop {
                tokio::select! {
                    end = &mut up, if up_open => { up_open = false; if let Some(end) = end? { break end } }
                    end = &mut down, if down_open => { down_open = false; if let Some(end) = end? { break end } }
                    else => return Ok(()),
                }
            }
        };
        match end {
            End::Reset => {
                for stream in [&client, &server] {
                    SockRef::from(stream).set_linger(Some(Duration::ZERO))?;
                }
            }
            End::Finish => {
                // Both are told that no more comes; what they still send is read, or the end would become a reset.
                client.shutdown().await?;
                server.shutdown().await?;
                let (mut nowhere, mut too) = (tokio::io::sink(), tokio::io::sink());
                tokio::try_join!(tokio::io::copy(&mut client, &mut nowhere), tokio::io::copy(&mut server, &mut too))?;
            }
        }
        Ok(())
    }

    /// Passes bytes on until there are no more, or until the connection is to be cut: then how.
    async fn pump(&self, leg: &Leg, mut from: ReadHalf<'_>, mut to: WriteHalf<'_>) -> io::Result<Option<End>> {
        let mut buffer = vec![0; 16 * 1024];
        let mut passed = 0_u64;
        let mut hole = leg.hole;
        loop {
            if let Some((_, end)) = leg.cut.filter(|(after, _)| passed >= *after) {
                return Ok(Some(end));
            }
            if let Some((_, connections)) = hole.take_if(|(after, _)| passed >= *after) {
                self.wait_in_hole(connections).await;
            }
            let bounds = [leg.cut.map(|(after, _)| after), hole.map(|(after, _)| after)];
            let room = bounds.into_iter().flatten().map(|after| after - passed).min().unwrap_or(u64::MAX);
            let room = if passed < leg.single { 1 } else { room };
            let room = usize::try_from(room).unwrap_or(usize::MAX).min(buffer.len());
            let read = from.read(&mut buffer[..room]).await?;
            if read == 0 {
                to.shutdown().await?;
                return Ok(None);
            }
            if let Some(delay) = leg.delay {
                tokio::time::sleep_until((Instant::now() + delay).into()).await;
            }
            to.write_all(&buffer[..read]).await?;
            passed += read as u64;
        }
    }

    async fn wait_in_hole(&self, connections: u64) {
        let until = *self.accepted.borrow() + connections;
        let (mut accepted, mut healed) = (self.accepted.subscribe(), self.healed.subscribe());
        tokio::select! {
            _ = accepted.wait_for(|accepted| *accepted >= until) => {}
            _ = healed.wait_for(|healed| *healed) => {}
        }
    }
}

/// Courses as bad weather makes them: most connections are cut somewhere, some are slow, a few fall silent.
pub fn storm(mut dice: Dice) -> impl FnMut() -> Course + Send {
    move || Course { up: leg(&mut dice, 30_000), down: leg(&mut dice, 120_000) }
}

fn leg(dice: &mut Dice, far: u64) -> Leg {
    // Near the beginning, where upgrade, first frames and the seam between catching up and live are; or anywhere.
    let reach = [400, 4_000, far, far][usize::try_from(dice.below(4)).expect("small")];
    let end = if dice.chance(50) { End::Reset } else { End::Finish };
    Leg {
        cut: dice.chance(80).then(|| (dice.below(reach), end)),
        single: if dice.chance(10) { 600 } else { 0 },
        delay: dice.chance(5).then(|| Duration::from_millis(1 + dice.below(5))),
        hole: dice.chance(3).then(|| (dice.below(reach), 20)),
    }
}
