//! The host: built from its settings, it listens on a port and runs until it is stopped. `main` and
//! the tests use it alike.

use crate::{
    background_jobs::BackgroundJobs,
    drain::{Drain, DrainStage},
    embedding_cache::EmbeddingCache,
    failed_requests::FailedRequests,
    http::{self, Callers, HostState, Keys, MemoryBudget, UserJwtVerifier, unix_seconds},
    meter::Meter,
    metrics::Metrics,
    prices::Prices,
    python::{PythonMode, PythonPipelines},
    registry::Registry,
    setting_problems::find_problems,
    settings::{IGNORED_VARIABLES, Settings},
    slot::{ConfigSources, Registration},
    store_conversations::StoreConversations,
    store_ledger::StoreLedger,
    traces::Traces,
    usage_queue,
    valve_saves::ValveSaves,
    valves::{FileValveStore, ValveStore},
    valves_replication::ValvesReplication,
};
use actix_web::{
    HttpServer,
    dev::{Extensions, Server},
    middleware::from_fn,
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
use store::{DirectoryLock, Store};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// A host that listens.
pub struct App {
    address: SocketAddr,
    server: Server,
    state: web::Data<HostState>,
    drain_limit: Duration,
    /// SIGHUP, which would end the process if nobody listened.
    hangup: Signal,
    prices_file: Option<PathBuf>,
    /// The data folder, if it is this host's alone.
    _directory_lock: Option<DirectoryLock>,
    /// The task that applies valves which other replicas have saved.
    _replication_task: Option<Task>,
}

impl App {
    /// Starts the pipes and listens. A pipe that cannot start does not stop the host.
    ///
    /// # Errors
    /// Returns an error if the address cannot be listened on, another host uses the data folder, or
    /// a setting of the database is wrong.
    pub async fn build(
        settings: &Settings,
        sources: ConfigSources,
        pipes: &[Registration],
    ) -> anyhow::Result<Self> {
        // First, so that a SIGHUP while the host starts does not end it.
        let hangup = signal(SignalKind::hangup()).context("cannot listen for signals")?;
        if settings.python.mode == PythonMode::Off {
            warn_about_ignored_variables(&sources);
        }
        for problem in find_problems(&sources, pipes) {
            tracing::warn!("A setting is unknown. {problem}.");
        }
        // Replicas share their state in the database. A folder that holds it all belongs to one
        // host.
        let directory_lock = match settings.store_settings(&sources.folder).database_url {
            None => Some(DirectoryLock::acquire(&sources.folder).await?),
            Some(_) => None,
        };
        let (state, replication_task) = build_state(settings, sources, pipes).await?;
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
        let (server, address) = bind_server(settings, &state)?;
        Ok(Self {
            address,
            server,
            state,
            drain_limit: settings.drain_limit(),
            hangup,
            prices_file: settings.prices_file.clone(),
            _directory_lock: directory_lock,
            _replication_task: replication_task,
        })
    }

    /// Returns the memory budget for bodies of requests.
    pub fn memory_budget(&self) -> &MemoryBudget {
        &self.state.memory_budget
    }

    /// Returns the address that the host listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the port that the host listens on.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Serves until SIGTERM or Ctrl-C, then lets requests in flight end; a second signal ends them
    /// at once.
    ///
    /// # Errors
    /// Returns an error if signals cannot be listened for, or the server fails.
    pub async fn run_until_stopped(self) -> anyhow::Result<()> {
        let Self { mut server, state, drain_limit, mut hangup, prices_file, .. } = self;
        let mut signals = StopSignals::listen()?;
        let reloads = async {
            while hangup.recv().await.is_some() {
                reload_config(&state.registry, prices_file.as_deref()).await;
            }
        };
        tokio::select! {
            ended = &mut server => return ended.context("the server failed"),
            () = signals.recv() => {}
            // This branch is taken only when the runtime shuts down.
            () = reloads => {}
        }
        tracing::info!("Shutting down: requests in flight have {} s.", drain_limit.as_secs());
        state.drain.advance(DrainStage::Draining);
        tokio::select! {
            ended = &mut server => return ended.context("the server failed"),
            () = wait_for_drain(&state.drain, drain_limit, &mut signals) => {}
        }
        let (_, ended) = tokio::join!(server.handle().stop(true), server);
        let slots = state.registry.slots();
        let shutdowns = slots.iter().map(|slot| slot.shutdown());
        if tokio::time::timeout(Duration::from_secs(5), join_all(shutdowns)).await.is_err() {
            tracing::warn!("A pipe did not shut down in time.");
        }
        state.usage_queue.flush(Duration::from_secs(2)).await;
        if !state.store.usage().flush(Duration::from_secs(5)).await {
            tracing::warn!("The last answers may be missing from the usage.");
        }
        state.traces.flush(Duration::from_secs(5)).await;
        tracing::info!("Stopped.");
        ended.context("the server failed")
    }
}

/// Reads valves and prices again, as after `POST /pipelines/reload`. Files that cannot be used are
/// logged, and the previous values stay in use.
async fn reload_config(registry: &Registry, prices_file: Option<&Path>) {
    tracing::info!("Reloading valves and prices: SIGHUP.");
    match Prices::load(prices_file) {
        Ok(prices) => registry.set_prices(prices),
        Err(error) => tracing::error!("The prices were not reloaded: {error:#}."),
    }
    if registry.reload().await.is_ok() {
        tracing::info!("Reloaded.");
    }
}

/// Waits for the requests in flight. Those that do not end in time are aborted with an error.
async fn wait_for_drain(drain: &Drain, limit: Duration, signals: &mut StopSignals) {
    tokio::select! {
        () = drain.wait_until_idle() => return,
        () = tokio::time::sleep(limit) => tracing::warn!("Requests in flight were aborted: they did not end in time."),
        () = signals.recv() => tracing::warn!("Requests in flight were aborted: a second signal came."),
    }
    drain.advance(DrainStage::Aborting);
    // A client that does not read cannot hold the host.
    _ = tokio::time::timeout(Duration::from_secs(1), drain.wait_until_idle()).await;
}

/// Builds the state that handlers share, and the task that follows other replicas, if there are
/// any.
async fn build_state(
    settings: &Settings,
    sources: ConfigSources,
    pipes: &[Registration],
) -> anyhow::Result<(HostState, Option<Task>)> {
    let keys = Keys::new(&settings.api_key, settings.api_keys.as_deref())?;
    let prices = Prices::load(settings.prices_file.as_deref())?;
    let store = Arc::new(Store::open(&settings.store_settings(&sources.folder)).await?);
    let files = || -> anyhow::Result<_> {
        let cipher = settings.valves_cipher()?;
        Ok(FileValveStore { folder: sources.folder.clone(), cipher })
    };
    let mut replication = ValvesReplication::for_store(&store, files()?, pipes);
    let valve_store: Arc<dyn ValveStore> = match &mut replication {
        None => Arc::new(files()?),
        Some(replication) => {
            // A database that is away now is caught up with later.
            if store.health_problem().is_none() {
                replication.migrate_files().await;
            }
            replication.valve_store()
        }
    };
    let start = |pipe: &Registration| (pipe.start)(sources.clone(), Arc::clone(&valve_store));
    let slots = join_all(pipes.iter().map(start)).await;
    let metrics = Arc::new(Metrics::default());
    let (usage_queue, usage_receiver) = usage_queue::channel();
    let traces = Arc::new(Traces::start(&sources.environment, metrics.lost_spans()));
    let meter = Meter::new(Arc::clone(&metrics), prices, usage_queue.clone(), Arc::clone(&traces));
    let ledger = Arc::new(StoreLedger::new(Arc::clone(&store)));
    let embedding_cache = EmbeddingCache::new(
        settings.embedding_cache_mib.saturating_mul(1 << 20),
        metrics.embedding_cache(),
    );
    let conversations = Arc::new(StoreConversations::new(Arc::clone(&store)));
    let registry = Arc::new(Registry::new(slots, meter, ledger, conversations, embedding_cache));
    let python =
        PythonPipelines::start(&settings.python, &sources, &valve_store, &registry).await?;
    let replication_task = replication.map(|replication| replication.spawn(&registry));
    let state = HostState {
        background_jobs: BackgroundJobs::spawn(&registry),
        usage_worker: usage_receiver.spawn(Arc::clone(&store), Arc::clone(&registry)),
        registry,
        python,
        keys,
        callers: Callers::new(
            settings.allow_default_key || settings.host().is_loopback(),
            settings.trusted_proxies.clone(),
            settings.host_names.clone(),
            settings.bad_keys_per_minute,
        ),
        memory_budget: MemoryBudget::new(settings.max_bodies_mib.saturating_mul(1 << 20)),
        user_jwt_verifier: settings
            .user_jwt_secret
            .as_deref()
            .filter(|secret| !secret.is_empty())
            .map(UserJwtVerifier::new),
        origins: settings.allowed_origins.clone(),
        open_metrics: settings.metrics_open,
        metrics,
        failed_requests: Arc::new(FailedRequests::default()),
        traces,
        store,
        usage_queue,
        drain: Drain::default(),
        valve_saves: ValveSaves::default(),
        started: unix_seconds(),
    };
    Ok((state, replication_task))
}

fn bind_server(
    settings: &Settings,
    state: &web::Data<HostState>,
) -> anyhow::Result<(Server, SocketAddr)> {
    let state = state.clone();
    let app = move || {
        actix_web::App::new()
            .app_data(state.clone())
            .wrap(from_fn(http::charge_unsent))
            .wrap(from_fn(http::authorize))
            .wrap(from_fn(http::log_request))
            .wrap(from_fn(http::cross_origin))
            .wrap(from_fn(http::trim_path))
            .configure(http::routes)
            .default_service(web::to(http::HttpError::no_such_route))
    };
    let mut server = HttpServer::new(app)
        // actix leaves Nagle on, which holds each first token back for 40 ms.
        .tcp_nodelay(true)
        // A client that has gone is noticed at once, and with it goes the upstream's answer.
        .h1_allow_half_closed(false)
        // Each client that stops reading costs twice as much.
        .h1_write_buffer_size(8 << 10)
        .keep_alive(Duration::from_secs(75))
        .on_connect(set_user_timeout(settings.write_idle_seconds))
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

/// Returns a hook that sets `TCP_USER_TIMEOUT`: the kernel closes a connection whose client reads
/// nothing for this number of seconds.
fn set_user_timeout(seconds: u64) -> impl Fn(&dyn Any, &mut Extensions) + Clone + Send + 'static {
    let timeout = Some(Duration::from_secs(seconds)).filter(|timeout| !timeout.is_zero());
    move |stream, _| {
        if let Some(stream) = stream.downcast_ref::<TcpStream>()
            && let Err(error) = SockRef::from(stream).set_tcp_user_timeout(timeout)
        {
            tracing::warn!(%error, "The write time-out cannot be set: clients that read nothing stay connected.");
        }
    }
}

fn warn_about_ignored_variables(sources: &ConfigSources) {
    let set: Vec<_> = IGNORED_VARIABLES
        .iter()
        .filter(|name| sources.environment.contains_key(**name))
        .copied()
        .collect();
    if !set.is_empty() {
        tracing::warn!("{} are ignored: PYTHON_PIPELINES is off.", set.join(", "));
    }
}

/// SIGTERM and Ctrl-C.
struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    fn listen() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("cannot listen for signals");
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        })
    }

    async fn recv(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
