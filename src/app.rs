//! The host as one thing that is built, has a port, and runs until it is stopped. `main` and the tests start the same.

use crate::{
    books,
    drain::{Drain, Stage},
    http::{self, Bodies, Callers, Keys, State, UserJwtVerifier, unix_seconds},
    ledger::Stored,
    meter::Meter,
    metrics::Metrics,
    prices::Prices,
    registry::Registry,
    replicas::Replica,
    settings::{IGNORED, Settings},
    slot::{Registration, Site},
    tender::Tender,
    traces::Traces,
    valves::{Files, Shelf},
};
use actix_web::{
    HttpServer,
    dev::{Extensions, Server},
    middleware::{NormalizePath, TrailingSlash, from_fn},
    rt::net::TcpStream,
    web,
};
use anyhow::Context;
use futures_util::future::join_all;
use pipe_sdk::Task;
use socket2::SockRef;
use std::{
    any::Any,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use store::{Claim, Store};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// A host that listens.
pub struct App {
    address: SocketAddr,
    server: Server,
    state: web::Data<State>,
    drain_limit: Duration,
    /// SIGHUP, which would end the process if nobody listened.
    hangup: Signal,
    prices_file: Option<PathBuf>,
    /// The data folder, if it is this host's alone.
    _claim: Option<Claim>,
    /// Turns valves that are turned on other replicas.
    _following: Option<Task>,
}

impl App {
    /// Starts the pipes and listens. A pipe that cannot start does not stop the host.
    ///
    /// # Errors
    /// When the address cannot be listened on, the data folder is another host's, or a setting of the database cannot be so.
    pub async fn build(
        settings: &Settings,
        site: Site,
        pipes: &[Registration],
    ) -> anyhow::Result<Self> {
        // First, so that a SIGHUP while the host starts does not end it.
        let hangup = signal(SignalKind::hangup()).context("cannot listen for signals")?;
        warn_of_what_means_nothing(&site);
        // What replicas share is in the database; a folder that holds it all is one host's.
        let claim = match settings.store(&site.folder).database_url {
            None => Some(Claim::of(&site.folder).await?),
            Some(_) => None,
        };
        let (state, following) = furnished(settings, site, pipes).await?;
        let state = web::Data::new(state);
        if state.keys.is_default() {
            let opens = match (state.callers.opens_by_default(), settings.allow_default_key) {
                (_, true) => "all private addresses may use it",
                (true, false) => "the host listens on loopback alone",
                (false, false) => "it opens nothing where the host does not listen on loopback",
            };
            tracing::warn!(
                "The API key is the default that everybody knows: {opens}. Set PIPELINES_API_KEY."
            );
        }
        let (server, address) = listen(settings, &state)?;
        Ok(Self {
            address,
            server,
            state,
            drain_limit: settings.drain_limit(),
            hangup,
            prices_file: settings.prices_file.clone(),
            _claim: claim,
            _following: following,
        })
    }

    /// What bodies of requests are read within.
    pub fn bodies(&self) -> &Bodies {
        &self.state.bodies
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Serves until SIGTERM or Ctrl-C, then lets answers under way end; a second signal ends them at once.
    ///
    /// # Errors
    /// When signals cannot be listened for, or the server fails.
    pub async fn run_until_stopped(self) -> anyhow::Result<()> {
        let Self { mut server, state, drain_limit, mut hangup, prices_file, .. } = self;
        let mut signals = Signals::listen()?;
        let reloads = async {
            while hangup.recv().await.is_some() {
                reload(&state.registry, prices_file.as_deref()).await;
            }
        };
        tokio::select! {
            ended = &mut server => return ended.context("the server failed"),
            () = signals.next() => {}
            // Only a runtime that ends takes no signals any more.
            () = reloads => {}
        }
        tracing::info!("Stopping: answers under way may go on for {} s.", drain_limit.as_secs());
        state.drain.advance(Stage::Draining);
        tokio::select! {
            ended = &mut server => return ended.context("the server failed"),
            () = drained(&state.drain, drain_limit, &mut signals) => {}
        }
        let (_, ended) = tokio::join!(server.handle().stop(true), server);
        let goodbyes = state.registry.slots().iter().map(|slot| slot.shutdown());
        if tokio::time::timeout(Duration::from_secs(5), join_all(goodbyes)).await.is_err() {
            tracing::warn!("A pipe did not say goodbye in time.");
        }
        state.books.flush(Duration::from_secs(2)).await;
        if !state.store.usage().flush(Duration::from_secs(5)).await {
            tracing::warn!("The last answers may be missing from the usage.");
        }
        state.traces.flush(Duration::from_secs(5)).await;
        tracing::info!("Stopped.");
        ended.context("the server failed")
    }
}

/// Reads valves and prices again, as after `POST /pipelines/reload`. What cannot be used is logged,
/// and what was there before goes on.
async fn reload(registry: &Registry, prices_file: Option<&Path>) {
    tracing::info!("Reloading valves and prices: SIGHUP.");
    match Prices::read(prices_file) {
        Ok(prices) => registry.set_prices(prices),
        Err(error) => tracing::error!("The prices stay as they are: {error:#}."),
    }
    if registry.reload().await.is_ok() {
        tracing::info!("Reloaded.");
    }
}

/// Waits for the answers under way; those that do not end in time are ended with a word.
async fn drained(drain: &Drain, limit: Duration, signals: &mut Signals) {
    tokio::select! {
        () = drain.idle() => return,
        () = tokio::time::sleep(limit) => tracing::warn!("Answers are cut: they did not end in time."),
        () = signals.next() => tracing::warn!("Answers are cut: the host was told to stop at once."),
    }
    drain.advance(Stage::Cut);
    // A client that does not read cannot hold the host.
    _ = tokio::time::timeout(Duration::from_secs(1), drain.idle()).await;
}

/// Everything that handlers need: the pipes, and what is measured and remembered of them. And what follows other replicas, if there are any.
async fn furnished(
    settings: &Settings,
    site: Site,
    pipes: &[Registration],
) -> anyhow::Result<(State, Option<Task>)> {
    let keys = Keys::new(&settings.api_key, settings.api_keys.as_deref())?;
    let prices = Prices::read(settings.prices_file.as_deref())?;
    let store = Arc::new(Store::open(&settings.store(&site.folder)).await?);
    let mut replica = Replica::on(&store, &site.folder, pipes);
    let shelf: Arc<dyn Shelf> = match &mut replica {
        None => Arc::new(Files(site.folder.clone())),
        Some(replica) => {
            // What is away now is caught up with later.
            if store.trouble().is_none() {
                replica.move_in().await;
            }
            replica.shelf()
        }
    };
    let start = |pipe: &Registration| (pipe.start)(site.clone(), Arc::clone(&shelf));
    let slots = join_all(pipes.iter().map(start)).await;
    let metrics = Arc::new(Metrics::default());
    let (books, unread) = books::open();
    let traces = Arc::new(Traces::start(&site.environment, metrics.lost_spans()));
    let meter = Meter::new(Arc::clone(&metrics), prices, books.clone(), Arc::clone(&traces));
    let ledger = Arc::new(Stored::new(Arc::clone(&store)));
    let registry = Arc::new(Registry::new(slots, meter, ledger));
    let following = replica.map(|replica| replica.follow(&registry));
    let state = State {
        tender: Tender::of(&registry),
        bookkeeper: unread.keep(Arc::clone(&store), Arc::clone(&registry)),
        registry,
        keys,
        callers: Callers::new(settings),
        bodies: Bodies::new(settings.max_bodies_mib.saturating_mul(1 << 20)),
        seal: settings
            .user_jwt_secret
            .as_deref()
            .filter(|secret| !secret.is_empty())
            .map(UserJwtVerifier::new),
        origins: settings.allowed_origins.clone(),
        open_metrics: settings.metrics_open,
        metrics,
        traces,
        store,
        books,
        drain: Drain::default(),
        started: unix_seconds(),
    };
    Ok((state, following))
}

fn listen(settings: &Settings, state: &web::Data<State>) -> anyhow::Result<(Server, SocketAddr)> {
    let state = state.clone();
    let app = move || {
        actix_web::App::new()
            .app_data(state.clone())
            .wrap(from_fn(http::authorize))
            .wrap(from_fn(http::record))
            .wrap(from_fn(http::cross_origin))
            .wrap(from_fn(http::plain))
            .wrap(NormalizePath::new(TrailingSlash::MergeOnly))
            .configure(http::routes)
            .default_service(web::to(http::Error::no_such_route))
    };
    let mut server = HttpServer::new(app)
        // actix leaves Nagle on, which holds each first token back for 40 ms.
        .tcp_nodelay(true)
        // A client that has gone is noticed at once, and with it goes the upstream's answer.
        .h1_allow_half_closed(false)
        .keep_alive(Duration::from_secs(75))
        .on_connect(patience(settings.write_idle_seconds))
        .backlog(4096)
        .disable_signals()
        .shutdown_timeout(2);
    if settings.workers > 0 {
        server = server.workers(settings.workers);
    }
    let address = SocketAddr::new(settings.host(), settings.port);
    let server = server.bind(address).with_context(|| format!("cannot listen on {address}"))?;
    let address = server.addrs().first().copied().context("no address is listened on")?;
    Ok((server.run(), address))
}

/// The kernel ends a connection whose client takes nothing for so long: nobody else sees that nothing leaves.
fn patience(seconds: u64) -> impl Fn(&dyn Any, &mut Extensions) + Clone + Send + 'static {
    let longest = Some(Duration::from_secs(seconds)).filter(|longest| !longest.is_zero());
    move |stream, _| {
        if let Some(stream) = stream.downcast_ref::<TcpStream>()
            && let Err(error) = SockRef::from(stream).set_tcp_user_timeout(longest)
        {
            tracing::warn!(%error, "A client that takes nothing is waited for without end.");
        }
    }
}

fn warn_of_what_means_nothing(site: &Site) {
    let set: Vec<_> =
        IGNORED.iter().filter(|name| site.environment.contains_key(**name)).copied().collect();
    if !set.is_empty() {
        tracing::warn!("{} are ignored: Python pipelines cannot run here.", set.join(", "));
    }
}

/// SIGTERM and Ctrl-C.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("cannot listen for signals");
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
